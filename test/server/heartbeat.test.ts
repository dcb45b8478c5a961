import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
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

  it('stays open as long as it answers pings', async () => {
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

  it('is closed when no pong has come by the next ping, and unsubscribed', async () => {
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

  it('is destroyed when it does not answer the close frame either', async () => {
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

describe('a process that was suspended', () => {
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

  it('reads the pongs that came meanwhile before it closes connections for missing ones', async () => {
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

  it('reads the tokens that came meanwhile before it closes connections for missing ones', async () => {
    const { connect, standsStillWhile } = await start({ AUTH_TIMEOUT_SECONDS: '1' });
    const client = await connect();
    await client.ping();

    await standsStillWhile(() => client.authenticate(sign({ channels: ['a'] })));

    await client.next();
    await client.ping();
  });
});
