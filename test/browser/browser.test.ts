import type { Browser, WebSocket } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startServer } from '../support/server.ts';
import { snippet } from '../support/snippets.ts';
import {
  type Answer,
  lastClosed,
  nextSocketMs,
  OBSERVE_SOCKETS,
  refusedToken,
  says,
  socketsOpened,
  startApp as startAppWith,
  tokenFor,
} from './app.ts';
import { connectChromium } from './chromium.ts';

/** The README's page, made to connect to this port, behind the functions that it leaves to the app. */
function pageFor(port: number): string {
  const published = "'wss://bifrost.example.com/subscribe'";
  const client = snippet('With a plain websocket', 'html');
  if (!client.includes(published))
    throw new Error(`the README's client does not name ${published}`);
  return `<!doctype html>
    <meta charset="utf-8">
    <script>const showGreeting = (data) => console.log('greeting: ' + data);</script>
    ${client.replace(published, `'ws://127.0.0.1:${port}/subscribe'`)}`;
}

const goodToken = () => tokenFor(['user:1']);

/** The app of the README, in front of a server at this port. */
const startApp = (port: number, answerToken: () => Answer) =>
  startAppWith(pageFor(port), answerToken);

describe('the browser client of the README', () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await connectChromium();
  });
  afterAll(() => browser?.close());

  const newPage = async () => {
    const page = await browser.newPage();
    onTestFinished(() => page.close());
    return page;
  };

  it('authenticates, is confirmed and receives; after a restart of the server it does so again', async () => {
    const bifrost = await startServer();
    let tokensAsked = 0;
    const url = await startApp(bifrost.port, () => {
      tokensAsked += 1;
      return goodToken();
    });
    const page = await newPage();

    const confirmed = says(page, 'subscribed to user:1');
    await page.goto(url);
    await confirmed;
    expect(tokensAsked).toBe(1);

    const received = says(page, 'greeting: Hello');
    expect(await bifrost.broadcast('user:1', { event: 'greeting', data: 'Hello' })).toBe(1);
    await received;

    const confirmedAgain = says(page, 'subscribed to user:1');
    await bifrost.server.close();
    const restarted = await startServer({ PORT: String(bifrost.port) });
    await confirmedAgain;
    expect(tokensAsked).toBe(2);
    expect(await restarted.stats()).toEqual({ deliveries: 1, connected: 1 });

    const receivedAgain = says(page, 'greeting: Welcome back');
    expect(await restarted.broadcast('user:1', { event: 'greeting', data: 'Welcome back' })).toBe(
      1,
    );
    await receivedAgain;
  });

  it('connects again and asks again when the app has no token for it', async () => {
    const { port } = await startServer();
    const answers = [{ status: 500, body: 'out of order' }];
    const url = await startApp(port, () => answers.shift() ?? goodToken());
    const page = await newPage();

    const confirmed = says(page, 'subscribed to user:1');
    await page.goto(url);
    await confirmed;

    expect(answers).toEqual([]);
  });

  it('does not reconnect when the user is logged out', async () => {
    const { port } = await startServer();
    const url = await startApp(port, () => ({ status: 401, body: '' }));
    const page = await newPage();
    await page.clock.install();
    const sockets: WebSocket[] = [];
    page.on('websocket', (socket) => sockets.push(socket));

    const closed = page
      .waitForEvent('websocket')
      .then((socket) => socket.waitForEvent('close', { timeout: 10_000 }));
    await page.goto(url);
    await closed;
    // Far longer than the client would ever wait before it comes back.
    await page.clock.runFor(120_000);

    // A socket of our own, opened now, is the second one: the client opened none before it.
    const fence = page.waitForEvent('websocket');
    await page.evaluate((address) => {
      new WebSocket(address);
    }, `ws://127.0.0.1:${port}/subscribe?fence`);
    await fence;
    expect(sockets.map((socket) => new URL(socket.url()).search)).toEqual(['', '?fence']);
  });

  /** A page whose timers run only while the test says so. */
  const newPausedPage = async () => {
    const page = await newPage();
    await page.addInitScript(OBSERVE_SOCKETS);
    await page.clock.install({ time: 0 });
    await page.clock.pauseAt(1_000);
    return page;
  };

  it('asks for tokens less and less often when each is refused', async () => {
    const { port } = await startServer();
    let tokensAsked = 0;
    const url = await startApp(port, () => {
      tokensAsked += 1;
      return refusedToken();
    });
    const page = await newPausedPage();
    await page.goto(url);
    await lastClosed(page);
    const delays: number[] = [];
    for (let n = 0; n < 7; n += 1) {
      delays.push(await nextSocketMs(page));
      await lastClosed(page);
    }
    // Half a second, and each half as long again.
    expect(delays).toEqual([500, 750, 1_250, 1_750, 2_750, 4_000, 5_750]);
    expect(tokensAsked).toBe(8);
  });

  it('reconnects quickly only after it was subscribed for a while', async () => {
    const bifrost = await startServer();
    const answers = [refusedToken(), refusedToken(), refusedToken()];
    const url = await startApp(bifrost.port, () => answers.shift() ?? goodToken());
    const page = await newPausedPage();
    const confirmed = says(page, 'subscribed to user:1');
    await page.goto(url);
    for (const delayMs of [500, 750, 1_250]) {
      await lastClosed(page);
      expect(await nextSocketMs(page)).toBe(delayMs);
    }
    await confirmed;

    const confirmedAgain = says(page, 'subscribed to user:1');
    await bifrost.server.close();
    await lastClosed(page);
    const restarted = await startServer({ PORT: String(bifrost.port) });
    expect(await nextSocketMs(page)).toBe(1_750);
    await confirmedAgain;

    await page.clock.runFor(30_000);
    await restarted.server.close();
    await lastClosed(page);
    expect(await nextSocketMs(page)).toBe(500);
  });

  it('does not reconnect after a final close code', async () => {
    const { port } = await startServer({ MAX_CHANNELS_PER_CONNECTION: '1' });
    let tokensAsked = 0;
    const url = await startApp(port, () => {
      tokensAsked += 1;
      return tokenFor(['user:1', 'news']);
    });
    const page = await newPausedPage();
    await page.goto(url);
    await lastClosed(page);
    // Far longer than the client would ever wait before it comes back.
    await page.clock.runFor(120_000);
    expect(await socketsOpened(page)).toBe(1);
    expect(tokensAsked).toBe(1);
  });
});
