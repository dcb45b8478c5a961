import type { Duplex } from 'node:stream';
import { type RawData, WebSocket } from 'ws';
import { type Disconnect, disconnects } from './close-codes.ts';
import type { Config } from './config.ts';
import type { Deadlines, Expiring } from './deadlines.ts';
import { encodeFrame, type Frame } from './frame.ts';
import type { Beating, Heartbeat } from './heartbeat.ts';
import type { Hub, Subscriber } from './hub.ts';
import type { Batch, Outbox, Outlet } from './outbox.ts';
import { type Channel, PONG, parseClientMessage, parseSubscription } from './protocol.ts';
import type { TokenVerifier } from './token.ts';

/** What all connections of a server share. */
export interface ConnectionContext {
  readonly config: Config;
  readonly hub: Hub;
  readonly tokens: TokenVerifier;
  readonly heartbeat: Heartbeat;
  readonly deadlines: Deadlines;
  readonly outbox: Outbox;
  /** Every connection from its upgrade to its last byte. */
  readonly connections: Set<Connection>;
}

const PONG_FRAME = encodeFrame(PONG);

/** One websocket: upgraded → authenticated, any number of times → closed. */
export class Connection implements Subscriber, Beating, Expiring, Outlet {
  awaitingPong = false;
  batch: Batch | undefined = undefined;
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #context: ConnectionContext;
  readonly #beat: number;
  #isAuthenticated = false;
  /** The slot in which this connection ends: unauthenticated, or because its token has expired. */
  #deadline: number | undefined;

  /** `socket` is the raw socket that `ws` was made from. */
  constructor(ws: WebSocket, socket: Duplex, context: ConnectionContext) {
    this.#ws = ws;
    this.#socket = socket;
    this.#context = context;
    this.#beat = context.heartbeat.add(this);
    if (context.config.authTimeoutMs > 0) this.#endIn(context.config.authTimeoutMs);
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
    // Asked before the write, so of earlier turns: a burst must not end those who had read everything.
    if (this.#socket.writableLength > this.#context.config.maxBufferedBytes) {
      this.end(disconnects.tooSlow);
      return;
    }
    // ws writes its own control frames whole and at once, so writing beside it never splits a frame.
    this.#socket.write(bytes);
  }

  ping(): void {
    this.#ws.ping();
  }

  expire(): void {
    this.end(this.#isAuthenticated ? disconnects.tokenExpired : disconnects.authenticationTimeout);
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
    const { config, hub, tokens } = this.#context;
    const signed = token === undefined ? undefined : tokens.verify(token);
    if (!signed?.ok) {
      this.end(disconnects.notAuthorized);
      return;
    }
    const channels = parseSubscription(signed.value, config.maxChannelLength);
    if (!channels.ok) {
      this.end(CHANNEL_FAULTS[channels.reason]);
      return;
    }
    if (this.#isTooMany(channels.value)) {
      this.end(disconnects.tooManyChannels);
      return;
    }

    this.#isAuthenticated = true;
    this.#clearDeadline();
    const { exp } = signed.value.claims;
    // The newest token decides how long the connection may live.
    if (config.enforceTokenExpiry && typeof exp === 'number') this.#endIn(exp * 1_000 - Date.now());
    for (const channel of channels.value) hub.subscribe(this, channel);
  }

  #isTooMany(channels: readonly Channel[]): boolean {
    return (
      this.#context.hub.countWith(this, channels) > this.#context.config.maxChannelsPerConnection
    );
  }

  #endIn(delayMs: number): void {
    this.#deadline = this.#context.deadlines.set(this, delayMs);
  }

  #clearDeadline(): void {
    if (this.#deadline === undefined) return;
    this.#context.deadlines.clear(this, this.#deadline);
    this.#deadline = undefined;
  }

  #leave(): void {
    this.#clearDeadline();
    this.#context.hub.remove(this);
    this.#context.heartbeat.remove(this, this.#beat);
  }
}

const CHANNEL_FAULTS = {
  type: disconnects.invalidChannels,
  length: disconnects.channelTooLong,
  unicode: disconnects.malformedChannel,
} as const;
