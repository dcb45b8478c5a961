// `npm run docs:screenshots [-- FOLDER]`: makes the pictures of docs/images/, and others of the pages to look at in FOLDER.
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { launchChromium } from './launch.ts';
import { takeScreenshots } from './screenshots.ts';

const [given] = process.argv.slice(2);
const folder = resolve(given ?? (await mkdtemp(join(tmpdir(), 'bifrost-screenshots-'))));
await mkdir(folder, { recursive: true });
const browser = await launchChromium();
try {
  await takeScreenshots(browser, { docs: resolve('docs/images'), others: folder });
} finally {
  await browser.close();
}
console.log(`docs/images/ is written; the other screenshots are in ${folder}`);
