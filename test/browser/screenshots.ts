import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { loadConfig } from '../../src/config/config.ts';
import { BifrostPublisher } from '../../src/publisher/index.ts';
import { createServer } from '../../src/server.ts';
import { partsOf, shows } from './parts.ts';
import { shrinkPng } from './small-png.ts';

const SECRET = 'a secret of the screenshots, of which they show nothing at all';
const LIGHT = { colorScheme: 'light' } as const;
const DARK = { colorScheme: 'dark' } as const;
const DESKTOP = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
export const LOOKS: Readonly<Record<string, BrowserContextOptions>> = {
  'desktop-light': { ...DESKTOP, ...LIGHT },
  'desktop-dark': { ...DESKTOP, ...DARK },
  'phone-light': { ...PHONE, ...LIGHT },
  'phone-dark': { ...PHONE, ...DARK },
};

export interface Folders {
  /** For the pictures of the documentation. */
  readonly docs: string;
  /** For those of all states and looks. */
  readonly others: string;
}

/** A playground with a server of its own. `save` writes a picture of it as it is now. */
async function openStage(browser: Browser, options: BrowserContextOptions) {
  const env = { JWT_SECRET: SECRET, NODE_ENV: 'development', HOST: '127.0.0.1', PORT: '0' };
  const server = createServer(
    loadConfig({ ...env, DRAIN_SECONDS: '0' }),
    pino({ level: 'silent' }),
  );
  const bound = await server.listen();
  const url = `http://127.0.0.1:${bound?.port}`;
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.goto(`${url}/test`);
  return {
    ...partsOf(page),
    page,
    url,
    publisher: new BifrostPublisher({ url, secret: SECRET }),
    async save(folder: string, name: string, height = options.viewport?.height ?? 0) {
      const clip = { x: 0, y: 0, width: options.viewport?.width ?? 0, height };
      const picture = await page.screenshot({ animations: 'disabled', clip });
      await writeFile(join(folder, `${name}.png`), shrinkPng(picture));
    },
    async close() {
      await context.close();
      await server.close();
    },
  };
}

type Stage = Awaited<ReturnType<typeof openStage>>;

/** Connects, misses three messages while the connection is away, and recovers them. */
async function play(stage: Stage) {
  const { channels, press, state, counts, connection, broadcast, publisher } = stage;
  await channels.fill('user:1, news');
  await press('Connect');
  await shows(state, 'Subscribed to 2 channels');
  await press('Clear');
  await press('Broadcast');
  await counts('messages', 1);
  await publisher.publish('news', { event: 'item', data: { id: 7, title: 'Bridge opens' } });
  await counts('messages', 2);
  await press('Drop connection');
  await counts('connected', 0);
  await publisher.publish('user:1', { event: 'greeting', data: 'While you were away' });
  await publisher.publish('news', { event: 'item', data: { id: 8, title: 'Still open' } });
  await press('Broadcast');
  await shows(connection, '3 messages recovered');
  await counts('connected', 2);
  await press('Broadcast');
  await shows(broadcast, 'Delivered to 1 socket');
}

/** Saves pictures of the playground at work, in the colour schemes of the looks, and of both pages in all states. */
export async function takeScreenshots(
  browser: Browser,
  { docs, others }: Folders,
  looks: Readonly<Record<string, BrowserContextOptions>> = LOOKS,
): Promise<void> {
  await mkdir(docs, { recursive: true });
  for (const [look, options] of Object.entries(looks)) {
    const stage = await openStage(browser, options);
    const { page, press, state, message, frames, openByHand, byHand, broadcast, save, url } = stage;
    await save(others, `test-1-before-${look}`);
    const saveAway = async () => {
      await shows(state, 'Waiting to connect again');
      await save(others, `test-2-away-${look}`);
    };
    await Promise.all([play(stage), saveAway()]);
    await frames('received').filter({ hasText: 'Bridge opens' }).click();
    await page.evaluate(
      'document.activeElement.blur(); scrollTo(0, 0); log.scrollTop = log.scrollHeight',
    );
    await save(others, `test-3-recovered-${look}`);
    const { y = 0, height = 0 } = (await byHand.boundingBox()) ?? {};
    // Whole boxes, down to the last one that is in view.
    if (look === 'desktop-light') await save(docs, 'playground', y + height + 10);
    if (look === 'desktop-dark') await save(docs, 'playground-dark', y + height + 10);

    await press('Broadcast');
    await shows(broadcast, 'Delivered to 1 socket');
    await save(others, `test-4-broadcast-${look}`);
    await message.fill('{"event": "greeting",\n "data": Hello}');
    await press('Broadcast');
    await shows(broadcast, 'Not JSON');
    await save(others, `test-5-fault-${look}`);
    await message.fill('{"event":"greeting","data":"Hello"}');
    await press('Ruby');
    await save(others, `test-6-copy-${look}`);
    await openByHand();
    await press('Mint token');
    await page.getByText('Minted.').waitFor();
    await press('Break signature');
    await press('Open socket');
    await shows(state, 'Closed with 4401');
    await save(others, `test-7-by-hand-${look}`);
    await page.getByText('Close codes and their meaning').click();
    await page.getByRole('row').nth(3).scrollIntoViewIfNeeded();
    await save(others, `test-8-close-codes-${look}`);
    await page.goto(url);
    await save(others, `landing-${look}`);
    await stage.close();
  }
}
