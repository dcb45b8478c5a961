import type { Channel } from './channel.ts';
import { isObject, type Parsed, parseJson } from './json.ts';
import type { Publication } from './publishing.ts';

/** What a websocket client may say. */
export type ClientMessage =
  /** `token` is undefined when `data` was missing or not a string: no token can be right then. */
  | {
      readonly event: 'authenticate';
      readonly token: string | undefined;
      /** The position it came to before; null to begin now. Undefined when the client does not ask for positions. */
      readonly since: string | null | undefined;
    }
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
      const { data, since } = message;
      if (since !== undefined && since !== null && typeof since !== 'string') return INVALID;
      const token = typeof data === 'string' ? data : undefined;
      return { ok: true, value: { event: 'authenticate', token, since } };
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

/** What a positioned client is told of a channel beside its name. Members that are undefined are left out. */
export interface SubscribedDetails {
  /** Whether all that was missed follows. Undefined when the client asked for nothing that was before. */
  readonly recovered?: boolean | undefined;
  /** How many messages were missed, and follow. */
  readonly missed?: number | undefined;
  /** The position that the client has come to. */
  readonly position?: string | undefined;
}

/** The confirmation of one channel. `data` is a string of JSON, as the original sends it. */
export function encodeSubscribed(
  channel: Channel,
  { recovered, missed, position }: SubscribedDetails = {},
): string {
  const data = JSON.stringify({ channel, recovered, missed, position });
  return JSON.stringify({ event: 'subscribed', data });
}

/** A message as positioned clients receive it: `data` is the text that others receive. */
export function encodeEnvelope(
  { channel, message }: Publication,
  position: string | undefined,
): string {
  const member = position === undefined ? '' : `"position":"${position}",`;
  return `{"event":"message","channel":${JSON.stringify(channel)},${member}"data":${message}}`;
}

/** The answer to `{"event":"ping"}` for positioned clients: they have been sent everything up to the position. */
export function encodePong(position: string): string {
  return JSON.stringify({ event: 'pong', data: JSON.stringify({ position }) });
}
