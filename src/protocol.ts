/** A checked value, or what is wrong with it in the words the peer reads. Bad input is ordinary, so it is no exception. */
export type Parsed<T, Reason = string> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: Reason };

/** A channel name that has been checked; only `parseChannel` makes one. */
export type Channel = string & { readonly channel: unique symbol };

/** What a websocket client may say. */
export type ClientMessage =
  /** `token` is undefined when `data` was missing or not a string: no token can be right then. */
  | { readonly event: 'authenticate'; readonly token: string | undefined }
  | { readonly event: 'ping' }
  /** A well-formed message that this version does not know; it is ignored. */
  | { readonly event: 'other' };

/** The claims of a verified token and the JSON text that they were signed as. */
export interface SignedClaims {
  readonly claims: Readonly<Record<string, unknown>>;
  readonly json: string;
}

/** What a broadcast token asks for. */
export interface Broadcast {
  readonly channel: Channel;
  /** The JSON text that subscribers receive, exactly as it was signed. */
  readonly message: string;
}

export type ChannelFault = 'type' | 'length' | 'unicode';

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

/** Parses the claims of a broadcast token. `maxChannelLength` is in UTF-16 units. */
export function parseBroadcast(signed: SignedClaims, maxChannelLength: number): Parsed<Broadcast> {
  const channel = parseChannel(signed.claims['channel'], maxChannelLength);
  if (!channel.ok) {
    return { ok: false, reason: channelFaultText(channel.reason, maxChannelLength) };
  }

  const message = parseMessage(signed);
  if (message === undefined) return { ok: false, reason: 'message must be a JSON object' };
  return { ok: true, value: { channel: channel.value, message } };
}

/**
 * Parses the claims of a subscription token: its channels in their order, repetitions included.
 * All or nothing: one name at fault refuses them all. `maxChannelLength` is in UTF-16 units.
 */
export function parseSubscription(
  signed: SignedClaims,
  maxChannelLength: number,
): Parsed<readonly Channel[], ChannelFault> {
  const names = signed.claims['channels'];
  if (!Array.isArray(names)) return { ok: false, reason: 'type' };

  const channels: Channel[] = [];
  let fault: ChannelFault | undefined;
  for (const name of names) {
    const channel = parseChannel(name, maxChannelLength);
    if (channel.ok) channels.push(channel.value);
    // A list that is no list of strings is malformed, whatever else is wrong with it.
    else if (channel.reason === 'type') return channel;
    else fault ??= channel.reason;
  }
  return fault === undefined ? { ok: true, value: channels } : { ok: false, reason: fault };
}

/** Checks a channel name: any well-formed string, the empty one too, up to `maxLength` UTF-16 units. */
export function parseChannel(value: unknown, maxLength: number): Parsed<Channel, ChannelFault> {
  if (typeof value !== 'string') return { ok: false, reason: 'type' };
  if (value.length > maxLength) return { ok: false, reason: 'length' };
  // In UTF-8 every lone surrogate becomes U+FFFD, so two different names would be one.
  if (!value.isWellFormed()) return { ok: false, reason: 'unicode' };
  return { ok: true, value: value as Channel };
}

/** The confirmation of one channel. `data` is a string of JSON, as the original sends it. */
export function encodeSubscribed(channel: Channel): string {
  return JSON.stringify({ event: 'subscribed', data: JSON.stringify({ channel }) });
}

/**
 * The source text of a member of a JSON object, or undefined when it has none by that name; the last one
 * counts when there are several, as for `JSON.parse`. `json` must be the text of an object that `JSON.parse`
 * accepts. Parsing and re-serialising instead would reorder integer-like keys and lose big integers,
 * `1.0`, escapes and repeated keys.
 */
export function memberText(json: string, name: string): string | undefined {
  let found: string | undefined;
  let at = skipSpace(json, json.indexOf('{') + 1);

  while (json[at] === '"') {
    const keyEnd = stringEnd(json, at);
    const key = json.slice(at, keyEnd);
    const valueStart = skipSpace(json, json.indexOf(':', keyEnd) + 1);
    const valueEnd = skipValue(json, valueStart);

    // A key may be spelled with escapes: "\u006dessage" is "message".
    if ((key.includes('\\') ? JSON.parse(key) : key.slice(1, -1)) === name) {
      found = json.slice(valueStart, valueEnd);
    }

    at = skipSpace(json, valueEnd);
    if (json[at] === ',') at = skipSpace(json, at + 1);
  }
  return found;
}

function parseMessage({ claims, json }: SignedClaims): string | undefined {
  const message = claims['message'];
  if (isObject(message)) return memberText(json, 'message');

  if (typeof message !== 'string' || !isObject(parseJson(message))) return undefined;
  // UTF-8 cannot carry a lone surrogate; inside a JSON string, the only place for one, its escape means the same.
  return message.isWellFormed()
    ? message
    : message.replace(/\p{Surrogate}/gu, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`);
}

function channelFaultText(fault: ChannelFault, maxLength: number): string {
  switch (fault) {
    case 'type':
      return 'channel must be a string';
    case 'length':
      return `channel must be at most ${maxLength} characters`;
    case 'unicode':
      return 'channel must be well-formed Unicode';
  }
}

/** The parsed text, or undefined when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a parsed JSON value is an object: not null, not an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const BACKSLASH = 0x5c;

/** The index of the first character at or after `at` that is not JSON white space (RFC 8259 §2). */
function skipSpace(json: string, at: number): number {
  for (;;) {
    const code = json.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at;
    at += 1;
  }
}

/** The index behind the string that starts at `at`. */
function stringEnd(json: string, at: number): number {
  let quote = json.indexOf('"', at + 1);
  // A quote is escaped when an odd number of backslashes stands before it.
  for (;;) {
    let backslashes = 0;
    while (json.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
    quote = json.indexOf('"', quote + 1);
  }
}

/** The index behind the value that starts at `at`. Counts brackets instead of recursing: nesting may be deep. */
function skipValue(json: string, at: number): number {
  let depth = 0;
  for (;;) {
    switch (json[at]) {
      case '"':
        at = stringEnd(json, at);
        if (depth === 0) return at;
        continue;
      case '{':
      case '[':
        depth += 1;
        break;
      case '}':
      case ']':
        if (depth === 0) return at;
        depth -= 1;
        if (depth === 0) return at + 1;
        break;
      case ',':
      case ' ':
      case '\n':
      case '\r':
      case '\t':
        if (depth === 0) return at;
        break;
    }
    at += 1;
  }
}
