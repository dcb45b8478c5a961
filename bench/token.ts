import { createHmac, createSecretKey } from 'node:crypto';

/** Longer than the 64 bytes that HS512 asks for. */
export const SECRET =
  'a secret that only this benchmark knows, long enough for HS512 by RFC 7518, section 3.2';

const KEY = createSecretKey(SECRET, 'utf8');
const HEADER = Buffer.from('{"alg":"HS512","typ":"JWT"}').toString('base64url');
/** Outlives every run. */
const LIFETIME_SECONDS = 3_600;

/** An HS512 JWT (RFC 7519) of `claims`, good for an hour. */
export function sign(claims: Readonly<Record<string, unknown>>, key = KEY): string {
  const exp = Math.floor(Date.now() / 1_000) + LIFETIME_SECONDS;
  const payload = Buffer.from(JSON.stringify({ ...claims, exp })).toString('base64url');
  const signed = `${HEADER}.${payload}`;
  return `${signed}.${createHmac('sha512', key).update(signed).digest('base64url')}`;
}

/** A token that every server must refuse. */
export function forge(claims: Readonly<Record<string, unknown>>): string {
  return sign(claims, createSecretKey(`not ${SECRET}`, 'utf8'));
}
