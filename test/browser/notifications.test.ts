import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startBifrost } from '../../src/testing.ts';
import { killAtExit } from '../support/child-cleanup.ts';
import { connectChromium } from './chromium.ts';

/** The example app in front of a Bifröst. Resolves to its address. */
async function startApp(bifrost: { url: string; secret: string }): Promise<string> {
  const app = spawn(process.execPath, ['examples/notifications/server.js'], {
    env: { JWT_SECRET: bifrost.secret, BIFROST_URL: bifrost.url, PORT: '0' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  killAtExit(app);
  onTestFinished(() => {
    app.kill();
  });
  const [text] = await once(app.stdout, 'data');
  return String(text).trim();
}

describe('the example of notifications', () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await connectChromium();
  });
  afterAll(() => browser?.close());

  const startStage = async () => {
    const bifrost = await startBifrost();
    onTestFinished(() => bifrost.close());
    const url = await startApp(bifrost);
    const complaints: string[] = [];

    /** A browser of somebody's own, at the page, with nobody signed in. */
    const openPage = async () => {
      const context = await browser.newContext();
      onTestFinished(() => context.close());
      const page = await context.newPage();
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        if (message.text().includes('Content Security Policy')) complaints.push(message.text());
      });
      await page.goto(url);
      await page.getByLabel('Your name').waitFor();
      return page;
    };
    return { bifrost, url, complaints, openPage };
  };

  const isConnected = (page: Page) =>
    page.getByRole('status').getByText('connected', { exact: true }).waitFor();

  const signIn = async (page: Page, name: string) => {
    await page.getByLabel('Your name').fill(name);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText(`You are ${name}.`).waitFor();
    await isConnected(page);
  };

  const notify = async (page: Page, to: string, text: string) => {
    await page.getByLabel('To').fill(to);
    await page.getByLabel('Text').fill(text);
    const answered = page.waitForResponse(/\/notify$/);
    await page.getByRole('button', { name: 'Notify' }).click();
    expect((await answered).status()).toBe(200);
  };

  const list = (page: Page) => page.getByRole('list', { name: 'Notifications' });
  const shows = (page: Page, text: string) => list(page).getByText(text, { exact: true }).waitFor();
  const shown = (page: Page) => list(page).getByRole('listitem').allTextContents();

  it('shows what one user sends another, and nothing of others', async () => {
    const { bifrost, complaints, openPage } = await startStage();
    const ada = await openPage();
    const bob = await openPage();
    await signIn(ada, 'ada');
    await signIn(bob, 'bob');

    await notify(ada, 'ada', 'note to myself');
    await notify(ada, 'bob', 'hello');
    await shows(bob, 'ada: hello');

    expect(await shown(bob)).toEqual(['ada: hello']);
    await shows(ada, 'ada: note to myself');
    expect(bifrost.broadcasts.map(({ channel, deliveries }) => [channel, deliveries])).toEqual([
      ['user:ada', 1],
      ['user:bob', 1],
    ]);
    expect(complaints).toEqual([]);
  });

  it('recovers what was sent while the connection was away, and does not load again', async () => {
    const { bifrost, openPage } = await startStage();
    const ada = await openPage();
    const bob = await openPage();
    await signIn(ada, 'ada');
    await signIn(bob, 'bob');
    await notify(ada, 'bob', 'first');
    await shows(bob, 'ada: first');
    const loads: string[] = [];
    bob.on('request', (request) => {
      if (request.url().endsWith('/notifications')) loads.push(request.url());
    });

    bifrost.drop();
    await notify(ada, 'bob', 'second');
    await shows(bob, 'ada: second');
    expect(await shown(bob)).toEqual(['ada: second', 'ada: first']);
    expect(loads).toEqual([]);
  });

  it('loads the list again after a gap, until the app answers', async () => {
    const { bifrost, openPage } = await startStage();
    const ada = await openPage();
    await signIn(ada, 'ada');
    const bob = await openPage();
    await signIn(bob, 'bob');
    await notify(ada, 'bob', 'first');
    await shows(bob, 'ada: first');

    bifrost.drop();
    await bob.getByRole('status').getByText('waiting: Closed with 1006').waitFor();
    await notify(ada, 'bob', 'second');
    // The app does not answer at first.
    await bob.route(/\/notifications$/, (route) => route.abort(), { times: 1 });
    const loaded = bob.waitForResponse(/\/notifications$/);
    await bifrost.forget();
    await loaded;
    await shows(bob, 'ada: second');
    expect(await shown(bob)).toEqual(['ada: second', 'ada: first']);
  });

  it('signs out and in again as somebody else, without a reload', async () => {
    const { bifrost, complaints, openPage } = await startStage();
    const page = await openPage();
    await signIn(page, 'ada');
    await notify(page, 'ada', 'for ada');
    await shows(page, 'ada: for ada');

    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Your name').waitFor();
    expect(await page.getByRole('status').textContent()).toBe('closed');
    expect(await shown(page)).toEqual([]);

    await signIn(page, 'bob');
    await bifrost.publisher.publish('user:ada', {
      event: 'notification',
      data: { id: 7, from: 'carol', text: 'for ada' },
    });
    await notify(page, 'bob', 'for bob');
    await shows(page, 'bob: for bob');
    expect(await shown(page)).toEqual(['bob: for bob']);
    expect(complaints).toEqual([]);
  });

  it('signs out when another tab did', async () => {
    const { bifrost, url, openPage } = await startStage();
    const first = await openPage();
    await signIn(first, 'ada');
    const second = await first.context().newPage();
    await second.goto(url);
    await isConnected(second);
    await second.getByRole('button', { name: 'Sign out' }).click();
    await second.getByLabel('Your name').waitFor();

    bifrost.drop();
    await first.getByLabel('Your name').waitFor();
    expect(await first.getByRole('status').textContent()).toBe('closed');
  });
});
