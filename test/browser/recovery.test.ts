import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Link } from '../support/link.ts';
import { startServer } from '../support/server.ts';
import { RECOVERY_PAGE, snippet } from '../support/snippets.ts';
import {
  type Answer,
  lastClosed,
  OBSERVE_SOCKETS,
  says,
  socketsOpened,
  startApp,
  tokenFor,
} from './app.ts';
import { connectChromium } from './chromium.ts';

/** The page of docs/recovery.md, made to connect to this port, with what it leaves to the reader. */
function pageFor(port: number): string {
  const published = "'wss://bifrost.example.com/subscribe'";
  const client = snippet('A client in the browser', 'html', RECOVERY_PAGE);
  if (!client.includes(published)) throw new Error(`the client does not name ${published}`);
  return `<!doctype html>
    <meta charset="utf-8">
    <script>
      const receive = (channel, { n }) => console.log(channel + ' ' + n);
      const loadState = (channel) => console.log('load ' + channel);
    </script>
    ${client.replace(published, `'ws://127.0.0.1:${port}/subscribe'`)}`;
}

describe('the browser client of docs/recovery.md', () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await connectChromium();
  });
  afterAll(() => browser?.close());

  const goodToken = () => tokenFor(['user:1', 'news']);

  /** A server, a link that can be cut, and a page that has not been opened yet. */
  const startStage = async (
    env: Readonly<Record<string, string>> = {},
    answerToken: () => Answer = goodToken,
  ) => {
    const server = await startServer(env);
    const link = await Link.to(server.port);
    const url = await startApp(pageFor(link.port), answerToken);
    const page = await browser.newPage();
    onTestFinished(() => page.close());
    const printed: string[] = [];
    page.on('console', (message) => {
      // Chromium itself reports connections that fail.
      if (message.type() === 'log') printed.push(message.text());
    });
    const open = async () => {
      const confirmed = says(page, 'load news');
      await page.goto(url);
      await confirmed;
    };
    return { server, link, page, printed, url, open };
  };

  it('receives what it missed, each once and in order', async () => {
    const { server, link, page, printed, open } = await startStage();
    await open();
    for (const first of [1, 4]) {
      const live = says(page, `user:1 ${first}`);
      await server.broadcast('user:1', { n: first });
      await live;
      link.cut();
      await server.broadcast('news', { n: first + 1 });
      await server.broadcast('user:1', { n: first + 2 });
      const replayed = says(page, `user:1 ${first + 2}`);
      link.mend();
      await replayed;
    }
    const round = (first: number) => [
      `user:1 ${first}`,
      `news ${first + 1}`,
      `user:1 ${first + 2}`,
    ];
    expect(printed).toEqual(['load user:1', 'load news', ...round(1), ...round(4)]);
  });

  it('loads the state of the channel on which more was missed than is kept', async () => {
    const { server, link, page, printed, open } = await startStage({ HISTORY_MESSAGES: '1' });
    await open();
    link.cut();
    await server.broadcast('user:1', { n: 1 });
    await server.broadcast('user:1', { n: 2 });
    await server.broadcast('news', { n: 3 });
    const replayed = says(page, 'news 3');
    link.mend();
    await replayed;
    expect(printed).toEqual(['load user:1', 'load news', 'load user:1', 'news 3']);
  });

  it('has no gap after a silence during which the server forgot more than it', async () => {
    const { server, link, page, printed, open } = await startStage({ HISTORY_BYTES: '1048576' });
    await page.clock.install();
    const socket = page.waitForEvent('websocket');
    await open();
    const text = 'x'.repeat(200_000);
    for (let n = 0; n < 6; n += 1) await server.broadcast(`other:${n}`, { text });
    const pong = (await socket).waitForEvent('framereceived', ({ payload }) =>
      payload.toString().includes('pong'),
    );
    await page.clock.runFor(20_000);
    await pong;
    // Chromium reports a frame in the task that hands it to the page, so the page answers this after it.
    await page.evaluate('0');

    link.cut();
    await server.broadcast('news', { n: 1 });
    link.mend();
    const replayed = says(page, 'news 1');
    await page.clock.runFor(1_000);
    await replayed;
    expect(printed).toEqual(['load user:1', 'load news', 'news 1']);
  });

  it.each([
    ['the user is logged out', {}, (): Answer => ({ status: 401, body: '' })],
    ['a final close code', { MAX_CHANNELS_PER_CONNECTION: '1' }, goodToken],
  ])('does not come back after this: %s', async (_, env, answerToken) => {
    const { page, url } = await startStage(env, answerToken);
    await page.addInitScript(OBSERVE_SOCKETS);
    await page.clock.install();
    await page.goto(url);
    await lastClosed(page);
    // Far longer than the client would ever wait before it comes back.
    await page.clock.runFor(120_000);
    expect(await socketsOpened(page)).toBe(1);
  });
});
