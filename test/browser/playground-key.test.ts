import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { createPlaygroundKey } from '../../src/pages/playground-key.ts';
import { startServer } from '../support/server.ts';
import { launchChromium } from './chromium.ts';

let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser?.close());

it('the playground broadcasts with the key of its own address', async () => {
  const playgroundKey = createPlaygroundKey();
  const { url, connect } = await startServer({}, undefined, { playgroundKey });
  const alice = await (await connect()).subscribe('user:1');
  const page = await browser.newPage();
  onTestFinished(() => page.close());
  await page.goto(`${url}/test?key=${playgroundKey}`);
  const minted = page.waitForResponse(`${url}/test/token?key=${playgroundKey}`);
  await page.getByLabel('Channel', { exact: true }).fill('user:1');
  await page.getByRole('button', { name: 'Broadcast', exact: true }).click();
  expect((await minted).status()).toBe(200);
  await alice.next();
});
