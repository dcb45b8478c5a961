import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { startServer } from '../support/server.ts';
import { shows } from './parts.ts';
import { useBrowser } from './playground.ts';

const { openPage, openPlayground } = useBrowser();

const VIEWPORTS = [
  { width: 1280, height: 900 },
  { width: 390, height: 844 },
];
const LOOKS = VIEWPORTS.flatMap((viewport) =>
  (['light', 'dark'] as const).map((colorScheme) => ({ viewport, colorScheme })),
);

/** What axe-core finds wrong with the page as it is now: rule → the elements. */
async function flawsOf(page: Page): Promise<Record<string, unknown>> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<axe.AxeResults>('axe.run()');
  return Object.fromEntries(
    violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 200))]),
  );
}

describe.each(LOOKS)('with $viewport.width pixels, $colorScheme', (look) => {
  it('axe-core finds nothing wrong before, during and after', async () => {
    const { page, state, connection, broadcast, message, press, openByHand, frames } =
      await openPlayground({}, look);
    expect(await flawsOf(page)).toEqual({});

    await press('Connect');
    await shows(state, 'Subscribed to 1 channel');
    await press('Broadcast');
    await shows(broadcast, 'Delivered to 1 socket');
    await frames('received').filter({ hasText: 'greeting' }).click();
    await press('Ruby');
    await openByHand();
    await press('Mint token');
    await page.getByText('Minted.').waitFor();
    await page.getByText('Close codes and their meaning').click();
    expect(await flawsOf(page)).toEqual({});

    await press('Drop connection');
    await shows(state, 'Waiting to connect again');
    await message.fill('{');
    await press('Broadcast');
    await shows(broadcast, 'Not JSON');
    await shows(connection, 'Connection dropped');
    expect(await flawsOf(page)).toEqual({});
  });

  it('axe-core finds nothing wrong with the landing page', async () => {
    const { url } = await startServer({ NODE_ENV: 'development' });
    const { page } = await openPage(look);
    await page.goto(url);
    expect(await flawsOf(page)).toEqual({});
  });

  it('nothing sticks out of the pages', async () => {
    const { page, server, channels, message, press, openByHand, state, frames } =
      await openPlayground({}, look);
    const contentWidth = () => page.evaluate<number>('document.documentElement.scrollWidth');
    await channels.fill('x'.repeat(200));
    await message.fill(`{"event":"${'y'.repeat(300)}"}`);
    await press('Connect');
    await shows(state, 'Subscribed to 1 channel');
    await press('Broadcast');
    await frames('received').filter({ hasText: 'yyy' }).click();
    await press('curl');
    await openByHand();
    await press('Mint token');
    await page.getByText('Minted.').waitFor();
    await page.getByText('Close codes and their meaning').click();
    await page.getByRole('row').last().scrollIntoViewIfNeeded();
    expect(await contentWidth()).toBe(look.viewport.width);
    // The list stays in view while the page is scrolled, but not over what comes below.
    const list = await page.getByRole('region', { name: 'Messages' }).boundingBox();
    const table = await page.locator('main > details').boundingBox();
    expect(Number(list?.y) + Number(list?.height)).toBeLessThan(Number(table?.y));
    // It scrolls by itself, and up and down only.
    expect(await page.evaluate<number>('log.scrollWidth - log.clientWidth')).toBe(0);

    await page.goto(server.url);
    expect(await contentWidth()).toBe(look.viewport.width);
  });
});

it('has broadcasting above the fold of a desktop, connected or not', async () => {
  const [viewport] = VIEWPORTS;
  const { page, state, broadcast, press } = await openPlayground({}, viewport && { viewport });
  const bottom = async () => {
    const { y = 0, height = 0 } = (await page.locator('.copy').boundingBox()) ?? {};
    return y + height;
  };
  expect(await bottom()).toBeLessThan(900);
  await press('Connect');
  await shows(state, 'Subscribed to 1 channel');
  await press('Broadcast');
  await shows(broadcast, 'Delivered to 1 socket');
  expect(await bottom()).toBeLessThan(900);
  expect(await page.evaluate('scrollY')).toBe(0);
});

it('shows on a phone what came of a broadcast where the finger was', async () => {
  const [, viewport] = VIEWPORTS;
  const { page, state, broadcast, press, button } = await openPlayground(
    {},
    {
      ...(viewport && { viewport }),
      hasTouch: true,
      isMobile: true,
    },
  );
  await press('Connect');
  await shows(state, 'Subscribed to 1 channel');
  for (const answer of ['Delivered to 1 socket', 'Not JSON']) {
    await button('Broadcast').scrollIntoViewIfNeeded();
    const finger = await button('Broadcast').boundingBox();
    await button('Broadcast').tap();
    await shows(broadcast, answer);
    const result = await broadcast.locator('#broadcast-report').boundingBox();
    const [top, bottom] = [Number(result?.y), Number(result?.y) + Number(result?.height)];
    const at = Number(finger?.y) + Number(finger?.height) / 2;
    expect(Math.max(top - at, at - bottom)).toBeLessThan(20);
    expect(bottom).toBeLessThanOrEqual(844);
    await page.getByLabel('Message', { exact: true }).fill('{"event"}');
  }
});

describe('the landing page', () => {
  it('has its style, says what is running and leads to the playground', async () => {
    const { url } = await startServer({ NODE_ENV: 'development' });
    const { page, complaints } = await openPage();
    await page.goto(url);
    await page.getByText('Bifröst is an open source websocket server').waitFor();
    // As the stylesheet has it; browsers start with none.
    expect((await page.locator('main').boundingBox())?.width).toBe(640);

    await page.getByRole('link', { name: 'Playground' }).click();
    await page.getByText('Not connected').waitFor();
    expect(complaints).toEqual([]);
  });
});
