import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { sign } from './tokens.ts';

/** What the script below is told. */
export interface AppSettings {
  /** Of the websocket. */
  readonly url: string;
  readonly tokenUrl: string;
}

/**
 * An app that uses the client, the same in every runtime: it needs `BifrostClient` and `SETTINGS`, says what it
 * experiences, and obeys `commands`.
 */
export const APP_SCRIPT = `
const say = (...words) => console.log('app ' + JSON.stringify(words));
const client = new BifrostClient(SETTINGS.url, {
  WebSocket: globalThis.WebSocket ?? SETTINGS.WebSocket,
  async token({ signal }) {
    const response = await fetch(SETTINGS.tokenUrl, { method: 'POST', signal });
    if (response.status === 401) return null;
    if (!response.ok) throw new Error('the app answers ' + response.status);
    return (await response.json()).token;
  },
});
let numbers = [];
client.onState((state, error) => say('state', state, ...(error ? [error.message] : [])));
client.onGap(({ channels }) => say('gap', ...channels));
client.on('number', (number) => numbers.push(number));
client.on('report', (id) => {
  say('report', id, numbers);
  numbers = [];
});
globalThis.commands = { connect: client.connect, close: client.close };
client.connect();
`;

type Words = readonly unknown[];

/** A running app. It takes commands and keeps what the script says, in its order. */
export class App {
  readonly command: (name: 'connect' | 'close') => unknown;
  /** All states of the client so far. */
  readonly states: unknown[] = [];
  #said: Words[] = [];
  #wake = () => {};

  constructor(command: App['command']) {
    this.command = command;
  }

  /** To be called with each line that the app prints. */
  hear(line: string): void {
    if (!line.startsWith('app ')) return;
    const words = JSON.parse(line.slice(4));
    if (words[0] === 'state') this.states.push(words[1]);
    this.#said.push(words);
    this.#wake();
  }

  /** Resolves once the app has said these words; takes them, and everything before them. */
  async says(...words: Words): Promise<Words[]> {
    const text = JSON.stringify(words).slice(0, -1);
    for (;;) {
      const index = this.#said.findIndex((one) => JSON.stringify(one).startsWith(text));
      if (index >= 0) return this.#said.splice(0, index + 1);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** Starts `APP_SCRIPT` in some runtime. */
export type StartApp = (settings: AppSettings) => Promise<App>;

/** In a browser, with the settings in its address. */
const PAGE = `<!doctype html>
<meta charset="utf-8">
<script type="module">
const SETTINGS = JSON.parse(new URLSearchParams(location.search).get('settings'));
const { BifrostClient } = await import(new URL('client.js', SETTINGS.url.replace('ws', 'http')));
addEventListener('pageshow', ({ persisted }) => persisted && say('restored'));
${APP_SCRIPT}
</script>`;

interface ServedPage {
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The app's server: `POST /bifrost-token`, a page at `/`, and an empty page at any other path. */
export async function startAppServer({ body, headers = {} }: ServedPage = { body: PAGE }) {
  const tokens = { status: 200, asked: 0, secret: undefined as string | undefined };
  const server = createServer(({ url = '' }, response) => {
    if (url === '/bifrost-token') {
      tokens.asked += 1;
      const options = tokens.secret === undefined ? {} : { secret: tokens.secret };
      const token = sign({ channels: ['user:1', 'news'] }, options);
      response.writeHead(tokens.status, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify({ token }));
      return;
    }
    const isApp = new URL(url, 'http://app').pathname === '/';
    response.writeHead(200, { 'Content-Type': 'text/html', ...headers }).end(isApp ? body : '');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { tokens, url, tokenUrl: `${url}/bifrost-token` };
}

/** The address of the page. */
export function pageUrl(settings: AppSettings): string {
  return `${new URL('/', settings.tokenUrl)}?settings=${encodeURIComponent(JSON.stringify(settings))}`;
}
