import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import type { Page } from 'playwright-core';
import { onTestFinished } from 'vitest';
import { sign } from '../support/tokens.ts';

const require = createRequire(import.meta.url);
const SCRIPTS = dirname(require.resolve('reconnectingwebsocket'));

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** An app that serves the page, a package's own script and `POST /bifrost-token`. Resolves to its URL. */
export async function startApp(page: string, answerToken: () => Answer): Promise<string> {
  const app = createServer((request, response) => {
    switch (`${request.method} ${request.url}`) {
      case 'GET /':
        response.setHeader('Content-Type', 'text/html').end(page);
        return;
      case 'GET /reconnecting-websocket.min.js':
        response.end(readFileSync(join(SCRIPTS, 'reconnecting-websocket.min.js')));
        return;
      case 'POST /bifrost-token': {
        const { status, body } = answerToken();
        response.writeHead(status, { 'Content-Type': 'application/json' }).end(body);
        return;
      }
      default:
        response.writeHead(404).end();
    }
  }).listen(0, '127.0.0.1');
  onTestFinished(() => {
    app.closeAllConnections();
    app.close();
  });
  await once(app, 'listening');
  return `http://127.0.0.1:${(app.address() as AddressInfo).port}/`;
}

export const tokenFor = (channels: readonly string[], secret?: string): Answer => ({
  status: 200,
  body: JSON.stringify({ token: sign({ channels }, secret === undefined ? {} : { secret }) }),
});

export const refusedToken = () => tokenFor(['user:1'], 'another secret');

/** Resolves when the page's console says this. To be called before the cause. */
export const says = (page: Page, text: string) =>
  page.waitForEvent('console', (message) => message.text() === text);

/** Keeps what becomes of each websocket, and takes the luck out of delays: they are the shortest there can be. */
export const OBSERVE_SOCKETS = `
  Math.random = () => 0;
  window.closings = [];
  window.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      closings.push(new Promise((resolve) => this.addEventListener('close', () => resolve())));
    }
  };
`;

/** How many websockets the page has opened. */
export const socketsOpened = (page: Page) => page.evaluate<number>('closings.length');

/** Resolves when the newest websocket of the page has closed. */
export const lastClosed = (page: Page) => page.evaluate('closings.at(-1)');

/** Runs the page's timers until it opens the next websocket, at most for so long; resolves to how long that took by them. */
export async function nextSocketMs(
  page: Page,
  limitMs = Number.POSITIVE_INFINITY,
): Promise<number> {
  const before = await socketsOpened(page);
  // No further: the library gives a connection two seconds to come about, by the same timers.
  const stepMs = 250;
  for (let ms = stepMs; ; ms += stepMs) {
    await page.clock.runFor(stepMs);
    if ((await socketsOpened(page)) > before || ms >= limitMs) return ms;
  }
}
