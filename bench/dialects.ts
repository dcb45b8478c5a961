/** How a subscriber makes itself known to a server, and how a broadcast looks when it arrives. */
export interface Dialect {
  /** Of the upgrade request. */
  readonly path: string;
  /** The text message to send as soon as the websocket is open. */
  authenticate(token: string): string;
  /** Whether `text`, received before anything was broadcast, says that the subscription stands. */
  isSubscribed(text: string): boolean;
  /** The broadcast message in a text frame. Throws when there is none. */
  decode(text: string): unknown;
}

/** The protocol of this server. */
const bifrost: Dialect = {
  path: '/subscribe',
  authenticate: (token) => JSON.stringify({ event: 'authenticate', data: token }),
  isSubscribed: (text) => text.startsWith('{"event":"subscribed"'),
  decode: (text) => JSON.parse(text),
};

/** Engine.IO 4 over a websocket, and the few packets of Socket.IO 5 that a subscriber meets. */
const socketIo: Dialect = {
  path: '/socket.io/?EIO=4&transport=websocket',
  authenticate: (token) => `40${JSON.stringify({ token })}`,
  isSubscribed: (text) => text.startsWith('40'),
  decode: (text) => {
    if (!text.startsWith('42')) throw new Error(`Not an event: ${text}`);
    return JSON.parse(text.slice(2))[1];
  },
};

export const dialects = { bifrost, socketIo } as const;

export type DialectName = keyof typeof dialects;
