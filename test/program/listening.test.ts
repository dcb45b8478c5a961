import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { keepListening } from '../../src/commands/listen.ts';
import { broadcastUntilCut, LARGE_TEXT } from '../support/broadcast-until-cut.ts';
import { Link } from '../support/link.ts';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** A reader of the output that the test can stop. */
class Reader extends Writable {
  readonly lines: string[] = [];
  isStopped = false;
  #goOn = () => {};

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.lines.push(chunk.toString().trimEnd());
    this.emit('line');
    if (this.isStopped) this.#goOn = done;
    else done();
  }

  goOn(): void {
    this.isStopped = false;
    this.#goOn();
  }
}

/** Listens to channel `a` of the server at this port until the test ends. */
function listenTo(port: number, { raw = false, signToken = () => sign({ channels: ['a'] }) } = {}) {
  const controller = new AbortController();
  onTestFinished(() => controller.abort());
  const output = new Reader();
  const states: string[] = [];
  const ended = keepListening({
    url: `http://127.0.0.1:${port}`,
    channels: ['a'],
    raw,
    signToken,
    output,
    onState: (line) => {
      states.push(line);
      output.emit('line');
    },
    signal: controller.signal,
  });
  ended.catch(() => {});
  const until = async (isTrue: () => boolean) => {
    while (!isTrue()) await once(output, 'line');
  };
  return { controller, ended, output, states, until };
}

/** A websocket server of which a test decides everything, and who listens to it. */
async function listenToDouble(onConnection: (socket: WebSocket) => void) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  const tokens: string[] = [];
  server.on('connection', (socket) => {
    socket.on('message', (data) => {
      const message = JSON.parse(String(data));
      if (message.event === 'authenticate') tokens.push(message.data);
    });
    onConnection(socket);
  });
  const { port } = server.address() as AddressInfo;
  const signToken = () => `token ${tokens.length + 1}`;
  return { ...listenTo(port, { signToken }), server, tokens };
}

const CONFIRMATION = '{"event":"subscribed","data":"{\\"channel\\":\\"a\\"}"}';

describe('listening', () => {
  it('signs a fresh token for each attempt', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    let connections = 0;
    const { states, tokens, until } = await listenToDouble((socket) => {
      connections += 1;
      const isLast = connections === 3;
      socket.once('message', () => {
        socket.send(CONFIRMATION);
        if (!isLast) socket.close(4401, 'Token expired');
      });
    });
    await until(() => states.filter((state) => state === 'subscribed to a').length === 3);
    expect(tokens).toEqual(['token 1', 'token 2', 'token 3']);
    const again = 'closed with 4401 Token expired; connecting again';
    expect(states.filter((state) => state.includes('again'))).toEqual([again, again]);
  });

  it('sends a close frame when it is ended', async () => {
    let closed: Promise<unknown> | undefined;
    const { controller, ended, states, until } = await listenToDouble((socket) => {
      closed = once(socket, 'close');
      socket.once('message', () => socket.send(CONFIRMATION));
    });
    await until(() => states.includes('subscribed to a'));
    controller.abort();
    await ended;
    expect(await closed).toMatchObject([1000, expect.anything()]);
  });

  it('reconnects when the server no longer answers', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    let socket: WebSocket | undefined;
    const { server, states, until } = await listenToDouble((connection) => {
      socket ??= connection;
      connection.once('message', () => connection.send(CONFIRMATION));
    });
    await until(() => states.includes('subscribed to a'));

    // The server of the original does not say which confirmation is the last: the client asks.
    const pinged = once(socket as WebSocket, 'message');
    vi.advanceTimersByTime(500);
    expect(String((await pinged)[0])).toBe('{"event":"ping"}');
    vi.advanceTimersByTime(10_000);
    await until(() => states.includes('no answer in time; connecting again'));

    const back = once(server, 'connection');
    vi.advanceTimersByTime(2_000);
    await back;
  });
});

describe('an output that is not read', () => {
  const numbersIn = (lines: readonly string[]) => lines.map((line) => JSON.parse(line).n as number);

  it.each([false, true])('stops the reading: raw %s', async (raw) => {
    const server = await startServer();
    const { output, states, until } = listenTo(server.port, { raw });
    await until(() => states.includes('subscribed to a'));
    output.isStopped = true;
    const last = await broadcastUntilCut(server);
    // What was on its way in the listener: the line that the reader has, and those of one read.
    expect(output.writableLength).toBeLessThan(2 * LARGE_TEXT.length);

    output.goOn();
    await until(() => states.filter((state) => state.startsWith('subscribed')).length === 2);
    await server.broadcast('a', { n: last + 1 });
    await until(() => output.lines.at(-1)?.includes(`"n":${last + 1}}`) === true);
    const numbers = numbersIn(output.lines);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    // How much of it the network held decides whether the rest can be recovered.
    const isComplete = numbers.length === last + 1;
    if (!raw) expect(isComplete).toBe(!states.includes('messages may be lost on a'));
  });

  it('does not connect before it is read again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    const { output, server, states, until } = await listenToDouble((connection) => {
      connection.once('message', () => {
        connection.send(CONFIRMATION);
        connection.send(JSON.stringify({ text: LARGE_TEXT }));
      });
    });
    let connections = 0;
    server.on('connection', () => {
      connections += 1;
    });
    output.isStopped = true;
    await until(() => output.lines.length === 1);
    // Nothing is read, and so no answer to the ping either.
    vi.advanceTimersByTime(25_000);
    vi.advanceTimersByTime(10_000);
    await until(() =>
      states.includes('no answer in time; connecting again when standard output is read'),
    );
    vi.advanceTimersByTime(3_600_000);
    // A connection of our own is the second one.
    const fence = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await once(fence, 'open');
    fence.close();
    expect(connections).toBe(2);

    const back = once(server, 'connection');
    output.goOn();
    await back;
  });

  it('loses nothing when the connection breaks meanwhile', async () => {
    const { port, broadcast } = await startServer();
    const link = await Link.to(port);
    const { output, states, until } = listenTo(link.port);
    await until(() => states.includes('subscribed to a'));
    output.isStopped = true;
    await broadcast('a', { n: 1, text: 'x'.repeat(100_000) });
    await until(() => output.lines.length === 1);
    await broadcast('a', { n: 2 });
    link.cut();
    await broadcast('a', { n: 3 });
    link.mend();
    output.goOn();
    await until(() => output.lines.length === 3);
    expect(numbersIn(output.lines)).toEqual([1, 2, 3]);
    expect(states).not.toContain('messages may be lost on a');
  });
});
