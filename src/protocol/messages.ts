import type { Channel } from './channel.ts';
import { isObject, type Parsed, parseJson } from './json.ts';

/** What a websocket client may say. */
export type ClientMessage =
  /** `token` is undefined when `data` was missing or not a string: no token can be right then. */
  | { readonly event: 'authenticate'; readonly token: string | undefined }
  | { readonly event: 'ping' }
  /** A well-formed message that this version does not know; it is ignored. */
  | { readonly event: 'other' };

const INVALID: Parsed<never> = { ok: false, reason: 'Invalid message' };

const PING: Parsed<ClientMessage> = { ok: true, value: { event: 'ping' } };

const OTHER: Parsed<ClientMessage> = { ok: true, value: { event: 'other' } };

/** The answer to `{"event":"ping"}`. */
export const PONG = '{"event":"pong"}';

/** Parses one text message of a websocket client. Never throws. */
export function parseClientMessage(text: string): Parsed<ClientMessage> {
  const message = parseJson(text);
  if (!isObject(message)) return INVALID;

  switch (message['event']) {
    case 'authenticate': {
      const token = message['data'];
      return {
        ok: true,
        value: { event: 'authenticate', token: typeof token === 'string' ? token : undefined },
      };
    }
    case 'ping':
      return PING;
    default:
      return OTHER;
  }
}

/** Parses the body of `POST /broadcast`: `{"token":"<JWT>"}`. Never throws. */
export function parseBroadcastBody(text: string): Parsed<string> {
  const body = parseJson(text);
  if (!isObject(body)) return { ok: false, reason: 'Body must be a JSON object' };

  const token = body['token'];
  if (typeof token !== 'string') return { ok: false, reason: 'token must be a string' };
  return { ok: true, value: token };
}

/** The confirmation of one channel. `data` is a string of JSON, as the original sends it. */
export function encodeSubscribed(channel: Channel): string {
  return JSON.stringify({ event: 'subscribed', data: JSON.stringify({ channel }) });
}
