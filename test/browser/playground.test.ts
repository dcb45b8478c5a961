import { describe, expect, it } from 'vitest';
import { startServer } from '../support/server.ts';
import { shows } from './parts.ts';
import { useBrowser } from './playground.ts';

const { openPlayground } = useBrowser();

const HELLO = '{"event":"greeting","data":"Hello"}';

describe('the first minute with the playground', () => {
  it('takes one click to connect and one to broadcast', async () => {
    const { page, state, subscriptions, press, broadcast, frames, counts, complaints, server } =
      await openPlayground();
    await shows(state, 'Not connected');
    await counts('connected', 0);

    await press('Connect');
    await shows(state, 'Subscribed to 1 channel');
    expect(await subscriptions.getByRole('listitem').allTextContents()).toEqual(['user:1']);
    await counts('connected', 1);

    await press('Broadcast');
    await shows(broadcast, 'Delivered to 1 socket');
    const entry = frames('received').filter({ hasText: HELLO });
    await shows(entry, 'user:1');
    expect(await entry.locator('time').textContent()).toMatch(/^\d\d:\d\d:\d\d\.\d{3}$/);
    await counts('messages', 1);
    await counts('broadcasts', 1);
    await counts('deliveries', 2);

    await press('Disconnect');
    await shows(state, 'Not connected');
    await counts('connected', 0);
    expect(await server.stats()).toEqual({ deliveries: 2, connected: 0 });
    expect(await page.locator('#subscriptions li').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('does the same with a plain websocket', async () => {
    const { choose, channels, state, subscriptions, press, broadcast, frames, complaints, list } =
      await openPlayground();
    await choose('a plain websocket');
    await channels.fill('user:1, news');
    await press('Connect');
    await shows(state, 'Subscribed to 2 channels');
    expect(await subscriptions.getByRole('listitem').allTextContents()).toEqual(['user:1', 'news']);
    await press('Broadcast');
    await shows(broadcast, 'Delivered to 1 socket');
    await shows(frames('received').filter({ hasText: HELLO }), `${HELLO.length} B`);

    await press('Disconnect');
    await shows(list, 'Closed: 1000');
    await shows(state, 'Closed with 1000');
    expect(complaints).toEqual([]);
  });

  it('has one connection at a time, for the channels that are typed', async () => {
    const { page, choose, channels, state, subscriptions, press, counts, button } =
      await openPlayground();
    await press('Connect');
    await shows(state, 'Subscribed to 1 channel');
    // A button that has done its work must not lose the focus.
    expect(await page.locator(':focus').textContent()).toBe('Connect');
    expect(await button('Connect').getAttribute('aria-disabled')).toBe('true');

    await channels.fill('["a, b", ""]');
    await press('Connect');
    await shows(state, 'Subscribed to 2 channels');
    expect(await subscriptions.getByRole('listitem').allTextContents()).toEqual([
      'a, b',
      '(the empty name)',
    ]);
    await counts('connected', 2);

    await choose('a plain websocket');
    await channels.fill('news');
    await press('Connect');
    await shows(subscriptions, 'news');
    await counts('connected', 1);
    await choose('the client');
    await channels.fill('user:1');
    await press('Connect');
    await shows(subscriptions, 'user:1');
    await counts('connected', 1);
  });

  it.each(['the client', 'a plain websocket'])(
    'says what is wrong with the channels: %s',
    async (way) => {
      const { choose, channels, connection, press, state } = await openPlayground();
      await choose(way);
      await channels.fill('["a, b"');
      await press('Connect');
      await shows(connection, 'The channels start like a JSON array and are none');
      await channels.fill('["a, b"]');
      await press('Connect');
      await shows(state, 'Subscribed to 1 channel');
    },
  );
});

describe('the form to broadcast', () => {
  it('says where a message is no JSON, before it is sent', async () => {
    const { page, message, broadcast, button, press } = await openPlayground();
    let requests = 0;
    page.on('request', (request) => {
      if (request.method() === 'POST') requests += 1;
    });
    const before = await button('Broadcast').boundingBox();
    await message.fill('{"event": "greeting"\n "data": 1}');
    await press('Broadcast');
    await shows(broadcast, 'Not JSON: line 2, column 2');
    await shows(broadcast, 'A comma or } is missing before ".');
    expect(await message.getAttribute('aria-invalid')).toBe('true');
    const selection = '[message.selectionStart, message.selectionEnd]';
    expect(await page.evaluate(selection)).toEqual([22, 23]);
    expect(await button('Broadcast').boundingBox()).toEqual(before);
    expect(requests).toBe(0);

    await message.fill('[]');
    await press('Broadcast');
    await shows(broadcast, 'A message is an object, in braces');

    await message.fill('{}');
    expect(await message.getAttribute('aria-invalid')).toBe('false');
    expect(await broadcast.getByText('Not JSON').count()).toBe(0);
    await press('Broadcast');
    await shows(broadcast, 'Delivered to 0 sockets');
    await shows(broadcast, 'Nobody is subscribed to this channel now.');
  });

  it('delivers a message as it was typed', async () => {
    const { message, press, state, frames } = await openPlayground();
    await press('Connect');
    await shows(state, 'Subscribed to 1 channel');
    const text = '{"b":9007199254740993, "1":1.0,"a":"ö"}';
    await message.fill(text);
    await press('Broadcast');
    const entry = frames('received').filter({ hasText: text });
    await entry.click();
    await shows(entry, '"data": {\n    "b": 9007199254740993,\n    "1": 1.0,');
  });

  it('says why the server refuses', async () => {
    const { page, broadcast, press } = await openPlayground({ MAX_CHANNEL_LENGTH: '3' });
    await page.getByLabel('Channel', { exact: true }).fill('long');
    await press('Broadcast');
    await shows(broadcast, 'Not delivered');
    await shows(broadcast, '400 channel must be at most 3 characters');
  });
});

describe('the list of messages', () => {
  it('shows markup from the network as the text it is', async () => {
    const { page, complaints, channels, message, press, subscriptions, broadcast, frames } =
      await openPlayground();
    const markup = '<img src=x onerror=alert(1)>';
    await channels.fill(markup);
    await press('Connect');
    await shows(subscriptions, markup);
    await message.fill(JSON.stringify({ event: markup }));
    await press('Broadcast');
    await shows(broadcast, 'Delivered to 1 socket');
    const entry = frames('received').filter({ hasText: `{"event":"${markup}"}` });
    await entry.click();
    await shows(entry, `"event": "${markup}"`);
    expect(await page.locator('img').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('is filtered by a text, new entries too', async () => {
    const { server, state, press, filter, list, frames, counts } = await openPlayground();
    await press('Connect');
    await shows(state, 'Subscribed to 1 channel');
    await server.broadcast('user:1', { event: 'apple' });
    await server.broadcast('user:1', { event: 'pear' });
    await counts('messages', 2);
    await filter.fill('APPLE');
    await shows(list, /1 of \d/);
    await server.broadcast('user:1', { event: 'plum' });
    await server.broadcast('user:1', { event: 'pineapple' });
    await shows(list, /2 of \d/);
    expect(await frames('received').locator('code').allTextContents()).toEqual([
      '{"event":"apple"}',
      '{"event":"pineapple"}',
    ]);
    await filter.fill('');
    await shows(frames('received'), 'plum');
    await press('Clear');
    await shows(list, 'Nothing yet.');
    expect(await frames('received').count()).toBe(0);
  });

  it('keeps the newest 500 entries, scrolls by itself, and has one sentence read out for many', async () => {
    const { page, server, state, press, list, frames, log, counts } = await openPlayground();
    await press('Connect');
    await shows(state, 'Subscribed to 1 channel');
    // No value: the promise is not waited for here.
    await page.evaluate(`
      window.announced = [];
      window.firstAnnounced = new Promise((resolve) => {
        new MutationObserver(() => resolve(announced.push(announcement.textContent)))
          .observe(announcement, { childList: true });
      });
      undefined;
    `);
    for (let n = 0; n < 600; n += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, i) => server.broadcast('user:1', { n: n + i })),
      );
    }
    await counts('messages', 600);
    expect(await frames('received').count()).toBe(500);
    // The end is in view, and so is the heading.
    const { y = 0, height = 0 } = (await log.boundingBox()) ?? {};
    const newest = await frames('received').last().boundingBox();
    expect(newest?.y).toBeGreaterThan(y);
    expect(newest?.y).toBeLessThan(y + height);
    const heading = await list.getByRole('heading').boundingBox();
    expect(heading?.y).toBeGreaterThan(0);
    await page.evaluate('firstAnnounced.then(() => true)');
    expect((await page.evaluate<string[]>('announced')).length).toBeLessThan(30);
    expect((await page.evaluate<string[]>('announced'))[0]).toMatch(/^\d+ frames? received$/);
  });
});

it('needs nothing but a keyboard', async () => {
  const { page, state, message, broadcast, token, byHand, list } = await openPlayground();
  let sockets = 0;
  page.on('websocket', () => {
    sockets += 1;
  });
  const focused = page.locator(':focus');
  const enter = () => page.keyboard.press('Enter');
  const tabTo = async (name: string) => {
    const passed: (string | null)[] = [];
    do {
      await page.keyboard.press('Tab');
      passed.push((await focused.getAttribute('id')) ?? (await focused.textContent()));
    } while (passed.at(-1) !== name && passed.length < 20);
    return passed;
  };

  // The cursor is there already.
  expect(await focused.getAttribute('id')).toBe('channels');
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type('news');
  await enter();
  await shows(state, 'Subscribed to 1 channel');
  // Once more does nothing while it is connected.
  await enter();

  expect(await tabTo('broadcast-button')).toEqual([
    'with-client',
    'connect',
    'drop',
    'disconnect',
    'channel',
    'message',
    'broadcast-button',
  ]);
  await message.focus();
  await page.keyboard.press('Shift+Enter');
  await enter();
  await shows(broadcast, 'Delivered to 1 socket');
  expect(await message.inputValue()).toContain('\n');
  expect(sockets).toBe(1);

  expect((await tabTo('By hand')).slice(1)).toEqual([
    'curl',
    'Node',
    'Ruby',
    'Python',
    'browser',
    'By hand',
  ]);
  await enter();
  await token.focus();
  await page.keyboard.type('x');
  await enter();
  await shows(byHand, '4401 Not Authorized!');

  await tabTo('filter');
  await tabTo('log');
  await page.keyboard.press('Tab');
  await enter();
  await list.getByRole('button', { name: 'Copy' }).waitFor();
});

describe('the steps by hand', () => {
  it('show why a broken token is refused, and that a fresh one is not', async () => {
    const { page, channels, token, state, press, openByHand, byHand, counts, frames, complaints } =
      await openPlayground();
    await openByHand();
    await channels.fill('user:1, news');
    await press('Mint token');
    await shows(byHand, 'Minted. Now open the socket.');
    expect((await token.inputValue()).split('.')).toHaveLength(3);
    await shows(byHand, '"channels":["user:1","news"]');
    await press('Open socket');
    await shows(state, 'Subscribed to 2 channels');
    expect(await page.getByLabel('a plain websocket').isChecked()).toBe(true);

    const genuine = await token.inputValue();
    await press('Break signature');
    expect(await token.inputValue()).not.toBe(genuine);
    await press('Authenticate');
    await shows(state, 'Closed with 4401');
    await shows(byHand, '4401 Not Authorized!');
    await shows(byHand, 'The token was refused: changed after it was signed, expired,');
    await shows(byHand, 'Mint a fresh token and reconnect.');
    await counts('connected', 0);
    expect(await frames('sent').count()).toBe(2);

    await press('Mint token');
    await shows(byHand, 'Minted. Now open the socket.');
    await press('Open socket');
    await shows(state, 'Subscribed to 2 channels');
    expect(await byHand.getByText('4401').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('authenticate, ping and send anything when they are told to, and close', async () => {
    const { page, server, state, press, openByHand, byHand, frames, counts } =
      await openPlayground();
    await openByHand();
    await press('Open socket');
    await shows(state, 'Connected, not authenticated');
    await press('Ping');
    await frames('received').filter({ hasText: '{"event":"pong"}' }).waitFor();
    await press('Mint token');
    await shows(byHand, 'Minted. Authenticate with it.');
    await press('Authenticate');
    await shows(state, 'Subscribed to 1 channel');
    await press('Close');
    await shows(state, 'Closed with 1000');
    await shows(byHand, 'You closed the connection.');
    await counts('connected', 0);
    expect(await server.stats()).toEqual({ deliveries: 1, connected: 0 });

    await press('Open socket');
    await shows(state, 'Subscribed to 1 channel');
    await page.getByLabel('Send anything').fill('å');
    await press('Send');
    await frames('sent').filter({ hasText: 'å2 B' }).waitFor();
    await shows(byHand, '4400 Invalid message');
    await shows(byHand, 'A message was not JSON, or not a JSON object.');
    await counts('messages', 0);
  });

  it('say that the server has gone, and open a new socket when it is back', async () => {
    const { server, state, press, openByHand, byHand, broadcast, subscriptions } =
      await openPlayground();
    await openByHand();
    await press('Mint token');
    await shows(byHand, 'Minted. Now open the socket.');
    await press('Open socket');
    await shows(state, 'Subscribed to 1 channel');

    await server.server.close();
    await shows(byHand, '1001 Server shutting down');
    await shows(byHand, 'The server was told to stop.');
    expect(await subscriptions.getByRole('listitem').count()).toBe(0);
    await press('Broadcast');
    await shows(broadcast, 'No answer from the server');
    await press('Open socket');
    await shows(byHand, '1006');
    await shows(byHand, 'The connection was cut off, or never opened');

    await startServer({ NODE_ENV: 'development', PORT: String(server.port) });
    await press('Open socket');
    await shows(state, 'Subscribed to 1 channel');
  });
});
