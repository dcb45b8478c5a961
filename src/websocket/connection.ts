import type { Duplex } from 'node:stream';
import { type RawData, WebSocket } from 'ws';
import type { Grant } from '../auth/grant.ts';
import type { Batch } from '../hub/batch.ts';
import type { Frame } from '../hub/frame.ts';
import { type Kind, SUSPENDED, type Subscriber } from '../hub/hub.ts';
import type { Outlet } from '../hub/outbox.ts';
import type { Channel } from '../protocol/channel.ts';
import {
  countedCode,
  type Disconnect,
  disconnects,
  protocolErrorOf,
} from '../protocol/close-codes.ts';
import { parseClientMessage } from '../protocol/messages.ts';
import type { CountedConnection } from '../telemetry/metrics.ts';
import { Authentication } from './authentication.ts';
import type { ConnectionContext } from './connection-context.ts';
import type { HandledWebSocket, WebSocketHandler } from './handled-websocket.ts';
import { createPong } from './recovery.ts';
import { writeFrames } from './replays.ts';

/** While more than this waits to be written to a peer, nothing is read from it. */
const MAX_WAITING_BYTES = 65_536;

let lastId = 0;

/** One websocket: opened → authenticated, any number of times → closed. */
export class Connection implements Subscriber, Outlet, CountedConnection, WebSocketHandler {
  /** True from a ping until its pong arrives. Set by the heartbeat. */
  awaitingPong = false;
  /** The timer slot of the next ping. Only the heartbeat may change it. */
  heartbeatSlot = 0;
  batch: Batch | undefined = undefined;
  channels: Channel[] | undefined = undefined;
  kind: Kind | undefined;
  readonly #ws: HandledWebSocket;
  readonly #socket: Duplex;
  readonly #address: string;
  readonly #context: ConnectionContext;
  readonly #authentication: Authentication;
  /** The connection's number in the log. */
  readonly #id: number;
  /** How many channels it was subscribed to when it ended. */
  #channelsLeft = 0;
  /** Why the server ended the connection; undefined if the peer did. */
  #disconnect: Disconnect | undefined;

  /** `socket` is the raw socket under `ws`, `address` the client's address as far as it is known. */
  constructor(ws: HandledWebSocket, socket: Duplex, address: string, context: ConnectionContext) {
    this.#ws = ws;
    this.#socket = socket;
    this.#address = address;
    this.#context = context;
    // permessage-deflate is the only extension that a handshake can have agreed on.
    this.kind = ws.extensions === '' ? undefined : context.compressor;
    lastId += 1;
    this.#id = lastId;
    this.#authentication = new Authentication(this, context);
    context.connections.add(this);
    ws.handleWith(this);
  }

  /** False from the first close frame on, whichever side sent it. */
  get isOpen(): boolean {
    return this.#ws.readyState === WebSocket.OPEN;
  }

  get isAuthenticated(): boolean {
    return this.#authentication.isDone;
  }

  /** True once the client has asked for positions: it is sent envelopes from then on. */
  get isPositioned(): boolean {
    return this.kind?.isPositioned === true;
  }

  /** What may wait to be written to it, in bytes. */
  get maxBufferedBytes(): number {
    return this.#context.config.maxBufferedBytes;
  }

  /** Bytes that have been written but not yet accepted by the kernel. */
  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  deliver(frame: Frame): boolean {
    if (!this.isOpen) return false;
    this.#context.outbox.append(this, frame);
    // A small message may ask for many answers. The next message is not read before they are written: otherwise one
    // client could occupy a whole turn of the event loop, and the memory.
    if ((this.batch?.byteLength ?? 0) > MAX_WAITING_BYTES) this.#pauseOrResume();
    return true;
  }

  write(bytes: Buffer): void {
    if (this.#ws.isPaused) this.#pauseOrResume();
    // Nothing may follow a close frame (RFC 6455 §5.5.1). When the peer closes or breaks the protocol, ws sends its close
    // frame at once, from its parser. What was still waiting then is dropped.
    if (!this.isOpen) return;
    // Checked before the write, so it counts earlier turns only: a burst must not end a peer that has read everything.
    if (this.bufferedBytes > this.#context.config.maxBufferedBytes) {
      this.end(disconnects.tooSlow);
      return;
    }
    // ws writes each of its control frames in one call, so ours cannot end up inside one.
    this.#socket.write(bytes);
  }

  /**
   * Writes frames at once, behind all that was delivered before, and calls `onWritten` as `writeFrames` does. False when
   * the connection is no longer open and nothing was written.
   */
  replay(frames: readonly Frame[], onWritten: () => void): boolean {
    this.#context.outbox.flush(this);
    if (!this.isOpen) return false;
    writeFrames(this.#socket, frames, onWritten);
    return true;
  }

  /**
   * Leaves all channels because broadcasts have been missed: a later one would move the client's position beyond them. To
   * be followed by `end`, so that the client comes back and recovers.
   */
  suspend(): void {
    this.#leave();
    this.kind = SUSPENDED;
  }

  get isSuspended(): boolean {
    return this.kind === SUSPENDED;
  }

  /** True while nothing is read from the peer, pongs included. */
  get isPaused(): boolean {
    return this.#ws.isPaused;
  }

  ping(): void {
    this.#ws.ping();
  }

  /**
   * Leaves all channels and sends a close frame. ws terminates the connection if the peer does not answer it in time.
   * Safe to call when the connection is closing or closed.
   */
  end(disconnect: Disconnect): void {
    if (!this.isOpen) {
      // The peer started to close first. If it ended its side without a close frame, it may never read what still waits
      // for it, and ws has no timeout for that.
      if (disconnect === disconnects.pingTimeout) this.#ws.terminate();
      return;
    }
    this.#disconnect = disconnect;
    this.#leave();
    this.#context.outbox.flush(this);
    // A paused socket would not read the answer to the close frame.
    this.#pauseOrResume();
    this.#ws.close(disconnect.code, disconnect.reason);
  }

  /** Subscribes to what the token in the handshake grants. To be called before any message is read. */
  accept(grant: Grant, since: string | null | undefined): void {
    this.#authentication.accept(grant, since);
  }

  /** Cuts the connection off without a close frame: it takes nothing any more, and the peer sees 1006. */
  cut(): void {
    this.#ws.terminate();
  }

  onMessage(data: RawData, isBinary: boolean): void {
    // Messages may still arrive during the close handshake.
    if (isBinary || !this.isOpen) return;

    const message = parseClientMessage(data.toString());
    if (!message.ok) {
      this.end(disconnects.invalidMessage);
      return;
    }
    switch (message.value.event) {
      case 'authenticate':
        if (!this.isSuspended) {
          this.#authentication.authenticate(message.value.token, message.value.since);
        }
        return;
      case 'ping': {
        // One that is still to be told what it has missed has not come as far as the broker.
        const namesPosition = this.isPositioned && !this.#authentication.isAnswering;
        this.deliver(createPong(this.#context.broker, namesPosition));
        return;
      }
      case 'other':
        return;
    }
  }

  /** Called when the number of tokens that wait for the broker has changed. */
  pendingTokensChanged(): void {
    // The pong may have arrived while nothing was read.
    if (this.#ws.isPaused) this.awaitingPong = false;
    this.#pauseOrResume();
  }

  onPong(): void {
    this.awaitingPong = false;
  }

  /** ws has already answered a broken frame with a close frame and accepts no further writes. */
  onError(error: Error): void {
    this.#disconnect ??= protocolErrorOf(error);
    this.#leave();
  }

  onClose(peerCode: number): void {
    this.#leave();
    const { connections, metrics } = this.#context;
    // If we ended it, our code is the reason: a peer that never answered our close frame would be counted as 1006.
    const code = this.#disconnect?.code ?? peerCode;
    const counted = countedCode(code, this.#disconnect !== undefined);
    metrics?.disconnected(counted);
    connections.remove(this, counted, {
      connection: this.#id,
      address: this.#address,
      code,
      // Only our own reason is logged: the peer's is arbitrary text.
      reason: this.#disconnect?.reason,
      channels: this.#channelsLeft,
    });
  }

  /** Stops reading from the peer while too much waits to be written to it, or too many of its tokens wait. */
  #pauseOrResume(): void {
    const mustPause =
      this.#authentication.hasTooManyPending || (this.batch?.byteLength ?? 0) > MAX_WAITING_BYTES;
    if (mustPause === this.#ws.isPaused) return;
    if (mustPause) this.#ws.pause();
    else this.#ws.resume();
  }

  /** Safe to call twice. */
  #leave(): void {
    this.#authentication.stop();
    this.#channelsLeft += this.#context.hub.unsubscribe(this);
    this.#context.connections.heartbeat.remove(this);
  }
}
