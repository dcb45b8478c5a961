import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/program.ts';
import { connectChromium } from './chromium.ts';
import { useBrowser } from './playground.ts';
import { LOOKS, takeScreenshots } from './screenshots.ts';

const { openPage } = useBrowser();

it('screenshots are taken of every state, small ones, and a browser shows them', async () => {
  const [docs, others] = [await temporaryFolder(), await temporaryFolder()];
  const browser = await connectChromium();
  const look = LOOKS['desktop-dark'] ?? {};
  await takeScreenshots(browser, { docs, others }, { 'desktop-dark': look });
  await browser.close();

  expect(await readdir(docs)).toEqual(['playground-dark.png']);
  expect(await readdir(others)).toHaveLength(9);
  const picture = await readFile(join(docs, 'playground-dark.png'));
  expect(picture.length).toBeLessThan(150_000);
  const { page } = await openPage();
  await page.setContent(`<img src="data:image/png;base64,${picture.toString('base64')}">`);
  const image = page.locator('img');
  await image.evaluate('(element) => element.decode()');
  const size = await image.boundingBox();
  expect(size?.width).toBe(1280);
  expect(size?.height).toBeGreaterThan(700);
});
