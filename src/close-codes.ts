/** Why the server ends a connection: what the peer reads in the close frame (RFC 6455 §5.5.1). */
export interface Disconnect {
  /** RFC 6455 §7.4 where one fits, else 4000 + the HTTP status that means the same. */
  readonly code: number;
  /** At most 123 bytes of UTF-8, the room that a close frame has for it. */
  readonly reason: string;
}

/** Every reason of ours to hang up. ws itself adds 1002, 1007, 1008 and 1009, with no text. */
export const disconnects = {
  /** Come back after a random delay: another process takes the connection. */
  shuttingDown: { code: 1001, reason: 'Server shutting down' },
  /** Come back with back-off and reload: broadcasts may have been missed. `ON_BROKER_LOSS=reconnect` only. */
  brokerLost: { code: 1013, reason: 'Try again later' },
  /** Do not come back unchanged: the message was not one of the protocol. */
  invalidMessage: { code: 4400, reason: 'Invalid message' },
  /** Do not come back unchanged: the token is genuine, what it says is not usable. */
  invalidChannels: { code: 4400, reason: 'channels must be an array of strings' },
  /** Do not come back unchanged: in UTF-8 such names would collide. */
  malformedChannel: { code: 4400, reason: 'channel must be well-formed Unicode' },
  /** Come back with a fresh token. */
  notAuthorized: { code: 4401, reason: 'Not Authorized!' },
  /** Come back with a fresh token: `ENFORCE_TOKEN_EXPIRY` is on. */
  tokenExpired: { code: 4401, reason: 'Token expired' },
  /** Come back, and authenticate sooner. */
  authenticationTimeout: { code: 4408, reason: 'Authentication timeout' },
  /** Come back: the network between may have failed. */
  pingTimeout: { code: 4408, reason: "Socket didn't respond to ping" },
  /** Do not come back: the token asks for more than the operator allows. */
  tooManyChannels: { code: 4413, reason: 'Too many channels' },
  /** Do not come back: the token asks for more than the operator allows. */
  channelTooLong: { code: 4413, reason: 'Channel name too long' },
  /** Come back and reload: messages were produced faster than this peer reads. */
  tooSlow: { code: 4429, reason: 'Too slow' },
} as const satisfies Record<string, Disconnect>;

/** What ws closed the connection with, by the code of the error it emits; undefined when the socket itself failed. */
export function brokenFrame(error: Error & { readonly code?: unknown }): Disconnect | undefined {
  switch (error.code) {
    case 'WS_ERR_INVALID_UTF8':
      return { code: 1007, reason: '' };
    case 'WS_ERR_TOO_MANY_BUFFERED_PARTS':
      return { code: 1008, reason: '' };
    case 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH':
    case 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH':
      return { code: 1009, reason: '' };
    default:
      if (String(error.code).startsWith('WS_ERR_')) return { code: 1002, reason: '' };
      // Of zlib: what claimed to be compressed was not.
      return String(error.code).startsWith('Z_') ? { code: 1007, reason: '' } : undefined;
  }
}
