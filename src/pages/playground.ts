import { createSecretKey, type KeyObject } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import jwt from 'jsonwebtoken';
import type { Config } from '../config/config.ts';
import type { BodyReader } from '../http/body/body-reader.ts';
import { HttpError } from '../http/http-error.ts';
import { json, type Reply } from '../http/reply.ts';
import type { Handler } from '../http/router.ts';
import { isObject, parseJson } from '../protocol/json.ts';
import { closeCodeRows } from './close-code-table.ts';
import {
  escapeHtml,
  fillTemplate,
  joinModules,
  type Page,
  pageHandler,
  readAsset,
} from './page.ts';

/** As long as the published Ruby client's tokens: long enough to try one, short enough to see it expire. */
const TOKEN_LIFETIME_SECONDS = 60;

const STYLES = ['page', 'forms', 'log'];

/** Each behind those that it imports. */
const SCRIPTS = [
  'page',
  'json',
  'log',
  'server',
  'state',
  'token',
  'socket',
  'client',
  'snippets',
  'broadcast',
  'main',
];

/** What the form's broadcast, or in the browser its subscription, can be copied as. */
const LANGUAGES = ['curl', 'node', 'ruby', 'python', 'browser'];

/**
 * The playground: a page to try the server with, and an endpoint that signs any claims. Whoever can reach these routes
 * can subscribe and broadcast to every channel. So they are for development, or hidden from whoever lacks a key.
 */
export function playgroundRoutes(
  config: Config,
  bodies: BodyReader,
  isHidden: boolean,
): Readonly<Record<string, Handler>> {
  return {
    'GET /test': pageHandler(playgroundPage()),
    'POST /test/token': mintHandler(config, bodies, isHidden),
  };
}

/** `GET /test`: connects, broadcasts and shows every frame; what it does in one click can be done step by step too. */
function playgroundPage(): Page {
  return {
    title: 'Bifröst playground',
    style: STYLES.map((name) => readAsset(`playground/${name}.css`)).join(''),
    script: joinModules(SCRIPTS.map((name) => `playground/${name}.js`)),
    importsClient: true,
    body: fillTemplate(readAsset('playground.html'), {
      closeCodeRows: closeCodeRows(),
      snippets: LANGUAGES.map(snippetElement).join('\n'),
    }),
  };
}

/** The text of a snippet, which the script fills in. A newline right behind `<pre>` would not count (HTML §13.1.2.5). */
function snippetElement(language: string): string {
  const text = readAsset(`playground/snippets/${language}.txt`);
  return `<pre id="snippet-${language}" hidden>${escapeHtml(text)}</pre>`;
}

/** `POST /test/token`: `{"claims":{…}}` → `{"token":"…"}`, good for a minute unless the claims have their own `exp`. */
function mintHandler(config: Config, bodies: BodyReader, isHidden: boolean): Handler {
  const key = createSecretKey(config.jwtSecret, 'utf8');
  return (request, respond) => {
    // A page of a stranger does not know the key.
    if (!isHidden) refuseForeignPages(request, config);
    bodies.read(request, {
      receive: (body) => respond(mint(body, key)),
      fail: respond,
    });
  };
}

function mint(body: string, key: KeyObject): Reply {
  const claims = parseClaims(body);
  const exp = Math.floor(Date.now() / 1_000) + TOKEN_LIFETIME_SECONDS;
  const token = sign({ exp, ...claims }, key);
  return { ...json(JSON.stringify({ token })), headers: { 'Cache-Control': 'no-store' } };
}

/**
 * Any web page that a developer visits can send a POST here. Browsers name the page's origin (Fetch §3.1), and only our
 * own page may mint tokens. Both schemes are accepted: a proxy in front may terminate TLS.
 */
function refuseForeignPages(request: IncomingMessage, { allowedOrigins }: Config): void {
  const { origin, host } = request.headers;
  if (origin === undefined) return;
  const isOwn = origin === `http://${host}` || origin === `https://${host}`;
  if (isOwn && (isLocal(origin) || allowedOrigins?.has(origin))) return;
  throw new HttpError(403, 'Only the playground itself may ask', { Connection: 'close' });
}

/** True if no stranger controls where the name leads. A name of his own he could let lead here (DNS rebinding). */
function isLocal(origin: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { hostname } = new URL(origin);
  const isAddress = isIP(hostname.replace(/^\[|\]$/g, '')) !== 0;
  return isAddress || hostname === 'localhost' || hostname.endsWith('.localhost');
}

function parseClaims(text: string): Record<string, unknown> {
  const body = parseJson(text);
  if (!isObject(body)) throw new HttpError(400, 'Body must be a JSON object');
  const claims = body['claims'];
  if (!isObject(claims)) throw new HttpError(400, 'claims must be a JSON object');
  return claims;
}

function sign(claims: Record<string, unknown>, key: KeyObject): string {
  try {
    return jwt.sign(claims, key, { algorithm: 'HS512', noTimestamp: true });
  } catch {
    // jsonwebtoken checks the types of these claims only.
    throw new HttpError(400, 'exp, nbf and iat must be numbers');
  }
}
