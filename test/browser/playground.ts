import type { Browser, BrowserContextOptions } from 'playwright-core';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { startServer } from '../support/server.ts';
import { connectChromium } from './chromium.ts';
import { partsOf } from './parts.ts';

/** A page of a browser, and everything that its console complains of: scripts that fail, and what the policy stops. */
async function openPage(browser: Browser, options: BrowserContextOptions = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { context, page, complaints };
}

/** For the tests of a file: opens pages in a browser, and closes them. */
export function useBrowser() {
  let browser: Browser;
  beforeAll(async () => {
    browser = await connectChromium();
  });
  afterAll(() => browser?.close());

  const open = async (options?: BrowserContextOptions) => {
    const opened = await openPage(browser, options);
    onTestFinished(() => opened.context.close());
    return opened;
  };
  return {
    openPage: open,
    /** The playground of a server of its own. */
    async openPlayground(
      env: Readonly<Record<string, string>> = {},
      options?: BrowserContextOptions,
    ) {
      const server = await startServer({ NODE_ENV: 'development', ...env });
      const opened = await open(options);
      await opened.page.goto(`${server.url}/test`);
      return { server, ...opened, ...partsOf(opened.page) };
    },
  };
}
