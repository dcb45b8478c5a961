import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  App,
  type AppSettings,
  pageUrl,
  type StartApp,
  startAppServer,
} from '../support/client-app.ts';
import {
  describeClient,
  describeRestart,
  numbers,
  startConnected,
} from '../support/client-scenarios.ts';
import { startServer } from '../support/server.ts';
import { snippet } from '../support/snippets.ts';
import { lastClosed, nextSocketMs, OBSERVE_SOCKETS, socketsOpened } from './app.ts';
import { connectChromium } from './chromium.ts';
import { launchChromium } from './launch.ts';

/** An app in a page, and the page. */
class PageApp extends App {
  readonly page: Page;

  constructor(page: Page) {
    super((name) => page.evaluate(`commands.${name}()`));
    this.page = page;
    page.on('console', (message) => this.hear(message.text()));
  }
}

async function openApp(
  context: BrowserContext,
  settings: AppSettings,
  prepare: (page: Page) => unknown = () => {},
): Promise<PageApp> {
  const page = await context.newPage();
  const app = new PageApp(page);
  await prepare(page);
  await page.goto(pageUrl(settings));
  return app;
}

describe('in a browser, the client', () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await connectChromium();
  });
  afterAll(() => browser?.close());

  const newContext = async () => {
    const context = await browser.newContext();
    onTestFinished(() => context.close());
    return context;
  };

  /** A connected app in a page of its own, and all that is around it. */
  async function start(
    context: BrowserContext,
    prepare?: (page: Page) => unknown,
    env?: Readonly<Record<string, string>>,
  ) {
    let opened: PageApp | undefined;
    const around = await startConnected(async (settings) => {
      opened = await openApp(context, settings, prepare);
      return opened;
    }, env);
    return { ...around, page: (opened as PageApp).page };
  }

  const startApp: StartApp = async (settings) => openApp(await newContext(), settings);
  describeClient(startApp);
  describeRestart(startApp);

  it('works as the README shows, in a page whose policy lets in nothing else', async () => {
    const server = await startServer();
    const host = `127.0.0.1:${server.port}`;
    const sample = snippet('With the client', 'html')
      .replaceAll('https://bifrost.example.com', `http://${host}`)
      .replaceAll('wss://bifrost.example.com', `ws://${host}`)
      .replace('<script', '<script nonce="of-the-page"');
    const show = "const showGreeting = (data) => console.log('greeting: ' + data);";
    const policy = [
      "default-src 'none'",
      `script-src 'nonce-of-the-page' http://${host}`,
      `connect-src 'self' ws://${host}`,
    ];
    const { url } = await startAppServer({
      body: `<!doctype html><script nonce="of-the-page">${show}</script>${sample}`,
      headers: { 'Content-Security-Policy': policy.join('; ') },
    });
    const page = await (await newContext()).newPage();
    const says = (text: string) =>
      page.waitForEvent('console', (message) => message.text().trim() === text);
    const connected = says('connected');
    await page.goto(url);
    await connected;
    const heard = Promise.all([says('greeting: Hello'), says('{"event":"item","n":1.0} false')]);
    await server.broadcast('user:1', { event: 'greeting', data: 'Hello' });
    await server.broadcast('news', '{"event":"item","n":1.0}');
    await heard;
  });

  it('finds out that its connection is dead when the network is there again', async () => {
    const context = await newContext();
    const { app, proxy, post, received } = await start(context);
    await post(1);
    expect(await received(app)).toEqual({ numbers: [1], gaps: [] });
    proxy.freeze();
    await context.setOffline(true);
    await post(2);
    proxy.thaw();
    await context.setOffline(false);
    const onlineAt = Date.now();
    await app.says('state', 'waiting', 'No answer in time');
    // The deadline is ten seconds. Without the event it would take 35.
    expect(Date.now() - onlineAt).toBeLessThan(25_000);
    await app.says('state', 'connected');
    expect(await received(app)).toEqual({ numbers: [2, 3], gaps: [] });
  });

  it('notices within 40 seconds that the server says nothing any more', async () => {
    const { app, page, proxy } = await start(await newContext(), (page) => page.clock.install());
    proxy.freeze();
    await page.clock.runFor(40_000);
    await app.says('state', 'waiting', 'No answer in time');
  });

  it.each([
    // Once more, with a fresh one; then no token can be of use.
    ['refused', { secret: 'another secret' }, 2],
    ['not given', { status: 500 }, 8],
  ])('asks for fewer than 12 tokens a minute when they are %s', async (_, fault, expected) => {
    const { port } = await startServer();
    const { tokens, tokenUrl } = await startAppServer();
    Object.assign(tokens, fault);
    const settings = { url: `ws://127.0.0.1:${port}/subscribe`, tokenUrl };
    // The minute of the contract, by the clock of the page, which stands still while the network is at work. The delays
    // are the shortest that there can be.
    const { page } = await openApp(await newContext(), settings, async (page) => {
      await page.addInitScript(OBSERVE_SOCKETS);
      await page.clock.install({ time: 0 });
      await page.clock.pauseAt(1_000);
    });
    for (let ms = 0; ms < 60_000; ) {
      await page.waitForFunction('closings.length > 0');
      await lastClosed(page);
      ms += await nextSocketMs(page, 60_000 - ms);
    }
    expect(tokens.asked).toBe(expected);
    expect(await socketsOpened(page)).toBe(expected);
  });

  it('keeps its connection when the page was frozen', { timeout: 120_000 }, async () => {
    // Its renderers are all that there are.
    const own = await launchChromium();
    onTestFinished(() => own.close());
    // The server's own pings would find the held connection dead.
    const env = { PING_INTERVAL_SECONDS: '600' };
    const context = await own.newContext();
    const { app, page, proxy, post, received } = await start(context, undefined, env);
    const session = await own.newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    const renderers = processInfo.filter(({ type }) => type === 'renderer');
    expect(renderers.length).toBeGreaterThan(0);
    const signal = (name: NodeJS.Signals) => {
      for (const { id } of renderers) process.kill(id, name);
    };

    // A ping is on its way. When the page runs again its deadline has passed long since, but no answer can be there.
    const pinged = proxy.clientSends();
    await page.evaluate("dispatchEvent(new Event('online'))");
    await pinged;
    proxy.hold();
    signal('SIGSTOP');
    await post(3);
    await new Promise((resolve) => setTimeout(resolve, 20_000));
    const pingedAgain = proxy.clientSends();
    signal('SIGCONT');
    await pingedAgain;
    proxy.release();
    expect(await received(app)).toEqual({ numbers: numbers(1, 3), gaps: [] });
    expect(app.states).toEqual(['connecting', 'connected']);
  });

  it('goes on where it was when the page comes out of the back/forward cache', async () => {
    const own = await launchChromium({ ignoreDefaultArgs: ['--disable-back-forward-cache'] });
    onTestFinished(() => own.close());
    const { app, page, server, settings, post, received } = await start(await own.newContext());
    await post(1);
    expect(await received(app)).toEqual({ numbers: [1], gaps: [] });
    await page.goto(new URL('/elsewhere', settings.tokenUrl).href);
    await post(2);
    expect((await server.stats()).connected).toBe(0);
    // Nothing is loaded.
    await page.goBack({ waitUntil: 'commit' });
    await app.says('restored');
    await app.says('state', 'connected');
    expect(await received(app)).toEqual({ numbers: [2, 3], gaps: [] });
  });
});
