import { describe, expect, it } from 'vitest';
import { startServer } from '../support/server.ts';
import { shows } from './parts.ts';
import { useBrowser } from './playground.ts';

const { openPlayground } = useBrowser();

describe('the client in the playground', () => {
  it('comes back after its connection was dropped, and says what it recovered', async () => {
    const { server, channels, state, press, connection, frames, counts, button, complaints } =
      await openPlayground();
    await channels.fill('user:1, news');
    await press('Connect');
    await shows(state, 'Subscribed to 2 channels');
    await counts('connected', 2);
    await press('Broadcast');
    await counts('messages', 1);
    const position = connection.getByRole('listitem').filter({ hasText: 'position' }).locator('b');
    const before = await position.textContent();
    expect(before).toMatch(/^[\dA-Za-z]{8}\.\d{1,16}$/);

    await press('Drop connection');
    await shows(connection, 'Connection dropped');
    await shows(connection, 'The network is away for 5 seconds. Broadcast something now.');
    await counts('connected', 0);
    expect(await button('Drop connection').getAttribute('aria-disabled')).toBe('true');
    await server.broadcast('user:1', { event: 'greeting', data: 'missed' });
    await press('Broadcast');
    await server.broadcast('news', { event: 'news', data: 'missed too' });

    await shows(connection, '3 messages recovered');
    await shows(connection, /Each of them once and in order, after \d+\.\d s away\./);
    await shows(state, 'Subscribed to 2 channels');
    await counts('messages', 4);
    expect(await frames('received').filter({ hasText: 'recovered' }).count()).toBe(5);
    expect(await frames('received').locator('b').allTextContents()).toEqual([
      'recovered',
      'recovered',
      'recovered',
    ]);
    expect(await position.textContent()).not.toBe(before);

    // Chromium complains of the connections that the page itself kept from coming about.
    expect(complaints.filter((text) => !text.includes('closed before'))).toEqual([]);
  });

  it('shows how long it waits, and until when', async () => {
    const { page, server, state, press, connection } = await openPlayground();
    await page.clock.install();
    await page.reload();
    await press('Connect');
    await shows(state, 'Subscribed to 1 channel');
    await page.clock.pauseAt(Date.now() + 60_000);
    // The longest wait after a server that said goodbye is five seconds.
    await page.evaluate('Math.random = () => 0.9');
    await server.server.close();
    await shows(state, 'Waiting to connect again');
    await shows(connection, '1001 Server shutting down');
    await shows(state, 'in 4.5 s');
    await page.clock.runFor(1_500);
    await shows(state, 'in 3.0 s');

    await startServer({ NODE_ENV: 'development', PORT: String(server.port) });
    await page.clock.runFor(3_000);
    await shows(state, 'Subscribed to 1 channel');
    expect(await page.locator('#countdown').textContent()).toBe('');
    await page.clock.runFor(100);
    // Another process knows nothing of the positions of the first.
    await shows(connection, 'A gap on user:1');
    await shows(connection, 'Something may be missing after 4.5 s away');
  });

  it('says that nothing was missed when nothing was', async () => {
    const { state, press, connection } = await openPlayground();
    await press('Connect');
    await shows(state, 'Subscribed to 1 channel');
    await press('Disconnect');
    await shows(state, 'Not connected');
    await press('Connect');
    await shows(connection, 'Nothing was missed');
  });

  it('says when something may be missing', async () => {
    const { page, state, press, broadcast, connection } = await openPlayground({ HISTORY: 'off' });
    await press('Connect');
    await shows(state, 'Subscribed to 1 channel');
    await press('Broadcast');
    await shows(broadcast, 'Delivered to 1 socket');
    await press('Drop connection');
    await shows(connection, 'A gap on user:1');
    await shows(connection, 'Something may be missing after');
    await page.getByText('A gap on user:1: an app loads its state again').waitFor();
    expect(await connection.getByText('position').textContent()).toBe('position –');
  });
});
