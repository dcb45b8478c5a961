/** Why the server ends a connection: what the peer reads in the close frame (RFC 6455 §5.5.1), and what it should do. */
export interface Disconnect {
  /** RFC 6455 §7.4 where one fits, else 4000 + the HTTP status that means the same. */
  readonly code: number;
  /** At most 123 bytes of UTF-8, the room that a close frame has for it. */
  readonly reason: string;
  readonly retry: Retry;
  /** Whether messages may have been lost that only the app can give back: the client should load the current state. */
  readonly reload: boolean;
}

/**
 * When a client should connect again: `soon` is after a short random delay, `backoff` after delays that grow,
 * `fresh-token` with another token than the one it used, `never` is not before somebody has changed something.
 */
export type Retry = 'soon' | 'backoff' | 'fresh-token' | 'never';

type Advice = Pick<Disconnect, 'retry' | 'reload'>;

/** The same would be refused again, until somebody has changed something. */
const FINAL = { retry: 'never', reload: false } as const satisfies Advice;

const BACKOFF = { retry: 'backoff', reload: false } as const satisfies Advice;

const FRESH_TOKEN = { retry: 'fresh-token', reload: false } as const satisfies Advice;

/** Messages were lost on the way to this client. */
const RELOAD = { retry: 'backoff', reload: true } as const satisfies Advice;

/** Every reason of ours to hang up. */
export const disconnects = {
  /** SIGTERM: another process takes the connection. */
  shuttingDown: { code: 1001, reason: 'Server shutting down', retry: 'soon', reload: false },
  /** `ON_BROKER_LOSS=reconnect` only. */
  brokerLost: { code: 1013, reason: 'Try again later', ...RELOAD },
  /** The message was not one of the protocol. */
  invalidMessage: { code: 4400, reason: 'Invalid message', ...FINAL },
  /** The token is genuine, but its channels are not usable. */
  invalidChannels: { code: 4400, reason: 'channels must be an array of strings', ...FINAL },
  /** In UTF-8 such names would collide. */
  malformedChannel: { code: 4400, reason: 'channel must be well-formed Unicode', ...FINAL },
  /** The token was absent, malformed, expired or signed with another secret. */
  notAuthorized: { code: 4401, reason: 'Not Authorized!', ...FRESH_TOKEN },
  /** `ENFORCE_TOKEN_EXPIRY` only. */
  tokenExpired: { code: 4401, reason: 'Token expired', ...FRESH_TOKEN },
  /** No valid token came within `AUTH_TIMEOUT_SECONDS`. */
  authenticationTimeout: { code: 4408, reason: 'Authentication timeout', ...BACKOFF },
  /** The peer, or the network to it, has failed. */
  pingTimeout: { code: 4408, reason: "Socket didn't respond to ping", ...BACKOFF },
  /** The token asks for more than the operator allows. */
  tooManyChannels: { code: 4413, reason: 'Too many channels', ...FINAL },
  /** The token asks for more than the operator allows. */
  channelTooLong: { code: 4413, reason: 'Channel name too long', ...FINAL },
  /** Messages were produced faster than this peer reads. */
  tooSlow: { code: 4429, reason: 'Too slow', ...RELOAD },
} as const satisfies Record<string, Disconnect>;

/** What ws closes a connection with by itself. */
export const protocolErrors = {
  brokenFrame: { code: 1002, reason: '', ...FINAL },
  malformedText: { code: 1007, reason: '', ...FINAL },
  tooManyParts: { code: 1008, reason: '', ...FINAL },
  messageTooLong: { code: 1009, reason: '', ...FINAL },
} as const satisfies Record<string, Disconnect>;

/** What ws closed the connection with, by the code of the error it emits; undefined when the socket itself failed. */
export function protocolErrorOf(
  error: Error & { readonly code?: unknown },
): Disconnect | undefined {
  switch (error.code) {
    case 'WS_ERR_INVALID_UTF8':
      return protocolErrors.malformedText;
    case 'WS_ERR_TOO_MANY_BUFFERED_PARTS':
      return protocolErrors.tooManyParts;
    case 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH':
    case 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH':
      return protocolErrors.messageTooLong;
    default:
      if (String(error.code).startsWith('WS_ERR_')) return protocolErrors.brokenFrame;
      // Of zlib: what claimed to be compressed was not.
      return String(error.code).startsWith('Z_') ? protocolErrors.malformedText : undefined;
  }
}

/** A close code as it is counted: one of a few. */
export type CountedCode = number | 'other';

/** Codes that a peer may close with and that are told apart; any other would be a series of the peer's choice. */
const PEER_CODES = new Set([1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011]);

/** `isOurs` tells a code of this file from one that the peer chose. */
export function countedCode(code: number, isOurs: boolean): CountedCode {
  return isOurs || PEER_CODES.has(code) ? code : 'other';
}
