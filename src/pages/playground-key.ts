import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { queryOf } from '../http/request.ts';

const KEY_BYTES = 16;

/** What opens the playground to the one who sees where the server was started: 128 random bits, as text for a URL. */
export function createPlaygroundKey(): string {
  return randomBytes(KEY_BYTES).toString('hex');
}

/** Returns whether a request has no `?key=` with this key. The time it takes tells nothing about the key. */
export function lacksKey(key: string): (request: IncomingMessage) => boolean {
  const expected = Buffer.from(key);
  return (request) => {
    const given = Buffer.from(new URLSearchParams(queryOf(request)).get('key') ?? '');
    return given.length !== expected.length || !timingSafeEqual(given, expected);
  };
}
