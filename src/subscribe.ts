import type { Duplex } from 'node:stream';
import { type RawData, WebSocket } from 'ws';
import type { Broker } from './broker.ts';
import { countedCode, type Disconnect, disconnects, protocolErrorOf } from './close-codes.ts';
import type { Compressor } from './compression.ts';
import type { Config } from './config.ts';
import type { DisconnectLog } from './disconnect-log.ts';
import { encodeFrame, type Frame } from './frame.ts';
import type { Beating, Heartbeat } from './heartbeat.ts';
import type { Hub, Kind, Subscriber } from './hub.ts';
import type { AuthenticationFailure, CountedConnection, Metrics } from './metrics.ts';
import type { Batch, Outbox, Outlet } from './outbox.ts';
import { type Channel, PONG, parseClientMessage, parseSubscription } from './protocol.ts';
import type { TokenVerifier } from './token.ts';
import type { OwnedWebSocket, WebSocketOwner } from './websocket.ts';
import type { Wheel } from './wheel.ts';

/** What all connections of a server share. */
export interface ConnectionContext {
  readonly config: Config;
  readonly disconnectLog: DisconnectLog;
  readonly metrics: Metrics | undefined;
  readonly hub: Hub;
  readonly broker: Broker;
  readonly tokens: TokenVerifier;
  readonly heartbeat: Heartbeat;
  /** Whose time may run out: unauthenticated, or with a token that expires. */
  readonly deadlines: Wheel<Connection>;
  readonly outbox: Outbox;
  readonly compressor: Compressor;
  /** Every connection from its upgrade to its last byte. */
  readonly connections: Set<Connection>;
}

const PONG_FRAME = encodeFrame(PONG);

/** One for all, since nearly all connections wait for nothing. */
const NONE: readonly Channel[] = [];

/** What may wait for the end of the turn before no more is read of the peer. */
const MOST_WAITING_BYTES = 65_536;

/** While the broker is away, confirmations may wait for this many times `MAX_CHANNELS_PER_CONNECTION` channels. */
const MOST_CONFIRMATIONS = 4;

let lastId = 0;

/** One websocket: upgraded → authenticated, any number of times → closed. */
export class Connection implements Subscriber, Beating, Outlet, CountedConnection, WebSocketOwner {
  awaitingPong = false;
  beat = 0;
  batch: Batch | undefined = undefined;
  channels: Channel[] | undefined = undefined;
  isAuthenticated = false;
  readonly kind: Kind | undefined;
  readonly #ws: OwnedWebSocket;
  readonly #socket: Duplex;
  readonly #address: string;
  readonly #context: ConnectionContext;
  /** Names the connection in the log. */
  readonly #id: number;
  #channelsLeft = 0;
  /** Settled when the newest token's channels are confirmed; undefined when nothing waits for the broker. */
  #joining: Promise<void> | undefined;
  /** Channels of tokens that wait for the broker. */
  #waiting: readonly Channel[] = NONE;
  #disconnect: Disconnect | undefined;
  /** The slot in which this connection ends: unauthenticated, or because its token has expired. */
  #deadline: number | undefined;

  /** `socket` is the raw socket that `ws` was made from, `address` whom it belongs to as far as we know. */
  constructor(ws: OwnedWebSocket, socket: Duplex, address: string, context: ConnectionContext) {
    this.#ws = ws;
    this.#socket = socket;
    this.#address = address;
    this.#context = context;
    // permessage-deflate is the only extension there is.
    this.kind = ws.extensions === '' ? undefined : context.compressor;
    lastId += 1;
    this.#id = lastId;
    context.heartbeat.add(this);
    if (context.config.authTimeoutMs > 0) this.#endIn(context.config.authTimeoutMs);
    context.connections.add(this);

    ws.belongTo(this);
  }

  /** What the peer has not taken yet. */
  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  deliver(frame: Frame): boolean {
    if (!this.#isOpen) return false;
    this.#context.outbox.append(this, frame);
    // A small message may ask for many answers. The next is not read before these are written, or one client could
    // have a turn of the event loop, and the memory, to itself.
    if ((this.batch?.byteLength ?? 0) > MOST_WAITING_BYTES && !this.#ws.isPaused) this.#ws.pause();
    return true;
  }

  write(bytes: Buffer): void {
    if (this.#ws.isPaused) this.#ws.resume();
    // Nothing may follow a close frame (RFC 6455 §5.5.1). ws answers a peer that closes or breaks the protocol
    // at once, from its parser; what waits at that moment is dropped.
    if (!this.#isOpen) return;
    // Asked before the write, so of earlier turns: a burst must not end those who had read everything.
    if (this.bufferedBytes > this.#context.config.maxBufferedBytes) {
      this.end(disconnects.tooSlow);
      return;
    }
    // ws writes its own control frames whole and at once, so writing beside it never splits a frame.
    this.#socket.write(bytes);
  }

  ping(): void {
    this.#ws.ping();
  }

  /** The time to authenticate is up, or that of the token. */
  expire(): void {
    if (this.isAuthenticated) this.end(disconnects.tokenExpired);
    else this.#refuse(disconnects.authenticationTimeout, 'timeout');
  }

  /** Says why in a close frame; ws ends the connection for good when the peer does not answer it in time. */
  end(disconnect: Disconnect): void {
    if (!this.#isOpen) {
      // A peer that has closed or broken off first is on its way out already. One that ended without a close frame
      // may never take what still waits for it, though, and ws would wait with it.
      if (disconnect === disconnects.pingTimeout) this.#ws.terminate();
      return;
    }
    this.#disconnect = disconnect;
    this.#leave();
    this.#context.outbox.flush(this);
    this.#ws.close(disconnect.code, disconnect.reason);
  }

  received(data: RawData, isBinary: boolean): void {
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

  ponged(): void {
    this.awaitingPong = false;
  }

  /** ws has answered a broken frame with a close frame already, and takes nothing more. */
  failed(error: Error): void {
    this.#disconnect ??= protocolErrorOf(error);
    this.#leave();
  }

  closed(peerCode: number): void {
    this.#leave();
    const { connections, disconnectLog, metrics } = this.#context;
    connections.delete(this);
    // A peer that could not read our close frame is told apart by our code, not by 1006.
    const code = this.#disconnect?.code ?? peerCode;
    const counted = countedCode(code, this.#disconnect !== undefined);
    metrics?.disconnected(counted);
    disconnectLog.add(counted, this.isAuthenticated, {
      connection: this.#id,
      address: this.#address,
      code,
      // A peer's own reason is its text, and stays out of the log.
      reason: this.#disconnect?.reason,
      channels: this.#channelsLeft,
    });
  }

  get #isOpen(): boolean {
    return this.#ws.readyState === WebSocket.OPEN;
  }

  #authenticate(token: string | undefined): void {
    const { config, tokens } = this.#context;
    const signed = token === undefined ? undefined : tokens.verify(token);
    if (!signed?.ok) {
      this.#refuse(disconnects.notAuthorized, 'token');
      return;
    }
    const channels = parseSubscription(signed.value, config.maxChannelLength);
    if (!channels.ok) {
      const disconnect = CHANNEL_FAULTS[channels.reason];
      this.#refuse(disconnect, disconnect === disconnects.channelTooLong ? 'limits' : 'channels');
      return;
    }
    if (this.#isTooMany(channels.value)) {
      this.#refuse(disconnects.tooManyChannels, 'limits');
      return;
    }

    this.#subscribe(channels.value, signed.value.claims['exp']);
  }

  /** Confirms the channels, after those of earlier tokens and once broadcasts arrive here. */
  #subscribe(channels: readonly Channel[], exp: unknown): void {
    const joining = this.#context.broker.join(this, channels);
    if (joining === undefined && this.#joining === undefined) {
      this.#confirm(channels, exp);
      return;
    }

    this.#waiting = [...this.#waiting, ...channels];
    const joined = Promise.all([this.#joining, joining]).then(() => {
      if (this.#joining === joined) {
        this.#joining = undefined;
        this.#waiting = NONE;
      }
      if (this.#isOpen) this.#confirm(channels, exp);
    });
    this.#joining = joined;
  }

  #confirm(channels: readonly Channel[], exp: unknown): void {
    const { config, hub } = this.#context;
    this.isAuthenticated = true;
    this.#clearDeadline();
    // The newest token decides how long the connection may live.
    if (config.enforceTokenExpiry && typeof exp === 'number') this.#endIn(exp * 1_000 - Date.now());
    for (const channel of channels) hub.subscribe(this, channel);
  }

  #isTooMany(channels: readonly Channel[]): boolean {
    const { hub, config } = this.#context;
    const most = config.maxChannelsPerConnection;
    // Confirmations that wait for the broker are kept, and repetitions are confirmed each.
    if (this.#waiting.length > MOST_CONFIRMATIONS * most) return true;
    return hub.countWith(this, [...this.#waiting, ...channels]) > most;
  }

  #endIn(delayMs: number): void {
    this.#deadline = this.#context.deadlines.set(this, delayMs);
  }

  #clearDeadline(): void {
    if (this.#deadline === undefined) return;
    this.#context.deadlines.clear(this, this.#deadline);
    this.#deadline = undefined;
  }

  #refuse(disconnect: Disconnect, reason: AuthenticationFailure): void {
    if (this.#isOpen) this.#context.metrics?.authenticationFailed(reason);
    this.end(disconnect);
  }

  #leave(): void {
    this.#clearDeadline();
    this.#context.broker.leave(this);
    this.#channelsLeft += this.#context.hub.remove(this);
    this.#context.heartbeat.remove(this);
  }
}

const CHANNEL_FAULTS = {
  type: disconnects.invalidChannels,
  length: disconnects.channelTooLong,
  unicode: disconnects.malformedChannel,
} as const;
