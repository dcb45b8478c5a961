import { createSecretKey } from 'node:crypto';
import jwt from 'jsonwebtoken';

/** Enough for a token that is used at once. */
export const DEFAULT_EXPIRY_SECONDS = 60;

/** A token to subscribe to channels with. */
export function signSubscription(
  channels: readonly string[],
  secret: string,
  seconds: number = DEFAULT_EXPIRY_SECONDS,
): string {
  return signText(JSON.stringify({ channels, exp: expiry(seconds) }), secret);
}

/**
 * A token to broadcast a message with. The message is signed as the text it is:
 * parsing and writing it again would change big integers and the order of keys.
 */
export function signBroadcast(
  channel: string,
  messageText: string,
  secret: string,
  seconds: number,
): string {
  const exp = expiry(seconds);
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
