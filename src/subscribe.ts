import type { Duplex } from 'node:stream';
import { type RawData, WebSocket } from 'ws';
import { type Disconnect, disconnects } from './close-codes.ts';
import { encodeFrame, type Frame } from './frame.ts';
import type { Beating, Heartbeat } from './heartbeat.ts';
import type { Hub, Subscriber } from './hub.ts';
import type { Batch, Outbox, Outlet } from './outbox.ts';
import { PONG, parseClientMessage, parseSubscription } from './protocol.ts';
import type { TokenVerifier } from './token.ts';

/** What all connections of a server share. */
export interface ConnectionContext {
  readonly hub: Hub;
  readonly tokens: TokenVerifier;
  readonly heartbeat: Heartbeat;
  readonly outbox: Outbox;
  /** Every connection from its upgrade to its last byte. */
  readonly connections: Set<Connection>;
  /** In UTF-16 units. */
  readonly maxChannelLength: number;
}

const PONG_FRAME = encodeFrame(PONG);

/** One websocket: upgraded → authenticated, any number of times → closed. */
export class Connection implements Subscriber, Beating, Outlet {
  awaitingPong = false;
  batch: Batch | undefined = undefined;
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #context: ConnectionContext;
  readonly #slot: number;

  /** `socket` is the raw socket that `ws` was made from. */
  constructor(ws: WebSocket, socket: Duplex, context: ConnectionContext) {
    this.#ws = ws;
    this.#socket = socket;
    this.#context = context;
    this.#slot = context.heartbeat.add(this);
    context.connections.add(this);

    ws.on('message', (data, isBinary) => this.#receive(data, isBinary));
    ws.on('pong', () => {
      this.awaitingPong = false;
    });
    // A broken frame: ws has already answered with a close frame; from now on it takes nothing more.
    ws.on('error', () => this.#leave());
    ws.on('close', () => {
      this.#leave();
      context.connections.delete(this);
    });
  }

  deliver(frame: Frame): boolean {
    if (!this.#isOpen) return false;
    this.#context.outbox.append(this, frame);
    return true;
  }

  write(bytes: Buffer): void {
    // Nothing may follow a close frame (RFC 6455 §5.5.1). ws answers a peer that closes or breaks the protocol
    // at once, from its parser; what waits at that moment is dropped.
    if (!this.#isOpen) return;
    // ws writes its own control frames whole and at once, so writing beside it never splits a frame.
    this.#socket.write(bytes);
  }

  ping(): void {
    this.#ws.ping();
  }

  /** Says why in a close frame; ws ends the connection for good when the peer does not answer it in time. */
  end(disconnect: Disconnect): void {
    this.#leave();
    this.#context.outbox.flush(this);
    this.#ws.close(disconnect.code, disconnect.reason);
  }

  get #isOpen(): boolean {
    return this.#ws.readyState === WebSocket.OPEN;
  }

  #receive(data: RawData, isBinary: boolean): void {
    // Messages still arrive while the close handshake is under way.
    if (isBinary || !this.#isOpen) return;

    const message = parseClientMessage(data.toString());
    if (!message.ok) {
      this.end(disconnects.invalidMessage);
      return;
    }
    switch (message.value.event) {
      case 'authenticate':
        this.#authenticate(message.value.token);
        return;
      case 'ping':
        this.deliver(PONG_FRAME);
        return;
      case 'other':
        return;
    }
  }

  #authenticate(token: string | undefined): void {
    const { hub, tokens, maxChannelLength } = this.#context;
    const signed = token === undefined ? undefined : tokens.verify(token);
    if (!signed?.ok) {
      this.end(disconnects.notAuthorized);
      return;
    }
    const channels = parseSubscription(signed.value, maxChannelLength);
    if (!channels.ok) {
      this.end(CHANNEL_FAULTS[channels.reason]);
      return;
    }
    for (const channel of channels.value) hub.subscribe(this, channel);
  }

  #leave(): void {
    this.#context.hub.remove(this);
    this.#context.heartbeat.remove(this, this.#slot);
  }
}

const CHANNEL_FAULTS = {
  type: disconnects.invalidChannels,
  length: disconnects.channelTooLong,
  unicode: disconnects.malformedChannel,
} as const;
