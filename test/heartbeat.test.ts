import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { disconnects } from '../src/close-codes.ts';
import { type Beating, Heartbeat } from '../src/heartbeat.ts';
import { clientFrame, handshake } from './support/raw.ts';
import { startServer } from './support/server.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** Our own clock only: ws and the network keep theirs. */
function fakeClock() {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
}

/** The interval, and the tick that it is exact to. */
const BEAT_MS = 15_100;

describe('a connection', () => {
  it('is pinged 15 s after it connected, authenticated or not, with an empty frame', async () => {
    fakeClock();
    const { raw } = await startServer();
    const connection = await raw();
    connection.write(handshake());
    await connection.reply();
    connection.write(clientFrame('{"event":"ping"}'));
    await connection.take(18);

    vi.advanceTimersByTime(14_000);
    connection.write(clientFrame('{"event":"ping"}'));
    // The answer comes with no ping before it.
    expect((await connection.take(18)).toString('latin1')).toBe('\x81\x10{"event":"pong"}');
    vi.advanceTimersByTime(1_100);
    expect(await connection.take(2)).toEqual(Buffer.from([0x89, 0]));
  });

  it('lives on as long as it answers', async () => {
    fakeClock();
    const { connect, stats } = await startServer();
    const client = await (await connect()).subscribe('a');
    for (let beat = 0; beat < 4; beat += 1) {
      const pinged = once(client.socket, 'ping');
      vi.advanceTimersByTime(BEAT_MS);
      await pinged;
      // Sent after the pong, so the server has seen that when it answers.
      await client.ping();
    }
    expect(await stats()).toEqual({ deliveries: 1, connected: 1 });
  });

  it('is ended when no pong has come by the next beat; nothing of it stays', async () => {
    fakeClock();
    const { connect, stats, broadcast } = await startServer();
    const silent = await (await connect({ autoPong: false })).subscribe('a');

    const pinged = once(silent.socket, 'ping');
    vi.advanceTimersByTime(BEAT_MS);
    await pinged;
    vi.advanceTimersByTime(BEAT_MS);

    expect(await silent.closed).toEqual({ code: 4408, reason: "Socket didn't respond to ping" });
    expect(await stats()).toEqual({ deliveries: 1, connected: 0 });
    expect(await broadcast('a', {})).toBe(0);
  });

  it('is ended for good when it does not even answer the close frame', async () => {
    fakeClock();
    const { raw, stats } = await startServer({ AUTH_TIMEOUT_SECONDS: '0' });
    const connection = await raw();
    connection.write(handshake());
    await connection.reply();

    vi.advanceTimersByTime(2 * BEAT_MS);

    const reason = "Socket didn't respond to ping";
    expect((await connection.ended).toString('latin1')).toBe(
      `\x89\0\x88${String.fromCharCode(2 + reason.length)}\x11\x38${reason}`,
    );
    expect(await stats()).toEqual({ deliveries: 0, connected: 0 });
  });

  it('is pinged every PING_INTERVAL_SECONDS', async () => {
    fakeClock();
    const { connect } = await startServer({ PING_INTERVAL_SECONDS: '0.5' });
    const client = await connect();
    const pinged = once(client.socket, 'ping');
    vi.advanceTimersByTime(600);
    await pinged;
  });
});

describe('Heartbeat', () => {
  function silent() {
    const log: string[] = [];
    const connection: Beating = {
      awaitingPong: false,
      beat: 0,
      ping: () => log.push('ping'),
      end: ({ reason }) => log.push(reason),
    };
    return { log, connection };
  }

  function start() {
    fakeClock();
    const heartbeat = new Heartbeat(15_000, 100);
    const pass = (ms: number) => {
      vi.advanceTimersByTime(ms);
      heartbeat.tick();
    };
    return { heartbeat, pass };
  }

  it('keeps each connection on its own beat', () => {
    const { heartbeat, pass } = start();
    const early = silent();
    const late = silent();
    heartbeat.add(early.connection);
    pass(7_000);
    heartbeat.add(late.connection);

    pass(7_900);
    expect([early.log, late.log]).toEqual([[], []]);
    pass(200);
    expect([early.log, late.log]).toEqual([['ping'], []]);
    pass(6_800);
    expect(late.log).toEqual([]);
    pass(200);
    expect([early.log, late.log]).toEqual([['ping'], ['ping']]);
    pass(15_100);
    const ended = ['ping', disconnects.pingTimeout.reason];
    expect([early.log, late.log]).toEqual([ended, ended]);
  });

  it('gives nobody less time to answer because it was late itself', () => {
    const { heartbeat, pass } = start();
    const { log, connection } = silent();
    heartbeat.add(connection);
    pass(600_000);
    expect(log).toEqual(['ping']);
    pass(14_900);
    expect(log).toEqual(['ping']);
    pass(200);
    expect(log).toEqual(['ping', disconnects.pingTimeout.reason]);
  });

  it('forgets what is removed', () => {
    const { heartbeat, pass } = start();
    const { log, connection } = silent();
    heartbeat.add(connection);
    heartbeat.remove(connection);
    heartbeat.remove(connection);
    pass(60_000);
    expect(log).toEqual([]);
  });
});
