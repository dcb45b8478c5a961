import { afterEach, describe, expect, it, vi } from 'vitest';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import { startNode } from '../support/manual-bus.ts';
import type { TestServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** Tokens that all have to wait, far more than are kept and than one read of the socket brings. */
const MANY_TOKENS = 2_000;
const waitingToken = sign({ channels: ['a'] });

/** Resolves when the server has read all that it is going to read of anybody. */
async function hasReadAll(node: TestServer): Promise<void> {
  const other = await node.connect();
  for (let n = 0; n < 100; n += 1) await other.ping();
}

describe('a flood of tokens while the bus is unavailable', () => {
  it('keeps a few tokens of a connection and stops reading until the bus is available', async () => {
    const { bus, node } = await startNode();
    const client = await node.connect();
    for (let n = 0; n < MANY_TOKENS; n += 1) {
      client.authenticate(sign({ channels: n % 2 === 0 ? ['a', `${n % 10}`] : [] }));
    }
    client.send({ event: 'ping' });
    await hasReadAll(node);

    await bus.comeUp();
    for (let n = 0; n < MANY_TOKENS; n += 2) {
      for (const channel of ['a', `${n % 10}`]) {
        expect(await client.next()).toMatchObject({ data: JSON.stringify({ channel }) });
      }
      // Whatever was not in the token that waited is asked for when it is read.
      await bus.confirmAll();
    }
    // Pongs overtake tokens that wait, but this ping had not been read.
    expect(await client.next()).toEqual({ event: 'pong' });
  });
});

describe('a connection that is not read while the bus is unavailable', () => {
  function fakeClock() {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  }
  const BEAT_MS = 15_100;

  async function startFlooded({ authenticated = true } = {}) {
    const { bus, node } = await startNode({ METRICS: 'true' });
    const connection = await node.raw();
    connection.write(handshake());
    await connection.reply();
    const say = (token: string) =>
      clientFrame(JSON.stringify({ event: 'authenticate', data: token }));
    if (authenticated) connection.write(say(sign({ channels: [] })));
    const message = say(waitingToken);
    connection.write(Buffer.concat(Array.from({ length: MANY_TOKENS }, () => message)));
    await hasReadAll(node);
    return { bus, node, connection };
  }

  const PING = Buffer.from([0x89, 0]);
  const PONG = clientFrame('', { first: 0x8a });
  const GOODBYE = clientFrame(Buffer.from([0x11, 0x38]), { first: 0x88 });

  it('is pinged, and not closed for pongs that are not read', async () => {
    fakeClock();
    const { bus, connection } = await startFlooded();
    for (let beat = 0; beat < 4; beat += 1) {
      vi.advanceTimersByTime(BEAT_MS);
      expect(await connection.take(2)).toEqual(PING);
      connection.write(PONG);
    }

    await bus.comeUp();
    // In the same turn: what it answered is still unread.
    vi.advanceTimersByTime(BEAT_MS);
    const confirmation = Buffer.from('{"event":"subscribed","data":"{\\"channel\\":\\"a\\"}"}');
    const frame = Buffer.concat([Buffer.from([0x81, confirmation.length]), confirmation]);
    const expected = [PING, ...Array.from({ length: MANY_TOKENS }, () => frame)];
    const received = await connection.take(Buffer.concat(expected).length);
    expect(received.toString('latin1').replaceAll(frame.toString('latin1'), '')).toBe('\x89\0');
  });

  it('is closed when it does not answer afterwards either', async () => {
    fakeClock();
    const { bus, connection } = await startFlooded();
    for (let beat = 0; beat < 4; beat += 1) vi.advanceTimersByTime(BEAT_MS);
    await bus.comeUp();
    for (let beat = 0; beat < 2; beat += 1) vi.advanceTimersByTime(BEAT_MS);
    connection.write(GOODBYE);
    expect((await connection.ended).toString('latin1')).toContain("Socket didn't respond to ping");
  });

  it('is removed when its peer has disconnected', async () => {
    fakeClock();
    const { node, connection } = await startFlooded();
    connection.socket.resetAndDestroy();
    // Only the socket of the fence is left.
    for (let left = ''; !left.includes('\nbifrost_connections 1\n'); ) {
      vi.advanceTimersByTime(BEAT_MS);
      left = await (await fetch(`${node.url}/metrics`)).text();
    }
  });

  it('keeps its authentication timeout, and may send its close frame', async () => {
    fakeClock();
    const { node, connection } = await startFlooded({ authenticated: false });
    vi.advanceTimersByTime(30_500);
    const reason = 'Authentication timeout';
    const close = Buffer.from(
      `\x88${String.fromCharCode(2 + reason.length)}\x11\x38${reason}`,
      'latin1',
    );
    const received = await connection.take(2 + close.length);
    expect(received).toEqual(Buffer.concat([PING, close]));
    connection.write(GOODBYE);
    await connection.ended;
    await node.server.close();
  });
});
