import type { Duplex } from 'node:stream';
import { type RawData, WebSocket } from 'ws';
import type { Batch } from '../hub/batch.ts';
import type { Compressor } from '../hub/compressor.ts';
import { encodeFrame, type Frame } from '../hub/frame.ts';
import type { Kind } from '../hub/hub.ts';
import type { Outbox, Outlet } from '../hub/outbox.ts';
import type { Channel } from '../protocol/channel.ts';
import {
  countedCode,
  type Disconnect,
  disconnects,
  protocolErrorOf,
} from '../protocol/close-codes.ts';
import { PONG, parseClientMessage } from '../protocol/messages.ts';
import type { DisconnectLog } from '../telemetry/disconnect-log.ts';
import type { AuthenticationFailure, CountedConnection, Metrics } from '../telemetry/metrics.ts';
import { Authentication, type AuthenticationContext, type Bearer } from './authentication.ts';
import type { OwnedWebSocket, WebSocketOwner } from './handled-websocket.ts';
import type { Beating, Heartbeat } from './heartbeat.ts';

/** What all connections of a server share. */
export interface ConnectionContext extends AuthenticationContext {
  readonly disconnectLog: DisconnectLog;
  readonly metrics: Metrics | undefined;
  readonly heartbeat: Heartbeat;
  readonly outbox: Outbox;
  readonly compressor: Compressor;
  /** Every connection from its upgrade to its last byte. */
  readonly connections: Set<Connection>;
}

const PONG_FRAME = encodeFrame(PONG);

/** What may wait for the end of the turn before no more is read of the peer. */
const MOST_WAITING_BYTES = 65_536;

let lastId = 0;

/** One websocket: upgraded → authenticated, any number of times → closed. */
export class Connection implements Bearer, Beating, Outlet, CountedConnection, WebSocketOwner {
  awaitingPong = false;
  beat = 0;
  batch: Batch | undefined = undefined;
  channels: Channel[] | undefined = undefined;
  readonly kind: Kind | undefined;
  readonly #ws: OwnedWebSocket;
  readonly #socket: Duplex;
  readonly #address: string;
  readonly #context: ConnectionContext;
  readonly #authentication: Authentication;
  /** Names the connection in the log. */
  readonly #id: number;
  #channelsLeft = 0;
  #disconnect: Disconnect | undefined;

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
    this.#authentication = new Authentication(this, context);
    context.connections.add(this);

    ws.belongTo(this);
  }

  get isAuthenticated(): boolean {
    return this.#authentication.isDone;
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
    if ((this.batch?.byteLength ?? 0) > MOST_WAITING_BYTES) this.#pauseOrResume();
    return true;
  }

  write(bytes: Buffer): void {
    if (this.#ws.isPaused) this.#pauseOrResume();
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

  /** Whether nothing is read of the peer at present, its pongs included. */
  get isPaused(): boolean {
    return this.#ws.isPaused;
  }

  ping(): void {
    this.#ws.ping();
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
    // Else its answer to the close frame would not be seen.
    this.#pauseOrResume();
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
        this.#authentication.present(message.value.token);
        return;
      case 'ping':
        this.deliver(PONG_FRAME);
        return;
      case 'other':
        return;
    }
  }

  refuse(disconnect: Disconnect, failure: AuthenticationFailure): void {
    if (this.#isOpen) this.#context.metrics?.authenticationFailed(failure);
    this.end(disconnect);
  }

  pendingChanged(): void {
    // Pongs that came while nothing was read of the peer are yet to be read.
    if (this.#ws.isPaused) this.awaitingPong = false;
    this.#pauseOrResume();
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

  /** Reads of the peer unless much waits to be written to it, or many of its tokens wait for the broker. */
  #pauseOrResume(): void {
    const mustPause =
      this.#authentication.hasManyPending || (this.batch?.byteLength ?? 0) > MOST_WAITING_BYTES;
    if (mustPause === this.#ws.isPaused) return;
    if (mustPause) this.#ws.pause();
    else this.#ws.resume();
  }

  #leave(): void {
    this.#authentication.stop();
    this.#channelsLeft += this.#context.hub.remove(this);
    this.#context.heartbeat.remove(this);
  }
}
