import { createSecretKey } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { isObject, parseJson } from '../protocol/json.ts';

/** A command was called in a way that it does not know. The message completes the sentence "bifrost x: …". */
export class UsageError extends Error {}

/** What a command needs in order to talk to a server. */
export interface Client {
  readonly secret: string;
  /** Without a slash at the end. */
  readonly url: string;
}

/**
 * The client that the environment of a server describes, for a server on this machine unless `url` says where.
 * Only what it needs is looked at: it must not fail over a setting of a server that runs elsewhere.
 */
export function createClient(env: Readonly<Record<string, string>>, url?: string): Client {
  return { secret: requireSecret(env), url: url === undefined ? localUrl(env) : parseUrl(url) };
}

/** The secret of the environment; throws when there is none. Making one up would only make a token nobody takes. */
export function requireSecret(env: Readonly<Record<string, string>>): string {
  const secret = env['JWT_SECRET'];
  if (!secret) throw new Error("JWT_SECRET is not set: run this in the server's folder, or set it");
  return secret;
}

function localUrl(env: Readonly<Record<string, string>>): string {
  const { PORT: port = '3000', HOST: host = '', TLS_CERT_FILE: certFile } = env;
  if (!/^[1-9]\d*$/.test(port)) {
    throw new Error(`PORT=${port} does not say where the server is: use --url`);
  }
  // A server that listens on one address only is not found under another.
  const isAny = host === '' || host === '0.0.0.0' || host === '::';
  const name = isAny ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return parseUrl(`${certFile ? 'https' : 'http'}://${name}:${port}`);
}

const HTTP_SCHEMES = new Map([
  ['http:', 'http:'],
  ['https:', 'https:'],
  ['ws:', 'http:'],
  ['wss:', 'https:'],
]);

/** The server's URL, of a website or of a websocket → of a website. Throws a `UsageError`. */
function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = HTTP_SCHEMES.get(url?.protocol ?? '');
  const extra = url && url.username + url.password + url.search + url.hash;
  if (url === undefined || scheme === undefined || extra !== '') {
    throw new UsageError('--url must be like http://localhost:3000 or https://example.com');
  }
  return `${scheme}//${url.host}${url.pathname.replace(/\/$/, '')}`;
}

/** What the server says of a broadcast. */
export interface Broadcasted {
  readonly deliveries: number;
  /** Whether a server of several did not confirm in time. */
  readonly partial: boolean;
}

const BROADCAST_MS = 10_000;

/** Broadcasts the text of a JSON object as it stands. Rejects, saying why, when the server does not take it. */
export async function postBroadcast(
  { secret, url }: Client,
  channel: string,
  messageText: string,
): Promise<Broadcasted> {
  let status: number;
  let text: string;
  try {
    const response = await fetch(`${url}/broadcast`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token: signBroadcast(channel, messageText, secret) }),
      // Following would make a GET of the POST.
      redirect: 'manual',
      signal: AbortSignal.timeout(BROADCAST_MS),
    });
    status = response.status;
    text = await response.text();
  } catch (error) {
    throw new Error(`cannot reach ${url}: ${failureText(error)}`);
  }

  const answer = parseJson(text);
  const { deliveries, error, partial } = isObject(answer) ? answer : {};
  if (status === 200 && typeof deliveries === 'number') {
    return { deliveries, partial: partial === true };
  }
  const why = typeof error === 'string' ? `: ${error}` : '';
  throw new Error(`${url}/broadcast answered ${status}${why}`);
}

/** How long the tokens live that are used at once. */
export const MINUTE_SECONDS = 60;

/** A token to listen to channels with. */
export function signSubscription(
  channels: readonly string[],
  secret: string,
  seconds: number = MINUTE_SECONDS,
): string {
  return signText(JSON.stringify({ channels, exp: expiry(seconds) }), secret);
}

/** `JSON.stringify` of what was parsed would change big integers and more. */
function signBroadcast(channel: string, messageText: string, secret: string): string {
  const exp = expiry(MINUTE_SECONDS);
  return signText(
    `{"channel":${JSON.stringify(channel)},"message":${messageText},"exp":${exp}}`,
    secret,
  );
}

function signText(claims: string, secret: string): string {
  return jwt.sign(claims, createSecretKey(secret, 'utf8'), { algorithm: 'HS512' });
}

function expiry(seconds: number): number {
  return Math.floor(Date.now() / 1_000 + seconds);
}

/** The most telling line of an error: what fetch and Node say of it themselves is often only that it failed. */
export function failureText(error: unknown): string {
  let deepest = error as NodeJS.ErrnoException;
  while (deepest.cause instanceof Error) deepest = deepest.cause;
  // The attempts over IPv6 and IPv4 together are an error without a text.
  return toLine(deepest.message || deepest.code || deepest.name);
}

/** Text of somebody else on one line, unable to steer a terminal. */
export function toLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
}
