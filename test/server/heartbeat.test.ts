import { once } from 'node:events';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { disconnects } from '../../src/protocol/close-codes.ts';
import { Clock } from '../../src/websocket/clock.ts';
import { Heartbeat, type PingedConnection } from '../../src/websocket/heartbeat.ts';
import { connectClient } from '../support/client.ts';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import { startProgram, temporaryFolder } from '../support/program.ts';
import { startServer } from '../support/server.ts';
import { SECRET, sign } from '../support/tokens.ts';

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

describe('a program that stood still', () => {
  async function start(env: Record<string, string>) {
    const program = startProgram(await temporaryFolder(), { JWT_SECRET: SECRET, ...env });
    const url = `ws://127.0.0.1:${await program.listening()}/subscribe`;
    return {
      connect: () => connectClient(url, { autoPong: false }),
      /** Longer than any time that is given below; `send` in the middle, when it stands still for sure. */
      async standsStillWhile(send: () => void) {
        program.child.kill('SIGSTOP');
        await delay(700);
        send();
        await delay(700);
        program.child.kill('SIGCONT');
      },
    };
  }

  it('reads the pongs that came meanwhile before it judges', async () => {
    const { connect, standsStillWhile } = await start({ PING_INTERVAL_SECONDS: '1' });
    const { socket, closed } = await connect();
    await once(socket, 'ping');

    await standsStillWhile(() => {
      socket.pong();
      socket.on('ping', () => socket.pong());
    });

    // Another ping is a verdict that has been passed; so is a close.
    expect(await Promise.race([once(socket, 'ping'), closed])).toEqual([Buffer.alloc(0)]);
  });

  it('reads the tokens that came meanwhile before it misses them', async () => {
    const { connect, standsStillWhile } = await start({ AUTH_TIMEOUT_SECONDS: '1' });
    const client = await connect();
    await client.ping();

    await standsStillWhile(() => client.authenticate(sign({ channels: ['a'] })));

    await client.next();
    await client.ping();
  });
});

describe('Clock', () => {
  function createProcess() {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const now = performance.now.bind(performance);
    let stood = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now() + stood);
    return {
      runFor: (ms: number) => vi.advanceTimersByTime(ms),
      standStillFor(ms: number) {
        stood += ms;
      },
    };
  }

  it('counts a second at most of a standstill', () => {
    const { runFor, standStillFor } = createProcess();
    const clock = new Clock(100);
    const stop = clock.start(() => {});
    runFor(5_000);
    expect(clock.now()).toBe(5_000);
    standStillFor(600_000);
    expect(clock.now()).toBe(6_000);
    runFor(100);
    expect(clock.now()).toBe(6_000);
    runFor(100);
    expect(clock.now()).toBe(6_100);
    stop();
  });

  it('puts a late tick off until what has come is read; no other overtakes it', async () => {
    const { runFor, standStillFor } = createProcess();
    let ticks = 0;
    const stop = new Clock(100).start(() => {
      ticks += 1;
    });
    runFor(200);
    expect(ticks).toBe(2);

    standStillFor(150);
    runFor(100);
    runFor(100);
    expect(ticks).toBe(2);
    // Comes after the input of this turn.
    await setImmediate();
    expect(ticks).toBe(3);
    runFor(100);
    expect(ticks).toBe(4);
    stop();
  });

  it('keeps everybody on a beat of their own across a standstill', async () => {
    const { runFor, standStillFor } = createProcess();
    const clock = new Clock(100);
    const heartbeat = new Heartbeat(15_000, 100, clock);
    const stop = clock.start(() => heartbeat.tick());
    let pings = 0;
    for (let n = 0; n < 15; n += 1) {
      const ping = () => {
        pings += 1;
      };
      heartbeat.add({
        awaitingPong: false,
        heartbeatSlot: 0,
        isPaused: false,
        ping,
        end: () => {},
      });
      runFor(1_000);
    }

    pings = 0;
    standStillFor(600_000);
    for (let second = 0; second < 14; second += 1) {
      runFor(100);
      await setImmediate();
      runFor(900);
      // What fell due in the second that counts, and in the one that has passed since.
      expect(pings).toBeLessThanOrEqual(second + 2);
    }
    expect(pings).toBeGreaterThan(12);
    stop();
  });
});

describe('Heartbeat', () => {
  function silent() {
    const log: string[] = [];
    const connection: PingedConnection = {
      awaitingPong: false,
      heartbeatSlot: 0,
      isPaused: false,
      ping: () => log.push('ping'),
      end: ({ reason }) => log.push(reason),
    };
    return { log, connection };
  }

  function start() {
    fakeClock();
    const heartbeat = new Heartbeat(15_000, 100, performance);
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
