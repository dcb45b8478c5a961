import { describe, expect, it, vi } from 'vitest';
import type { TestClient } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sign, signText } from '../support/tokens.ts';

const POSITION = /^[0-9A-Za-z]{8}\.[0-9]{1,16}$/;

interface Subscribed {
  readonly channel: string;
  readonly recovered?: boolean;
  readonly missed?: number;
  readonly position?: string;
}

/** Authenticates as a client that asks for positions. */
function ask(client: TestClient, channels: readonly string[], since: unknown = null): TestClient {
  return client.send({ event: 'authenticate', data: sign({ channels }), since });
}

/** The `data` of the next frame, which must be a confirmation. */
async function nextSubscribed(client: TestClient): Promise<Subscribed> {
  const { event, data } = JSON.parse(await client.nextText());
  expect(event).toBe('subscribed');
  return JSON.parse(data);
}

/** The position in the answer to a ping; undefined when it has none. */
async function nextPong(client: TestClient): Promise<string | undefined> {
  const text = await client.send({ event: 'ping' }).nextText();
  if (text === '{"event":"pong"}') return undefined;
  const { event, data } = JSON.parse(text);
  expect(event).toBe('pong');
  const { position } = JSON.parse(data);
  expect(text).toBe(`{"event":"pong","data":"{\\"position\\":\\"${position}\\"}"}`);
  return position;
}

/** A client on the channels from now on, and the position that it starts from. */
async function start(server: TestServer, ...channels: string[]) {
  const client = ask(await server.connect(), channels);
  let position = '';
  for (const _ of channels) position = (await nextSubscribed(client)).position ?? '';
  return { client, position };
}

async function position(server: TestServer): Promise<string> {
  const response = await fetch(`${server.url}/position`);
  expect(response.headers.get('cache-control')).toBe('no-store');
  const text = await response.text();
  const { position } = JSON.parse(text);
  expect(text).toBe(`{"position":"${position}"}`);
  return position;
}

function numberOf(text: string | undefined): number {
  expect(text).toMatch(POSITION);
  return Number(text?.slice(9));
}

describe('a client that asks for positions', () => {
  it('is told the position of now with the last confirmation of the token', async () => {
    const server = await startServer();
    const client = ask(await server.connect(), ['a', 'b', 'a']);
    expect(await client.nextText()).toBe('{"event":"subscribed","data":"{\\"channel\\":\\"a\\"}"}');
    expect(await client.nextText()).toBe('{"event":"subscribed","data":"{\\"channel\\":\\"b\\"}"}');
    const last = await client.nextText();
    const { position: now } = JSON.parse(JSON.parse(last).data);
    expect(now).toMatch(POSITION);
    expect(last).toBe(
      `{"event":"subscribed","data":"{\\"channel\\":\\"a\\",\\"position\\":\\"${now}\\"}"}`,
    );
  });

  it('gets broadcasts in an envelope with the text that a plain subscriber gets', async () => {
    const server = await startServer();
    const plain = await (await server.connect()).subscribe('a "ü"');
    const { client, position: began } = await start(server, 'a "ü"');
    const message = '{"event":"x","1":1.0,"0":9007199254740993 }';
    await server.post(
      JSON.stringify({ token: signText(`{"channel":"a \\"ü\\"","message":${message}}`) }),
    );
    expect(await plain.nextText()).toBe(message);
    const text = await client.nextText();
    const { position: at } = JSON.parse(text);
    expect(text).toBe(
      `{"event":"message","channel":"a \\"ü\\"","position":"${at}","data":${message}}`,
    );
    expect(numberOf(at)).toBeGreaterThan(numberOf(began));
  });

  it('gets what it missed, merged over its channels by position, and then what is live', async () => {
    const server = await startServer();
    const { client, position: since } = await start(server, 'a', 'b', 'quiet');
    client.socket.terminate();
    await client.closed;
    for (const [n, channel] of ['b', 'a', 'a', 'other', 'b'].entries()) {
      await server.broadcast(channel, { n });
    }
    const before = (await server.stats()).deliveries;

    const again = ask(await server.connect(), ['a', 'b', 'quiet'], since);
    expect(await again.nextText()).toBe(
      '{"event":"subscribed","data":"{\\"channel\\":\\"a\\",\\"recovered\\":true,\\"missed\\":2}"}',
    );
    expect(await nextSubscribed(again)).toEqual({ channel: 'b', recovered: true, missed: 2 });
    expect(await nextSubscribed(again)).toEqual({
      channel: 'quiet',
      recovered: true,
      missed: 0,
      position: since,
    });
    await server.broadcast('a', { n: 'live' });
    const expected: unknown[] = [
      ['b', 0],
      ['a', 1],
      ['a', 2],
      ['b', 4],
      ['a', 'live'],
    ];
    let last = since;
    for (const [channel, n] of expected as [string, unknown][]) {
      const message = (await again.next()) as { position: string };
      expect(message).toEqual({
        event: 'message',
        channel,
        position: expect.stringMatching(POSITION),
        data: { n },
      });
      expect(numberOf(message.position)).toBeGreaterThan(numberOf(last));
      last = message.position;
    }
    // Three confirmations, four replayed messages and one that was live.
    expect((await server.stats()).deliveries - before).toBe(8);
  });

  it('may be cut after any frame, and comes back with the last position without loss or repetition', async () => {
    const server = await startServer();
    const { client, position: since } = await start(server, 'a', 'b');
    client.socket.terminate();
    for (let n = 0; n < 6; n += 1) await server.broadcast(n % 2 === 0 ? 'a' : 'b', { n });

    for (let cut = 0; cut <= 8; cut += 1) {
      const first = ask(await server.connect(), ['a', 'b'], since);
      const got: number[] = [];
      let cursor = since;
      const take = (text: string) => {
        const frame = JSON.parse(text);
        if (frame.event === 'message') got.push(frame.data.n);
        cursor = frame.position ?? JSON.parse(frame.data).position ?? cursor;
      };
      for (let frame = 0; frame < cut; frame += 1) take(await first.nextText());
      first.socket.terminate();
      const second = ask(await server.connect(), ['a', 'b'], cursor);
      let confirmed = 0;
      while (got.length < 6 || confirmed < 2) {
        const text = await second.nextText();
        if (text.startsWith('{"event":"subscribed"')) confirmed += 1;
        take(text);
      }
      expect(got).toEqual([0, 1, 2, 3, 4, 5]);
      expect(await nextPong(second)).toMatch(POSITION);
      second.socket.terminate();
    }
  });

  it('stays positioned, on channels that it had before too', async () => {
    const server = await startServer();
    const client = await (await server.connect()).subscribe('before');
    ask(client, ['after']);
    expect((await nextSubscribed(client)).position).toMatch(POSITION);
    client.authenticate(sign({ channels: ['later'] }));
    expect(Object.keys(await nextSubscribed(client))).toEqual(['channel', 'position']);
    for (const channel of ['before', 'after', 'later']) {
      await server.broadcast(channel, { n: 1 });
      expect(await client.next()).toMatchObject({ event: 'message', channel, data: { n: 1 } });
    }
  });

  it('becomes positioned at once with a token of no channels', async () => {
    const server = await startServer();
    const client = await (await server.connect()).subscribe('a');
    ask(client, []);
    await server.broadcast('a', { n: 1 });
    expect(await client.next()).toMatchObject({ event: 'message', channel: 'a' });
  });

  it('is replayed only channels that the connection was not on yet', async () => {
    const server = await startServer();
    const since = await position(server);
    const { client } = await start(server, 'a');
    await server.broadcast('b', { n: 1 });
    await server.broadcast('a', { n: 2 });
    expect(await client.next()).toMatchObject({ data: { n: 2 } });
    ask(client, ['a', 'b', 'b'], since);
    expect(await nextSubscribed(client)).toEqual({ channel: 'a' });
    expect(await nextSubscribed(client)).toEqual({ channel: 'b', recovered: true, missed: 1 });
    expect(await nextSubscribed(client)).toEqual({ channel: 'b', position: since });
    expect(await client.next()).toMatchObject({ channel: 'b', data: { n: 1 } });
    expect(await nextPong(client)).toMatch(POSITION);
  });

  it.each([1, true, [], {}, 0])('is closed with 4400 for %j as since', async (since) => {
    const server = await startServer();
    const client = await server.connect();
    client.send({ event: 'authenticate', data: 'no token', since });
    expect(await client.closed).toEqual({ code: 4400, reason: 'Invalid message' });
  });
});

describe('what cannot be proved', () => {
  const gap = { recovered: false, position: expect.stringMatching(POSITION) };

  it.each([
    '',
    'now',
    'x',
    'abcdefgh.',
    'abcdefgh.12345678901234567',
    ' abcdefgh.1',
    'abcdefgh.1\n',
  ])('is a gap: malformed position %j', async (since) => {
    const server = await startServer();
    await server.broadcast('a', { n: 1 });
    const client = ask(await server.connect(), ['a'], since);
    expect(await nextSubscribed(client)).toEqual({ channel: 'a', ...gap });
    await server.broadcast('a', { n: 2 });
    expect(await client.next()).toMatchObject({ data: { n: 2 } });
  });

  it('is a gap: another epoch, and a position of the future', async () => {
    const server = await startServer();
    const now = await position(server);
    const future = `${now.slice(0, 9)}${numberOf(now) + 60_000_000}`;
    for (const since of [`x2345678${now.slice(8)}`, future]) {
      const client = ask(await server.connect(), ['a'], since);
      expect(await nextSubscribed(client)).toEqual({ channel: 'a', ...gap });
    }
  });

  it('is a gap: more than HISTORY_MESSAGES of one channel, which is none for another', async () => {
    const server = await startServer({ HISTORY_MESSAGES: '3' });
    const since = await position(server);
    await server.broadcast('b', { n: 1 });
    for (let n = 0; n < 4; n += 1) await server.broadcast('a', { n });
    const client = ask(await server.connect(), ['a', 'b'], since);
    expect(await nextSubscribed(client)).toEqual({ channel: 'a', recovered: false });
    expect(await nextSubscribed(client)).toEqual({
      channel: 'b',
      recovered: true,
      missed: 1,
      position: since,
    });
    expect(await client.next()).toMatchObject({ channel: 'b' });
  });

  it('is a gap: more than 1,000 messages at once, which does not stop the channels behind', async () => {
    const server = await startServer({ HISTORY_MESSAGES: '2000' });
    const since = await position(server);
    const many = (channel: string, length: number) =>
      server.post(
        JSON.stringify({
          token: sign({ broadcasts: Array.from({ length }, () => ({ channel, message: {} })) }),
        }),
      );
    await many('a', 600);
    await many('b', 600);
    await many('c', 400);
    const client = ask(await server.connect(), ['a', 'b', 'c'], since);
    expect(await nextSubscribed(client)).toEqual({ channel: 'a', recovered: true, missed: 600 });
    expect(await nextSubscribed(client)).toEqual({ channel: 'b', recovered: false });
    expect(await nextSubscribed(client)).toMatchObject({ recovered: true, missed: 400 });
    for (let n = 0; n < 1_000; n += 1) {
      expect(await client.next()).toMatchObject({ channel: n < 600 ? 'a' : 'c' });
    }
  });

  it('is a gap: texts of more than half of MAX_BUFFERED_BYTES in UTF-8', async () => {
    const server = await startServer({ MAX_BODY_BYTES: '65536', MAX_BUFFERED_BYTES: '131072' });
    const since = await position(server);
    // 11 bytes beside the text.
    const text = 'ü'.repeat(16_378);
    await server.broadcast('a', { text });
    await server.broadcast('a', { text });
    await server.broadcast('b', { text: `${text}x` });
    for (const [channel, missed] of [
      ['a', 2],
      ['b', 1],
    ] as const) {
      const client = ask(await server.connect(), [channel], since);
      expect(await nextSubscribed(client)).toMatchObject({ recovered: true, missed });
    }
    const client = ask(await server.connect(), ['b', 'a'], since);
    expect(await nextSubscribed(client)).toMatchObject({ recovered: true, missed: 1 });
    expect(await nextSubscribed(client)).toMatchObject({ recovered: false });
  });

  it('is a gap: something older than HISTORY_SECONDS among the missed', async () => {
    const server = await startServer({ HISTORY_SECONDS: '60' });
    const since = await position(server);
    await server.broadcast('a', { n: 1 });
    const now = performance.now();
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now + 59_000);
    const early = ask(await server.connect(), ['a', 'b'], since);
    expect(await nextSubscribed(early)).toMatchObject({ recovered: true, missed: 1 });
    clock.mockImplementation(() => now + 61_000);
    const late = ask(await server.connect(), ['a'], since);
    expect(await nextSubscribed(late)).toEqual({ channel: 'a', ...gap });
    // A channel on which nothing was posted, with a client that was away for a minute.
    const { position: next } = await start(server, 'x');
    clock.mockImplementation(() => now + 121_000);
    const quiet = ask(await server.connect(), ['a', 'x'], next);
    expect(await nextSubscribed(quiet)).toMatchObject({ recovered: true, missed: 0 });
    clock.mockRestore();
  });

  it('is a gap for everybody who is behind it: what HISTORY_BYTES has pushed out', async () => {
    const server = await startServer({ HISTORY_BYTES: '1048576', HISTORY_MESSAGES: '10000' });
    const since = await position(server);
    await server.broadcast('a', { n: 1 });
    const text = 'x'.repeat(200_000);
    for (let n = 0; n < 6; n += 1) await server.broadcast(`other:${n}`, { text });
    const client = ask(await server.connect(), ['a', 'other:5'], since);
    expect(await nextSubscribed(client)).toMatchObject({ recovered: false });
    expect(await nextSubscribed(client)).toMatchObject({ recovered: false });
  });

  it('is a gap for its channel alone: a message of more than a quarter of HISTORY_BYTES', async () => {
    const server = await startServer({ HISTORY_BYTES: '1048576' });
    const since = await position(server);
    await server.broadcast('a', { text: 'x'.repeat(300_000) });
    await server.broadcast('b', { n: 1 });
    await server.broadcast('a', { n: 2 });
    const client = ask(await server.connect(), ['a', 'b'], since);
    expect(await nextSubscribed(client)).toMatchObject({ channel: 'a', recovered: false });
    expect(await nextSubscribed(client)).toMatchObject({ recovered: true, missed: 1 });
  });
});

describe('a broadcast with "history":false', () => {
  it('comes without a position and is not replayed', async () => {
    const server = await startServer();
    const { client, position: since } = await start(server, 'a');
    const post = (claims: unknown) => server.post(JSON.stringify({ token: sign(claims) }));
    await post({ channel: 'a', message: { n: 1 }, history: false });
    await post({ broadcasts: [{ channel: 'a', message: { n: 2 }, history: false }] });
    await post({ channel: 'a', message: { n: 3 }, history: true });
    expect(await client.nextText()).toBe('{"event":"message","channel":"a","data":{"n":1}}');
    expect(await client.nextText()).toBe('{"event":"message","channel":"a","data":{"n":2}}');
    expect(await client.next()).toMatchObject({ data: { n: 3 }, position: expect.any(String) });
    const again = ask(await server.connect(), ['a'], since);
    expect(await nextSubscribed(again)).toMatchObject({ recovered: true, missed: 1 });
    expect(await again.next()).toMatchObject({ data: { n: 3 } });
  });
});

describe('a position', () => {
  it('is given to each pair of a batch, and its answer has that of the last', async () => {
    const server = await startServer();
    const { client } = await start(server, 'a', 'b');
    const broadcasts = [
      { channels: ['a', 'b'], message: { n: 1 } },
      { channel: 'a', message: {} },
    ];
    const token = sign({ broadcasts });
    const answer = (await (await server.post(JSON.stringify({ token }))).json()) as {
      position: string;
    };
    const positions: number[] = [];
    for (let n = 0; n < 3; n += 1) {
      const { position: at } = (await client.next()) as { position: string };
      positions.push(numberOf(at));
    }
    expect(positions).toEqual([...new Set(positions)].sort());
    expect(Object.keys(answer)).toEqual(['message', 'deliveries', 'results', 'position']);
    expect(numberOf(answer.position)).toBe(positions.at(-1));
  });

  it('is that of now in the answer to a batch of which nothing is kept', async () => {
    const server = await startServer();
    const since = await position(server);
    const broadcasts = [{ channel: 'a', message: {}, history: false }];
    const answer = (await (
      await server.post(JSON.stringify({ token: sign({ broadcasts }) }))
    ).json()) as { position: string };
    expect(numberOf(answer.position)).toBeGreaterThanOrEqual(numberOf(since));
  });

  it('in a pong moves the cursor of a quiet channel, and no later broadcast has it', async () => {
    const server = await startServer();
    const { client } = await start(server, 'a');
    // The clock stands still, so that only the rule that positions rise keeps them apart.
    const now = performance.now();
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
    for (let n = 0; n < 3; n += 1) {
      const pong = await nextPong(client);
      await server.broadcast('a', { n });
      const { position: at } = (await client.next()) as { position: string };
      expect(numberOf(at)).toBeGreaterThan(numberOf(pong));
      const other = ask(await server.connect(), ['a'], pong);
      expect(await nextSubscribed(other)).toMatchObject({ recovered: true, missed: 1 });
    }
    clock.mockRestore();
  });

  it('of GET /position is where a page that was rendered then goes on', async () => {
    const server = await startServer();
    await server.broadcast('a', { n: 1 });
    const rendered = await position(server);
    await server.broadcast('a', { n: 2 });
    const client = ask(await server.connect(), ['a'], rendered);
    expect(await nextSubscribed(client)).toMatchObject({ recovered: true, missed: 1 });
    expect(await client.next()).toMatchObject({ data: { n: 2 } });
    const head = await fetch(`${server.url}/position`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const post = await fetch(`${server.url}/position`, { method: 'POST' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });
});

describe('HISTORY=off', () => {
  it('sends envelopes without positions, recovers nothing and has no GET /position', async () => {
    const server = await startServer({ HISTORY: 'off' });
    const client = ask(await server.connect(), ['a']);
    expect(await client.nextText()).toBe('{"event":"subscribed","data":"{\\"channel\\":\\"a\\"}"}');
    await server.broadcast('a', { n: 1 });
    expect(await client.nextText()).toBe('{"event":"message","channel":"a","data":{"n":1}}');
    await client.ping();
    const again = ask(await server.connect(), ['a', 'b'], 'q7Kf2wX9.1');
    for (const channel of ['a', 'b']) {
      expect(await nextSubscribed(again)).toEqual({ channel, recovered: false });
    }
    expect((await fetch(`${server.url}/position`)).status).toBe(404);
    const token = sign({ broadcasts: [{ channel: 'a', message: {} }] });
    const answer = await server.post(JSON.stringify({ token }));
    expect(Object.keys((await answer.json()) as object)).toEqual([
      'message',
      'deliveries',
      'results',
    ]);
  });
});

it('counts what is kept, replayed and lost', async () => {
  const server = await startServer({ METRICS: 'true', HISTORY_MESSAGES: '2' });
  const since = await position(server);
  await server.broadcast('a', { n: 1 });
  await server.broadcast('a', { n: 2 });
  for (let n = 0; n < 3; n += 1) await server.broadcast('b', { n });
  const client = ask(await server.connect(), ['a', 'b'], since);
  await nextSubscribed(client);
  await nextSubscribed(client);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toContain('\nbifrost_history_messages 4\n');
  expect(metrics).toContain('\nbifrost_history_channels 2\n');
  expect(metrics).toContain(`\nbifrost_history_bytes ${4 * (256 + 1 + '{"n":1}'.length)}\n`);
  expect(metrics).toContain('\nbifrost_replayed_messages_total 2\n');
  expect(metrics).toContain('\nbifrost_recovery_gaps_total{reason="messages"} 1\n');
  expect(metrics).toContain('\nbifrost_recovery_gaps_total{reason="epoch"} 0\n');
});
