import { describe, expect, it } from 'vitest';
import { createPlaygroundKey } from '../../src/pages/playground-key.ts';
import { recordingLog } from '../support/log.ts';
import { startServer } from '../support/server.ts';

const KEY = createPlaygroundKey();
const OTHER_KEY = createPlaygroundKey();
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'];

/** Query strings that do not have the key as `key`. */
const WITHOUT_KEY = [
  '',
  '?',
  '?key',
  '?key=',
  `?key=${OTHER_KEY}`,
  `?key=${KEY.slice(0, -1)}`,
  `?key=${KEY}0`,
  `?key=${KEY.toUpperCase()}`,
  `?key=${'ö'.repeat(KEY.length)}`,
  `?KEY=${KEY}`,
  `?a=${KEY}`,
  `?${KEY}`,
  `?key=${OTHER_KEY}&key=${KEY}`,
];

/** Everything that a client sees of an answer but the time of day. */
async function answer(url: string, method: string) {
  const body = method === 'POST' ? { body: '{"claims":{}}' } : {};
  const response = await fetch(url, { method, ...body });
  const headers = Object.fromEntries(response.headers);
  delete headers['date'];
  return { status: response.status, headers, body: await response.text() };
}

function startWithKey(env: Readonly<Record<string, string>> = {}) {
  return startServer(env, undefined, { playgroundKey: KEY });
}

describe('a key to the playground', () => {
  it('is 128 random bits', () => {
    expect(KEY).toMatch(/^[0-9a-f]{32}$/);
    expect(OTHER_KEY).not.toBe(KEY);
  });

  it.each([{}, { NODE_ENV: 'test' }])('opens the page and its tokens with %o', async (env) => {
    const { url, connect } = await startWithKey(env);
    for (const path of ['/test', '/test/']) {
      const page = await fetch(`${url}${path}?key=${KEY}`);
      expect(page.status).toBe(200);
      expect(page.headers.get('referrer-policy')).toBe('no-referrer');
      expect(await page.text()).toContain('<title>Bifröst playground</title>');
    }
    const minted = await fetch(`${url}/test/token?from=here&key=${KEY}`, {
      method: 'POST',
      body: '{"claims":{"channels":["user:1"]}}',
    });
    const { token } = (await minted.json()) as { token: string };
    const alice = (await connect()).authenticate(token);
    expect(await alice.next()).toMatchObject({ event: 'subscribed' });
  });

  it('mints for its own page under any name that leads here, since the key keeps strangers out', async () => {
    const { raw } = await startWithKey();
    const body = '{"claims":{}}';
    const connection = (await raw()).write(
      `POST /test/token?key=${KEY} HTTP/1.1\r\nHost: dev.example\r\nOrigin: http://dev.example\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    expect((await connection.reply()).status).toBe(200);
  });

  it.each(METHODS)('is needed: %s without it is answered like any unknown path', async (method) => {
    const { url } = await startWithKey();
    const unknown = await answer(`${url}/nothing`, method);
    expect(unknown.status).toBe(404);
    for (const path of ['/test', '/test/', '/test/token', '/test/token/']) {
      for (const query of WITHOUT_KEY) {
        expect(await answer(`${url}${path}${query}`, method), path + query).toEqual(unknown);
      }
    }
  });

  it('shows which methods there are to whoever has it', async () => {
    const { url } = await startWithKey();
    expect(await answer(`${url}/test?key=${KEY}`, 'POST')).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    });
  });

  it.each(['production', 'staging'])('opens nothing with NODE_ENV=%s', async (nodeEnv) => {
    const { url } = await startWithKey({ NODE_ENV: nodeEnv });
    const unknown = await answer(`${url}/nothing`, 'GET');
    expect(await answer(`${url}/test?key=${KEY}`, 'GET')).toEqual(unknown);
    expect((await answer(`${url}/test/token?key=${KEY}`, 'POST')).status).toBe(404);
  });

  it('is not asked for in development', async () => {
    const { url } = await startWithKey({ NODE_ENV: 'development' });
    expect((await fetch(`${url}/test`)).status).toBe(200);
    expect((await fetch(url)).status).toBe(200);
  });

  it('has no link on the landing page, which strangers see', async () => {
    const { url } = await startWithKey();
    expect(await (await fetch(url)).text()).not.toMatch(/\/test|playground/i);
  });

  it('is never logged', async () => {
    const { log, lines } = recordingLog('trace');
    const { server, url, raw } = await startServer({}, log, { playgroundKey: KEY });
    await fetch(`${url}/test?key=${KEY}`);
    await fetch(`${url}/test?key=${KEY}`, { method: 'PUT' });
    await fetch(`${url}/broadcast?key=${KEY}`, { method: 'POST', body: '{}' });
    await fetch(`${url}/test/token?key=${KEY}`, { method: 'POST', body: '{' });
    const connection = await raw();
    connection.write(`GET /test?key=${KEY} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n`);
    await connection.reply();
    await server.close();
    expect(lines.length).toBeGreaterThan(0);
    expect(JSON.stringify(lines)).not.toContain(KEY);
  });
});
