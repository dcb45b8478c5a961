// What the clients of each protocol keep from one connection to the next, and say to get what they have missed.
import { parseMessageNumber } from './numbered-message.ts';
import { protocolAdapters } from './protocol-adapters.ts';

/** What a text message is to a client. */
type Received =
  | { readonly kind: 'subscribed'; readonly isGap?: boolean }
  | { readonly kind: 'message'; readonly number: number }
  | { readonly kind: 'other' };

/** One client over all of its connections. */
export interface Session {
  /** Path and query of the handshake. */
  readonly path: string;
  /** The text messages to send as soon as a websocket is open. */
  open(token: string): readonly string[];
  /** Throws when it is none that the server may send. */
  receive(text: string): Received;
}

const SUBSCRIBED: Received = { kind: 'subscribed' };
const OTHER: Received = { kind: 'other' };

function receiveMessage(text: string): Received {
  const number = parseMessageNumber(text);
  if (number === undefined) throw new Error(`Unexpected text: ${text.slice(0, 200)}`);
  return { kind: 'message', number };
}

/** A client of this protocol that asks for no positions. */
class PlainSession implements Session {
  readonly path = protocolAdapters.bifrost.path;

  open(token: string): readonly string[] {
    return [protocolAdapters.bifrost.authenticate(token)];
  }

  receive(text: string): Received {
    return protocolAdapters.bifrost.isSubscribed(text) ? SUBSCRIBED : receiveMessage(text);
  }
}

const ENVELOPE = /^\{"event":"message","channel":"[^"]+","position":"([^"]+)","data":(\{.+\})\}$/;
const PING = JSON.stringify({ event: 'ping' });

interface Confirmation {
  readonly recovered?: boolean;
  readonly position?: string;
}

/** A client that keeps the position that it received last, whatever brought it, and comes back with it. */
class PositionedSession implements Session {
  readonly path = protocolAdapters.bifrost.path;
  #position: string | null = null;

  open(token: string): readonly string[] {
    const since = this.#position;
    // The ping may be answered before the token is, or behind the replay: its position must not move too far.
    return [JSON.stringify({ event: 'authenticate', data: token, since }), PING];
  }

  receive(text: string): Received {
    const [, position, message] = ENVELOPE.exec(text) ?? [];
    if (position !== undefined && message !== undefined) {
      this.#position = position;
      return receiveMessage(message);
    }
    const { event, data = '{}' } = JSON.parse(text) as { event: string; data?: string };
    const confirmation = JSON.parse(data) as Confirmation;
    this.#position = confirmation.position ?? this.#position;
    if (event === 'pong') return OTHER;
    if (event !== 'subscribed') throw new Error(`Unexpected text: ${text.slice(0, 200)}`);
    return { kind: 'subscribed', isGap: confirmation.recovered === false };
  }
}

const SOCKET_IO_EVENT = /^42\["message",(\{[^}]+\})(?:,"([^"]+)")?\]$/;

/** A client of Socket.IO, as its own client does it: the session's private id and the offset of the last message. */
class SocketIoSession implements Session {
  readonly path = protocolAdapters.socketIo.path;
  #pid: string | undefined;
  #offset: string | undefined;

  open(token: string): readonly string[] {
    const recovery = this.#pid === undefined ? {} : { pid: this.#pid, offset: this.#offset };
    return [`40${JSON.stringify({ token, ...recovery })}`];
  }

  receive(text: string): Received {
    // The Engine.IO handshake, whose settings are the defaults.
    if (text.startsWith('0')) return OTHER;
    if (text.startsWith('40')) {
      this.#pid = (JSON.parse(text.slice(2)) as { pid?: string }).pid;
      return SUBSCRIBED;
    }
    const [, message, offset] = SOCKET_IO_EVENT.exec(text) ?? [];
    this.#offset = offset ?? this.#offset;
    return receiveMessage(message ?? text);
  }
}

const sessions = {
  plain: PlainSession,
  positioned: PositionedSession,
  socketIo: SocketIoSession,
} as const;

export type SessionKind = keyof typeof sessions;

export function createSession(kind: SessionKind): Session {
  return new sessions[kind]();
}
