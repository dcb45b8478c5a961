import { createHmac, createSecretKey } from 'node:crypto';

/** Longer than the 64 bytes that HS512 asks for. */
export const SECRET =
  'a secret that only this test suite knows and long enough for HS512 (RFC 7518)';

const HASHES = new Map([
  ['HS256', 'sha256'],
  ['HS384', 'sha384'],
  ['HS512', 'sha512'],
]);

export interface SignOptions {
  readonly secret?: string;
  readonly header?: Readonly<Record<string, unknown>>;
}

function encode(part: string | Buffer): string {
  return Buffer.from(part).toString('base64url');
}

function encodeHeader(header: Readonly<Record<string, unknown>>): string {
  return encode(JSON.stringify(header));
}

// Made once: the benchmark signs thousands of tokens while it measures.
const KEY = createSecretKey(SECRET, 'utf8');
const HEADER = encodeHeader({ alg: 'HS512', typ: 'JWT' });

/**
 * Signs a payload given as its text, by hand: a library would refuse to make most of what an attacker sends,
 * and the server must not be tested against its own library only.
 */
export function signText(payload: string | Buffer, options: SignOptions = {}): string {
  const { secret = KEY, header } = options;
  const signed = `${header === undefined ? HEADER : encodeHeader(header)}.${encode(payload)}`;
  const hash = header === undefined ? 'sha512' : HASHES.get(String(header['alg']));
  const signature =
    hash === undefined ? '' : createHmac(hash, secret).update(signed).digest('base64url');
  return `${signed}.${signature}`;
}

export function sign(claims: unknown, options?: SignOptions): string {
  return signText(JSON.stringify(claims), options);
}

/** Seconds since 1970, as `exp` counts them. */
export function now(): number {
  return Math.floor(Date.now() / 1_000);
}
