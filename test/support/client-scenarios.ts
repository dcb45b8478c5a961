import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { BifrostPublisher } from '../../src/publisher/index.ts';
import { type App, type StartApp, startAppServer } from './client-app.ts';
import { startProgram, temporaryFolder } from './program.ts';
import { startServer, type TestServer } from './server.ts';
import { TcpProxy } from './tcp-proxy.ts';
import { SECRET } from './tokens.ts';

/** What the app has received since the last report, which comes behind all that was posted before. */
async function received(app: App, server: TestServer) {
  const id = randomUUID();
  await server.broadcast('news', { event: 'report', data: id });
  const words = await app.says('report', id);
  return { numbers: words.at(-1)?.[2], gaps: words.filter(([kind]) => kind === 'gap') };
}

/** A server that the app reaches through a proxy. */
async function startNetwork(env: Readonly<Record<string, string>> = {}) {
  const server = await startServer(env);
  const proxy = await TcpProxy.to(server.port);
  let number = 0;
  return {
    server,
    proxy,
    url: `ws://127.0.0.1:${proxy.port}/subscribe`,
    /** Posts so many numbers, each greater by one, in turn on two channels. */
    async post(count: number, to = server) {
      const bifrost = new BifrostPublisher({ url: to.url, secret: SECRET });
      const broadcasts = Array.from({ length: count }, () => {
        number += 1;
        const channel = number % 3 === 0 ? 'user:1' : 'news';
        return { channel, message: { event: 'number', data: number } };
      });
      return bifrost.publishAll(broadcasts);
    },
    received: (app: App, from = server) => received(app, from),
  };
}

/** From `first` to `last`. */
export const numbers = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, n) => first + n);

/** An app that is connected, and all that is around it. */
export async function startConnected(
  startApp: StartApp,
  env: Readonly<Record<string, string>> = {},
) {
  const network = await startNetwork(env);
  const { tokens, tokenUrl } = await startAppServer();
  const settings = { url: network.url, tokenUrl };
  const app = await startApp(settings);
  await app.says('state', 'connected');
  return { ...network, tokens, settings, app };
}

/** With the program as it is deployed: only that reads and writes the file. */
export function describeRestart(startApp: StartApp): void {
  it('misses nothing when a server that keeps its history in a file is restarted', async () => {
    const folder = await temporaryFolder();
    const launch = async () => {
      const program = startProgram(folder, { JWT_SECRET: SECRET, HISTORY_FILE: 'history' });
      const url = `http://127.0.0.1:${await program.listening()}`;
      return { program, url, bifrost: new BifrostPublisher({ url, secret: SECRET }) };
    };
    const first = await launch();
    const proxy = await TcpProxy.to(Number(new URL(first.url).port));
    const { tokenUrl } = await startAppServer();
    const app = await startApp({ url: `ws://127.0.0.1:${proxy.port}/subscribe`, tokenUrl });
    await app.says('state', 'connected');
    const post = ({ bifrost }: typeof first, numbers: readonly number[]) =>
      Promise.all(numbers.map((data) => bifrost.publish('news', { event: 'number', data })));

    await post(first, [1, 2]);
    // These stay on the way.
    proxy.hold();
    await post(first, [3, 4]);
    first.program.child.kill('SIGTERM');
    await first.program.ended;
    proxy.cut();
    await app.says('state', 'waiting');
    const second = await launch();
    proxy.target = Number(new URL(second.url).port);
    await app.says('state', 'connected');
    await post(second, [5]);
    await second.bifrost.publish('news', { event: 'report', data: 'last' });
    const words = await app.says('report', 'last');
    expect(words.at(-1)).toEqual(['report', 'last', [1, 2, 3, 4, 5]]);
    expect(words.filter(([kind]) => kind === 'gap')).toEqual([]);
  });
}

/** What every runtime must be able to do. */
export function describeClient(startApp: StartApp): void {
  const start = (env?: Readonly<Record<string, string>>) => startConnected(startApp, env);

  it('receives what was broadcast while its connection was cut, each message once and in order', async () => {
    const { app, proxy, post, received } = await start();
    await post(3);
    expect(await received(app)).toEqual({ numbers: numbers(1, 3), gaps: [] });
    proxy.cut();
    await app.says('state', 'waiting');
    await post(50);
    await app.says('state', 'connected');
    await post(3);
    expect(await received(app)).toEqual({ numbers: numbers(4, 56), gaps: [] });
  });

  it('comes back to a server that has forgotten everything, and says so', async () => {
    const { app, proxy, server, post, received } = await start();
    await post(1);
    await server.server.close();
    const restarted = await startServer();
    proxy.target = restarted.port;
    await app.says('gap', 'user:1', 'news');
    await post(1, restarted);
    expect(await received(app, restarted)).toEqual({ numbers: [1, 2], gaps: [] });
  });

  it('is told of a gap after every reconnect when the server keeps no history', async () => {
    const { app, proxy, post, received } = await start({ HISTORY: 'off' });
    for (const number of [1, 2]) {
      await post(1);
      expect(await received(app)).toEqual({ numbers: [number], gaps: [] });
      proxy.cut();
      await app.says('gap', 'user:1', 'news');
    }
  });

  it('closes when the user logs out, and begins anew after the login', async () => {
    const { app, proxy, tokens, post, received } = await start();
    tokens.status = 401;
    proxy.cut();
    await app.says('state', 'closed');
    // Nobody may receive what was said to the user who has gone.
    await post(1);
    tokens.status = 200;
    await app.command('connect');
    await app.says('state', 'connected');
    await post(1);
    expect(await received(app)).toEqual({ numbers: [2], gaps: [] });
  });

  it('gives up when its tokens are signed with another secret', async () => {
    const { app, proxy, tokens } = await start();
    const { asked } = tokens;
    tokens.secret = 'another secret';
    proxy.cut();
    await app.says('state', 'closed', 'Closed with 4401 Not Authorized!');
    expect(tokens.asked - asked).toBe(2);
  });

  it('receives 10,000 messages through 20 cuts, each once and in order', async () => {
    const { app, proxy, post, received } = await start({ HISTORY_MESSAGES: '1000' });
    for (let cut = 0; cut < 20; cut += 1) {
      const posted = post(500);
      // Some are on their way, some are not posted yet.
      await new Promise((resolve) => setTimeout(resolve, cut));
      proxy.cut();
      await app.says('state', 'waiting');
      await posted;
      await app.command('connect');
      await app.says('state', 'connected');
    }
    expect(await received(app)).toEqual({ numbers: numbers(1, 10_000), gaps: [] });
  });
}
