import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startServer } from '../support/server.ts';
import { launchChromium } from './chromium.ts';

let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser?.close());

/** A page, and everything that its console complained of: scripts that failed and what the policy stopped. */
async function openPage(options: BrowserContextOptions = {}) {
  const page = await browser.newPage(options);
  onTestFinished(() => page.close());
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { page, complaints };
}

/** The playground of a server, and its parts as a person finds them. */
async function openPlayground(env: Readonly<Record<string, string>> = {}) {
  const server = await startServer({ NODE_ENV: 'development', ...env });
  const { page, complaints } = await openPage();
  await page.goto(`${server.url}/test`);
  const field = (name: string) => page.getByLabel(name, { exact: true });
  const section = (name: string) => page.getByRole('region', { name });
  return {
    server,
    page,
    complaints,
    channels: field('Channels'),
    token: field('Token'),
    message: field('Message'),
    state: page.getByRole('status').first(),
    subscriptions: page.getByRole('list', { name: 'Subscribed channels' }),
    connection: section('Connect'),
    broadcast: section('Broadcast'),
    log: page.getByRole('log'),
    press: (name: string) => page.getByRole('button', { name, exact: true }).click(),
    /** Resolves when a counter shows this. */
    counts: (name: string, value: number) =>
      page.locator('dl div', { hasText: name }).getByText(String(value), { exact: true }).waitFor(),
    frames: (kind: 'sent' | 'received') =>
      page.getByRole('log').getByRole('listitem').filter({ hasText: kind }),
  };
}

/** Resolves when the text is there. */
const shows = (place: ReturnType<Page['locator']>, text: string) =>
  place.filter({ hasText: text }).waitFor();

describe('the first minute with the playground', () => {
  it('shows a broadcast that was sent with a minted token, and why a broken token is refused', async () => {
    const playground = await openPlayground();
    const { channels, token, state, press, frames, connection } = playground;
    await shows(state, 'Not connected');
    await playground.counts('connected', 0);

    await channels.fill('user:1, news');
    await press('Mint token');
    await playground.page.getByText('Minted. Now connect.').waitFor();
    expect((await token.inputValue()).split('.')).toHaveLength(3);
    await playground.page.getByText('"channels":["user:1","news"]').waitFor();

    await press('Connect');
    await shows(state, 'Subscribed to 2 channels');
    expect(await playground.subscriptions.getByRole('listitem').allTextContents()).toEqual([
      'user:1',
      'news',
    ]);
    await playground.counts('connected', 2);
    await playground.counts('deliveries', 2);

    await press('Broadcast');
    await shows(playground.broadcast, 'Delivered to 1 socket');
    const message = '{"event":"greeting","data":"Hello"}';
    const entry = frames('received').filter({ hasText: message });
    await entry.waitFor();
    expect(await entry.textContent()).toContain(`${message.length} B`);
    expect(await entry.locator('time').textContent()).toMatch(/^\d\d:\d\d:\d\d\.\d{3}$/);
    await playground.counts('deliveries', 3);

    const genuine = await token.inputValue();
    await press('Break signature');
    expect(await token.inputValue()).not.toBe(genuine);
    await press('Reconnect');
    await shows(state, 'Closed with 4401');
    await shows(connection, '4401 Not Authorized!');
    await shows(connection, 'The token was refused: changed after it was signed, expired,');
    await shows(connection, 'Mint a fresh token and reconnect.');
    await playground.counts('connected', 0);
    expect(await frames('sent').count()).toBe(2);

    await press('Mint token');
    await playground.page.getByText('Minted. Now connect.').waitFor();
    await press('Reconnect');
    await shows(state, 'Subscribed to 2 channels');
    expect(await connection.getByText('4401').count()).toBe(0);

    expect(playground.complaints).toEqual([]);
  });

  it('needs nothing but a keyboard', async () => {
    const { page, token, state, message, broadcast, press, connection } = await openPlayground();
    let sockets = 0;
    page.on('websocket', () => {
      sockets += 1;
    });
    const focused = page.locator(':focus');
    const enter = () => page.keyboard.press('Enter');

    // The cursor is there already.
    expect(await focused.getAttribute('id')).toBe('channels');
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.type('news');
    await enter();
    await page.getByText('Minted. Now connect.').waitFor();

    const order: (string | null)[] = [];
    for (let step = 0; step < 4; step += 1) {
      await page.keyboard.press('Tab');
      order.push(await focused.textContent());
    }
    expect(order).toEqual(['Mint token', '', 'Break signature', 'Connect']);
    await enter();
    await shows(state, 'Subscribed to 1 channel');
    // A button that has done its work must not lose the focus.
    expect(await focused.textContent()).toBe('Connect');
    await enter();

    await message.focus();
    await page.keyboard.press('Shift+Enter');
    await enter();
    await shows(broadcast, 'Delivered to 1 socket');
    expect(await message.inputValue()).toContain('\n');
    // The button that was pressed again while connected did nothing.
    expect(sockets).toBe(1);

    await token.focus();
    await page.keyboard.type('x');
    await enter();
    await shows(connection, '4401 Not Authorized!');

    await press('Mint token');
    await page.getByText('Minted. Now connect.').waitFor();
    await token.focus();
    await enter();
    await shows(state, 'Subscribed to 1 channel');
  });

  it('closes on request, and says that the user did it', async () => {
    const { server, page, state, press, connection, counts } = await openPlayground();
    await press('Connect');
    await shows(state, 'Connected, not authenticated');
    await press('Mint token');
    await page.getByText('Minted. Authenticate with it.').waitFor();
    await press('Authenticate');
    await shows(state, 'Subscribed to 1 channel');

    await press('Close');
    await shows(state, 'Closed with 1000');
    await shows(connection, 'You closed the connection.');
    await counts('connected', 0);
    expect(await server.stats()).toEqual({ deliveries: 1, connected: 0 });
  });

  it('sends anything, and says what the server makes of it', async () => {
    const { page, state, press, connection, frames } = await openPlayground();
    await press('Connect');
    await shows(state, 'Connected, not authenticated');

    await press('Send');
    await frames('received').filter({ hasText: '{"event":"pong"}' }).waitFor();
    await page.getByLabel('Send anything').fill('å');
    await press('Send');
    await frames('sent').filter({ hasText: '2 B' }).waitFor();
    await shows(connection, '4400 Invalid message');
    await shows(connection, 'A message was not JSON, or not a JSON object.');
  });

  it('says why a broadcast was refused, and when nobody listens', async () => {
    const { message, broadcast, press } = await openPlayground();
    await press('Broadcast');
    await shows(broadcast, 'Delivered to 0 sockets');
    await shows(broadcast, 'Nobody is subscribed to this channel.');

    await message.fill('{"event":');
    await press('Broadcast');
    await shows(broadcast, 'Not delivered');
    await shows(broadcast, '400 message must be a JSON object');
  });

  it('delivers a message as it was typed', async () => {
    const { page, message, press, state, frames } = await openPlayground();
    await press('Mint token');
    await page.getByText('Minted. Now connect.').waitFor();
    await press('Connect');
    await shows(state, 'Subscribed to 1 channel');

    const text = '{"b":9007199254740993, "1":1.0,"a":"ö"}';
    await message.fill(text);
    await press('Broadcast');
    const entry = frames('received').filter({ hasText: text });
    await entry.waitFor();
    expect(await entry.textContent()).toContain(`${Buffer.byteLength(text)} B`);
  });

  it('takes names with commas from a JSON array, and says when it is none', async () => {
    const { page, channels, press, subscriptions, state } = await openPlayground();
    await channels.fill('["a, b"');
    await press('Mint token');
    await page.getByText('This starts like a JSON array and is none').waitFor();

    await channels.fill('["a, b", ""]');
    await press('Mint token');
    await page.getByText('Minted. Now connect.').waitFor();
    await press('Connect');
    await shows(state, 'Subscribed to 2 channels');
    expect(await subscriptions.getByRole('listitem').allTextContents()).toEqual([
      'a, b',
      '(the empty name)',
    ]);
  });

  it('shows markup from the network as the text it is', async () => {
    const { page, complaints, channels, message, press, subscriptions, broadcast, frames } =
      await openPlayground();
    const markup = '<img src=x onerror=alert(1)>';
    await channels.fill(markup);
    await press('Mint token');
    await page.getByText('Minted. Now connect.').waitFor();
    await press('Connect');
    await shows(subscriptions, markup);
    await message.fill(JSON.stringify({ event: markup }));
    await press('Broadcast');
    await shows(broadcast, 'Delivered to 1 socket');
    await frames('received')
      .filter({ hasText: `{"event":"${markup}"}` })
      .waitFor();

    expect(await page.locator('img').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('says that the server has gone, and comes back when it has', async () => {
    const { server, page, state, press, connection, broadcast, subscriptions } =
      await openPlayground();
    await press('Mint token');
    await page.getByText('Minted. Now connect.').waitFor();
    await press('Connect');
    await shows(state, 'Subscribed to 1 channel');

    await server.server.close();
    await shows(connection, '1001 Server shutting down');
    await shows(connection, 'The server was told to stop.');
    expect(await subscriptions.getByRole('listitem').count()).toBe(0);
    await press('Broadcast');
    await shows(broadcast, 'No answer from the server');
    await press('Connect');
    await shows(connection, '1006');
    await shows(connection, 'The connection was cut off, or never opened');

    await startServer({ NODE_ENV: 'development', PORT: String(server.port) });
    await press('Reconnect');
    await shows(state, 'Subscribed to 1 channel');
  });
});

describe('the client in the playground', () => {
  it('comes back after its connection was dropped, and shows what it recovered', async () => {
    const { server, page, channels, press, frames, counts } = await openPlayground();
    const client = page.getByRole('region', { name: 'Or with the client' });
    const fact = (name: string) =>
      client.getByRole('listitem').filter({ hasText: name }).locator('b');
    await channels.fill('user:1, news');
    await press('Start client');
    await client.getByText('Connected', { exact: true }).waitFor();
    await counts('connected', 2);

    await press('Broadcast');
    await frames('received').filter({ hasText: '"event":"message","channel":"user:1"' }).waitFor();
    await shows(fact('messages'), '1');
    const position = await fact('position').textContent();
    expect(position).toMatch(/^[\dA-Za-z]{8}\.\d{1,16}$/);

    await press('Drop connection');
    await client.getByText('Waiting to connect again').waitFor();
    await counts('connected', 0);
    await server.broadcast('user:1', { event: 'greeting', data: 'missed' });
    await server.broadcast('news', { event: 'news', data: 'missed too' });
    await shows(fact('recovered'), '2');
    await shows(fact('messages'), '3');
    expect(await fact('gaps').textContent()).toBe('0');
    expect(await fact('position').textContent()).not.toBe(position);
    // The raw connection is another one.
    await page.getByText('Not connected').waitFor();

    await press('Stop client');
    await client.getByText('Closed', { exact: true }).waitFor();
    await counts('connected', 0);
  });

  it('says when something may be missing', async () => {
    const { page, press, broadcast } = await openPlayground({ HISTORY: 'off' });
    const client = page.getByRole('region', { name: 'Or with the client' });
    const fact = (name: string) => client.getByRole('listitem').filter({ hasText: name });
    await press('Start client');
    await client.getByText('Connected', { exact: true }).waitFor();
    await press('Broadcast');
    await shows(broadcast, 'Delivered to 1 socket');
    await shows(fact('messages'), '1');
    await press('Drop connection');
    await page.getByText('Client: a gap on user:1. An app loads its state again.').waitFor();
    await shows(fact('gaps'), '1');
    expect(await fact('position').textContent()).toBe('position –');
  });
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

describe.each([
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
])('at $width pixels', (viewport) => {
  it.each(['light', 'dark'] as const)('nothing sticks out of the page, %s', async (colorScheme) => {
    const { url } = await startServer({ NODE_ENV: 'development' });
    const { page } = await openPage({ viewport, colorScheme });
    const contentWidth = () => page.evaluate<number>('document.documentElement.scrollWidth');
    await page.goto(url);
    expect(await contentWidth()).toBe(viewport.width);

    await page.goto(`${url}/test`);
    await page.getByLabel('Channels').first().fill('x'.repeat(200));
    await page.getByRole('button', { name: 'Mint token' }).click();
    await page.getByText('Minted. Now connect.').waitFor();
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    await page.getByText('Subscribed to 1 channel').waitFor();
    await page.getByText('Close codes and their meaning').click();
    await page.getByRole('row').last().scrollIntoViewIfNeeded();
    expect(await contentWidth()).toBe(viewport.width);
    // The log stays in view while the page is scrolled, but not over what comes below.
    const wire = await page.getByRole('region', { name: 'On the wire' }).boundingBox();
    const table = await page.locator('main > details').boundingBox();
    expect(Number(wire?.y) + Number(wire?.height)).toBeLessThan(Number(table?.y));
    // The log scrolls by itself, and up and down only.
    const log = "document.getElementById('log')";
    expect(await page.evaluate<number>(`${log}.scrollWidth - ${log}.clientWidth`)).toBe(0);
  });
});
