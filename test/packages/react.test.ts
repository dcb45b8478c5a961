import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startBifrost, type TestBifrost } from '../../src/testing.ts';
import { launchChromium } from '../browser/launch.ts';
import { readPage, snippet } from '../support/snippets.ts';
import { run } from './run.ts';

const BROWSER_PAGE = readPage('docs/browser.md');

/** What docs/browser.md leaves to the reader. */
const BIFROST = `
  import { BifrostClient } from 'bifrost-client';
  export const bifrost = new BifrostClient(window.subscribeUrl, {
    token: async () => (await fetch('/token', { method: 'POST' })).text(),
  });`;
const RELOAD = `
  export const reload = ({ channels }) => window.reloads.push(channels);`;
const MAIN = `
  import { StrictMode } from 'react';
  import { createRoot } from 'react-dom/client';
  import { App } from './app.jsx';
  const root = createRoot(document.getElementById('root'));
  root.render(<StrictMode><App user="ada" /></StrictMode>);
  window.unmount = () => root.unmount();`;

let project: string;
let bundle: string;
let browser: Browser;

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'bifrost-'));
  const files = {
    'package.json': '{"type":"module"}',
    'bifrost.js': BIFROST,
    'reload.js': RELOAD,
    'main.jsx': MAIN,
    'use-channel.js': snippet('React', 'js', BROWSER_PAGE),
    'app.jsx': snippet('React', 'jsx', BROWSER_PAGE),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(project, name), text);
  await run('npm', ['install', 'react@19', 'react-dom@19'], project);
  const { outputFiles } = await build({
    entryPoints: [join(project, 'main.jsx')],
    alias: { 'bifrost-client': resolve('dist/bifrost-client/client/index.js') },
    bundle: true,
    format: 'esm',
    jsx: 'automatic',
    // StrictMode mounts twice in development only.
    define: { 'process.env.NODE_ENV': '"development"' },
    write: false,
  });
  bundle = outputFiles[0]?.text ?? '';
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  await rm(project, { recursive: true, force: true });
});

/** Serves the app to a page that has it open. */
async function openApp(bifrost: TestBifrost): Promise<{ page: Page; sockets: unknown[] }> {
  const app = createServer(async (request, response) => {
    if (request.url === '/token') {
      response.end(await bifrost.publisher.subscriptionToken(['user:ada']));
    } else if (request.url === '/main.js') {
      response.setHeader('Content-Type', 'text/javascript').end(bundle);
    } else {
      response.setHeader('Content-Type', 'text/html').end(`<!doctype html>
        <meta charset="utf-8">
        <div id="root"></div>
        <script>reloads = []; subscribeUrl = '${bifrost.subscribeUrl}';</script>
        <script type="module" src="/main.js"></script>`);
    }
  }).listen(0, '127.0.0.1');
  await once(app, 'listening');
  const page = await browser.newPage();
  onTestFinished(async () => {
    await page.close();
    app.closeAllConnections();
    app.close();
  });
  const sockets: unknown[] = [];
  page.on('websocket', (socket) => sockets.push(socket));
  const { port } = app.address() as AddressInfo;
  await page.goto(`http://127.0.0.1:${port}/`);
  return { page, sockets };
}

describe('the React hook of docs/browser.md, under StrictMode', () => {
  it('gets each message once, what was missed too, and reloads after a gap', async () => {
    const bifrost = await startBifrost();
    onTestFinished(() => bifrost.close());
    const { page, sockets } = await openApp(bifrost);
    const isConnected = () => page.getByRole('status').getByText('connected').waitFor();
    const notify = async (id: number) => {
      const data = { id, text: `message ${id}` };
      return (await bifrost.publisher.publish('user:ada', { event: 'notification', data }))
        .deliveries;
    };
    const shown = () => page.getByRole('listitem').allTextContents();
    const reloads = () => page.evaluate<string[][]>('reloads');
    await isConnected();

    // One is left of the two that StrictMode makes.
    expect(sockets).toHaveLength(2);
    expect(await notify(1)).toBe(1);
    await page.getByText('message 1').waitFor();
    bifrost.drop();
    await notify(2);
    await page.getByText('message 2').waitFor();
    expect(await shown()).toEqual(['message 2', 'message 1']);
    expect(await reloads()).toEqual([]);

    await bifrost.forget();
    await page.waitForFunction('reloads.length > 0');
    expect(await notify(3)).toBe(1);
    await page.getByText('message 3').waitFor();
    expect(await shown()).toEqual(['message 3', 'message 2', 'message 1']);
    expect(await reloads()).toEqual([['user:ada']]);
  });

  it('leaves no connection behind', async () => {
    const bifrost = await startBifrost();
    onTestFinished(() => bifrost.close());
    const { page } = await openApp(bifrost);
    await page.getByRole('status').getByText('connected').waitFor();
    await page.evaluate('unmount()');
    for (;;) {
      const { deliveries } = await bifrost.publisher.publish('user:ada', {});
      if (deliveries === 0) break;
    }
  });
});
