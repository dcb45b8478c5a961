import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { broadcastUntilCut } from '../support/broadcast-until-cut.ts';
import { freePort } from '../support/free-port.ts';
import { Link } from '../support/link.ts';
import { startServer } from '../support/server.ts';
import { SECRET } from '../support/tokens.ts';
import { bifrost, start } from './bifrost.ts';

describe('bifrost listen', () => {
  it('prints messages on stdout and states on stderr, and ends with 0 on Ctrl-C', async () => {
    const { port, broadcast } = await startServer();
    const program = await start(['listen', 'user:1', '--channel', 'news'], {
      JWT_SECRET: SECRET,
      HOST: '127.0.0.1',
      PORT: String(port),
    });
    await program.prints(/subscribed to news\n/);
    const likeAConfirmation = { event: 'subscribed', data: '{"channel":"user:1"}' };
    await broadcast('user:1', { event: 'one', data: 'a\nb' });
    await broadcast('news', likeAConfirmation);
    await broadcast('news', '{\r\n  "event": "three"\n}');
    await program.prints(/three.*\n/);

    program.child.kill('SIGINT');

    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.stdout.split('\n')).toEqual([
      '{"event":"one","data":"a\\nb"}',
      JSON.stringify(likeAConfirmation),
      '{   "event": "three" }',
      '',
    ]);
    expect(program.stderr.split('\n')).toEqual([
      `connected to ws://127.0.0.1:${port}/subscribe`,
      'subscribed to user:1',
      'subscribed to news',
      '',
    ]);
  });

  it('waits for a server that is not there yet, and for one that restarts', async () => {
    const port = await freePort();
    const env = { PORT: String(port) };
    const program = await start(['listen', 'a'], { JWT_SECRET: SECRET, ...env });
    await program.prints(/cannot reach ws:.*ECONNREFUSED.*; connecting again\n/);

    const first = await startServer(env);
    await program.prints(/subscribed to a\n/);
    await first.broadcast('a', { from: 'first' });
    await first.server.close();
    await program.prints(/closed with 1001 Server shutting down; connecting again\n/);

    const second = await startServer(env);
    await program.prints(/subscribed to a\n[\s\S]*subscribed to a\n/);
    await second.broadcast('a', { from: 'second' });
    await program.prints(/"second"\}\n/);
    expect(program.stdout).toBe('{"from":"first"}\n{"from":"second"}\n');
  });

  it('prints what it missed, and says how much, or that some may be lost', async () => {
    const { port, broadcast } = await startServer({ HISTORY_MESSAGES: '2' });
    const link = await Link.to(port);
    const url = `http://127.0.0.1:${link.port}`;
    const program = await start(['listen', 'a', 'b', 'c', '--url', url]);
    await program.prints(/subscribed to c\n/);

    link.cut();
    await program.prints(/closed with 1006; connecting again\n/);
    for (const n of [1, 2, 3]) await broadcast('a', { n });
    await broadcast('b', { n: 4 });
    link.mend();

    await program.prints(/"n":4\}\n/);
    expect(program.stdout).toBe('{"n":4}\n');
    expect(program.stderr.split('\n').slice(-5)).toEqual([
      'subscribed to a',
      'subscribed to b, 1 missed message follows',
      'subscribed to c, nothing was missed',
      'messages may be lost on a',
      '',
    ]);
  });

  it('shows the plain frames with --raw, also one that looks like an answer', async () => {
    const { port, broadcast } = await startServer();
    const link = await Link.to(port);
    const url = `http://127.0.0.1:${link.port}`;
    const program = await start(['listen', 'a', '--raw', '--url', url]);
    await program.prints(/subscribed to a\n/);
    const messages = [
      { event: 'subscribed', data: '{"channel":"a"}' },
      { event: 'pong' },
      { event: 'message', channel: 'a', data: {} },
    ];
    for (const message of messages) await broadcast('a', message);
    await program.prints(/"data":\{\}\}\n/);
    link.cut();
    await program.prints(/closed with 1006; connecting again\n/);
    await broadcast('a', { missed: true });
    link.mend();
    await program.prints(/subscribed to a\n[\s\S]*subscribed to a\n/);
    await broadcast('a', { last: true });
    await program.prints(/last.*\n/);

    const printed = [...messages, { last: true }].map((message) => `${JSON.stringify(message)}\n`);
    expect(program.stdout).toBe(printed.join(''));
    expect(program.stderr).not.toMatch(/missed|lost/);
  });

  it('reconnects when the server is full', async () => {
    const { connect, url } = await startServer({ MAX_CONNECTIONS: '1' });
    const client = await connect();
    const program = await start(['listen', 'a', '--url', url]);
    await program.prints(/answered 503 instead of a websocket; connecting again\n/);
    client.socket.close();
    await program.prints(/subscribed to a\n/);
  });

  it('ends with 1 after a final close code', async () => {
    const { url } = await startServer({ MAX_CHANNELS_PER_CONNECTION: '1' });
    const cases: [string[], string, string][] = [
      [
        ['a', '--url', url],
        'another',
        "closed with 4401 Not Authorized! (are JWT_SECRET and the clock the same as the server's?)",
      ],
      [['a', 'b', '--url', url], SECRET, 'closed with 4413 Too many channels'],
      [['a', '--url', `${url}/nowhere`], SECRET, `${url.replace('http', 'ws')}/nowhere/subscribe`],
    ];
    for (const [args, secret, problem] of cases) {
      const { code, stdout, stderr } = await bifrost(['listen', ...args], { JWT_SECRET: secret });
      expect.soft({ code, stdout }, problem).toEqual({ code: 1, stdout: '' });
      const last = stderr.trimEnd().split('\n').at(-1);
      expect.soft(last?.startsWith(`bifrost listen: ${problem}`), last).toBe(true);
    }
  });

  it('ends with 0 when nobody reads its messages any more, as with "head"', async () => {
    const { url, broadcast } = await startServer();
    const program = await start(['listen', 'a', '--url', url]);
    await program.prints(/subscribed to a\n/);
    program.child.stdout?.destroy();
    await broadcast('a', {});
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.stderr).not.toMatch(/EPIPE|\n +at /);
  });

  it('reads no more than its reader, and ends all the same when it is told to', async () => {
    const server = await startServer();
    const program = await start(['listen', 'a', '--url', server.url]);
    await program.prints(/subscribed to a\n/);
    program.child.stdout?.pause();
    await broadcastUntilCut(server);
    const exited = once(program.child, 'exit');
    program.child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });
});
