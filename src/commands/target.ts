import { resolve } from 'node:path';
import { ConfigError } from '../config/config.ts';
import { readEnvironment } from '../config/environment.ts';
import { localUrl } from '../config/local-url.ts';
import { UsageError } from './command.ts';

/** The server that a command talks to. */
export interface Target {
  readonly secret: string;
  /** Without a slash at the end. */
  readonly url: string;
}

/** The server at `findUrl`, and the secret to sign for it. */
export function findTarget(env: Readonly<Record<string, string>>, url?: string): Target {
  return { secret: requireSecret(env), url: findUrl(env, url) };
}

/**
 * The server at `url`, or without one that at BIFROST_URL, or without one the server on this machine that the
 * environment describes.
 * Reads only the variables it needs: a setting of a server that runs elsewhere must not make it fail.
 */
export function findUrl(env: Readonly<Record<string, string>>, url?: string): string {
  if (url !== undefined) {
    const parsed = parseUrl(url);
    if (parsed === undefined) throw new UsageError(`--url ${URL_FORM}`);
    return parsed;
  }
  const variable = env['BIFROST_URL'];
  if (!variable) return configuredUrl(env);
  const parsed = parseUrl(variable);
  if (parsed === undefined) throw new Error(`BIFROST_URL ${URL_FORM}`);
  return parsed;
}

/** Throws when there is no secret. It makes none up: no server would accept a token signed with that. */
export function requireSecret(env: Readonly<Record<string, string>>): string {
  const secret = env['JWT_SECRET'];
  if (!secret) throw new Error("JWT_SECRET is not set: run this in the server's folder, or set it");
  return secret;
}

function configuredUrl(env: Readonly<Record<string, string>>): string {
  const { PORT: port = '3000', HOST: host, TLS_CERT_FILE: certFile } = env;
  if (!/^[1-9]\d*$/.test(port)) {
    throw new Error(`PORT=${port} does not say where the server is: use --url or BIFROST_URL`);
  }
  return localUrl(certFile ? 'https' : 'http', host, port);
}

const HTTP_SCHEMES = new Map([
  ['http:', 'http:'],
  ['https:', 'https:'],
  ['ws:', 'http:'],
  ['wss:', 'https:'],
]);

const URL_FORM = 'must be like http://localhost:3000 or https://example.com';

/** The server's URL with any of these four schemes → its HTTP URL. Undefined when it is none. */
function parseUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = HTTP_SCHEMES.get(url?.protocol ?? '');
  const extra = url && url.username + url.password + url.search + url.hash;
  if (url === undefined || scheme === undefined || extra !== '') return undefined;
  return `${scheme}//${url.host}${url.pathname.replace(/\/$/, '')}`;
}

/** The environment and `.env` of the current folder. Throws a `ConfigError` when `.env` cannot be used. */
export function loadEnvironment(): Record<string, string> {
  const { variables, problems } = readEnvironment(process.env, resolve('.env'));
  if (problems.length > 0) throw new ConfigError(problems);
  return variables;
}
