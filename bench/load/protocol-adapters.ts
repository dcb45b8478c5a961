/** How a subscriber of one protocol authenticates, and how it finds a broadcast in what it receives. */
export interface ProtocolAdapter {
  /** Path and query of the handshake. */
  readonly path: string;
  /** The text message to send as soon as the websocket is open. */
  authenticate(token: string): string;
  /** Whether `text`, received before any broadcast, confirms the subscription. */
  isSubscribed(text: string): boolean;
  /** The message of a broadcast that arrived as `text`. Throws when it is none. */
  decode(text: string): unknown;
}

/** The protocol of this server. */
const bifrost: ProtocolAdapter = {
  path: '/subscribe',
  authenticate: (token) => JSON.stringify({ event: 'authenticate', data: token }),
  isSubscribed: (text) => text.startsWith('{"event":"subscribed"'),
  decode: (text) => JSON.parse(text),
};

/** The protocol of this server for a client that asks for positions: messages come in an envelope. */
const bifrostPositioned: ProtocolAdapter = {
  ...bifrost,
  authenticate: (token) => JSON.stringify({ event: 'authenticate', data: token, since: null }),
  decode: (text) => JSON.parse(text).data,
};

/** Engine.IO 4 over a websocket, and those packets of Socket.IO 5 that a subscriber needs. */
const socketIo: ProtocolAdapter = {
  path: '/socket.io/?EIO=4&transport=websocket',
  authenticate: (token) => `40${JSON.stringify({ token })}`,
  isSubscribed: (text) => text.startsWith('40'),
  decode: (text) => {
    if (!text.startsWith('42')) throw new Error(`Not an event: ${text}`);
    return JSON.parse(text.slice(2))[1];
  },
};

export const protocolAdapters = { bifrost, bifrostPositioned, socketIo } as const;

export type ProtocolName = keyof typeof protocolAdapters;
