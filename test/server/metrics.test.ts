import { describe, expect, it } from 'vitest';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

const LINE = /^([a-z0-9_]+)(?:\{(.*)\})? (Na[nN]|[-+]?Inf|[-+]?[0-9.e+-]+)$/;

/** Parses the exposition format strictly: every sample belongs to a family with help and type. */
function parse(text: string): Map<string, number> {
  const families = new Map<string, string>();
  const helped = new Set<string>();
  const samples = new Map<string, number>();
  for (const line of text.trimEnd().split('\n')) {
    if (line === '') continue;
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      helped.add(name);
    } else if (kind === 'TYPE') {
      families.set(name, rest);
    } else {
      const [, sample = '', labels = '', value = ''] = LINE.exec(line) ?? [];
      if (sample === '') throw new Error(`not a sample: ${line}`);
      const family = families.has(sample) ? sample : sample.replace(/_(bucket|sum|count)$/, '');
      if (!families.has(family) || !helped.has(family)) throw new Error(`no family: ${line}`);
      samples.set(labels === '' ? sample : `${sample}{${labels}}`, Number(value));
    }
  }
  return samples;
}

async function scrape(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/metrics`, { headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text };
}

describe('GET /metrics', () => {
  it('does not exist unless METRICS is true', async () => {
    const { url } = await startServer();
    expect(await scrape(url)).toMatchObject({ status: 404, text: '{"error":"Not found"}' });
  });

  it('counts what is there and what happened', async () => {
    const { url, connect, broadcast, post, raw, stats } = await startServer({ METRICS: 'true' });
    await (await connect()).subscribe('a', 'b');
    await (await connect()).subscribe('a');
    await connect();
    await broadcast('a', {});
    await broadcast('nobody', {});
    await post('garbage');
    const refused = (await connect()).authenticate('garbage');
    await refused.closed;
    const left = await connect();
    left.socket.close(4321);
    await left.closed;
    const broken = await raw();
    broken.write(handshake());
    await broken.reply();
    broken.write(clientFrame('{}', { masked: false }));
    await broken.ended;
    broken.socket.end();
    while ((await scrape(url)).text.includes('bifrost_connections 4')) await stats();

    const { status, headers, text } = await scrape(url);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const samples = parse(text);
    expect(
      Object.fromEntries([...samples].filter(([name]) => !/_bucket|_sum/.test(name))),
    ).toMatchObject({
      bifrost_connections: 3,
      bifrost_authenticated_connections: 2,
      bifrost_subscriptions: 3,
      bifrost_channels: 2,
      bifrost_deliveries_total: 5,
      bifrost_log_lines_dropped_total: 0,
      bifrost_buffered_bytes: 0,
      bifrost_broker_malformed_texts_total: 0,
      'bifrost_broadcasts_total{result="success"}': 2,
      'bifrost_broadcasts_total{result="refused"}': 1,
      'bifrost_broadcasts_total{result="failed"}': 0,
      bifrost_broadcast_duration_seconds_count: 2,
      'bifrost_disconnects_total{code="4401"}': 1,
      'bifrost_disconnects_total{code="other"}': 1,
      'bifrost_disconnects_total{code="1002"}': 1,
      'bifrost_disconnects_total{code="4429"}': 0,
      bifrost_broker_available: 1,
      'bifrost_authentication_failures_total{reason="token"}': 1,
      'bifrost_authentication_failures_total{reason="channels"}': 0,
      'bifrost_authentication_failures_total{reason="limits"}': 0,
      'bifrost_authentication_failures_total{reason="timeout"}': 0,
    });
    expect(samples.has('nodejs_eventloop_lag_p99_seconds')).toBe(true);
    expect(samples.has('process_resident_memory_bytes')).toBe(true);
  });

  it('tells the reasons of failed authentications apart', async () => {
    const { url, connect } = await startServer({
      METRICS: 'true',
      MAX_CHANNEL_LENGTH: '3',
      AUTH_TIMEOUT_SECONDS: '0.5',
    });
    for (const claims of [{}, { channels: ['long'] }, { channels: 1 }]) {
      await (await connect()).authenticate(sign(claims)).closed;
    }
    await (await connect()).closed;
    const samples = parse((await scrape(url)).text);
    expect(samples.get('bifrost_authentication_failures_total{reason="timeout"}')).toBe(1);
    expect(samples.get('bifrost_authentication_failures_total{reason="channels"}')).toBe(2);
    expect(samples.get('bifrost_authentication_failures_total{reason="limits"}')).toBe(1);
  });

  it('asks for the bearer token of METRICS_TOKEN', async () => {
    const { url } = await startServer({ METRICS: 'true', METRICS_TOKEN: 'sesame' });
    for (const headers of [{}, { Authorization: 'Bearer wrong' }, { Authorization: 'sesame' }]) {
      const refused = await scrape(url, headers as Record<string, string>);
      expect(refused).toMatchObject({ status: 401, text: '{"error":"Bearer token required"}' });
      expect(refused.headers.get('www-authenticate')).toBe('Bearer');
    }
    expect((await scrape(url, { Authorization: 'Bearer sesame' })).status).toBe(200);
  });
});
