import type { Duplex } from 'node:stream';
import type { KeptPublication } from '../broker/history.ts';
import { encodeFrame, type Frame } from '../hub/frame.ts';
import { encodeEnvelope } from '../protocol/messages.ts';

/** What may wait to be written to clients that came back, in bytes, before further ones wait for their turn. */
const MAX_WAITING_BYTES = 64 * 1_024 * 1_024;

/** How long clients that come back are served in one turn of the event loop. The rest wait, so that others are served. */
const MAX_TURN_MS = 10;

/** For how long somebody may keep others waiting with a replay that it does not read: ten seconds. */
const MAX_WAITED_TICKS = 100;

/** How much of what was replayed stays encoded, in bytes, and for how long after the last replay. */
const MAX_FRAME_BYTES = 16 * 1_024 * 1_024;
const FRAMES_KEPT_MS = 1_000;

/** What has been handed to a socket, and not been written yet. */
interface Replay {
  /** The tick at which it was. */
  readonly since: number;
  readonly onStalled: () => void;
}

/** What is sent again to the clients that come back: frames that they share, and a bound for all of them together. */
export class Replays {
  readonly #maxWaitingBytes: number;
  /** By position, which no two messages share. */
  readonly #frames = new Map<string, Frame>();
  #frameBytes = 0;
  #forgetFrames: NodeJS.Timeout | undefined;
  #waitingBytes = 0;
  /** The oldest first. */
  readonly #unwritten = new Set<Replay>();
  /** Ticks at which somebody waited for room. */
  #waitedTicks = 0;
  #isStarting = false;
  /** Undefined until one starts in this turn of the event loop. */
  #turnEndsAt: number | undefined;
  /** Those who wait for room or for another turn, in their order, with what they reserve. */
  readonly #queue = new Map<object, { readonly bytes: number; readonly start: () => void }>();

  constructor(maxWaitingBytes = MAX_WAITING_BYTES) {
    this.#maxWaitingBytes = maxWaitingBytes;
  }

  /** Bytes that wait to be written, or are reserved. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /**
   * Reserves room and calls `start`: now, or when others have been written and time is left in a turn. `bytes` must be
   * given back with `release`.
   * One that is larger than all room gets it when nobody else has any.
   */
  reserve(owner: object, bytes: number, start: () => void): void {
    if (this.#queue.size > 0 || !this.#hasRoom(bytes) || this.#isTurnOver()) {
      this.#queue.set(owner, { bytes, start });
      return;
    }
    this.#waitingBytes += bytes;
    start();
  }

  /** Takes back a `reserve` that still waits. */
  cancel(owner: object): void {
    this.#queue.delete(owner);
  }

  /**
   * Counts what has been handed to a socket. The function that it returns must be called once that has been written or
   * dropped. `onStalled` is called when others have waited for it too long; it must see to it that it is dropped.
   */
  add(bytes: number, onStalled: () => void): () => void {
    const replay = { since: this.#waitedTicks, onStalled };
    this.#unwritten.add(replay);
    this.#waitingBytes += bytes;
    return () => {
      this.#unwritten.delete(replay);
      this.release(bytes);
    };
  }

  /** To be called ten times a second: a client that does not read must not keep others from coming back. */
  tick(): void {
    const [next] = this.#queue.values();
    if (next === undefined || this.#hasRoom(next.bytes)) return;
    this.#waitedTicks += 1;
    for (const replay of this.#unwritten) {
      if (this.#waitedTicks - replay.since < MAX_WAITED_TICKS) return;
      this.#unwritten.delete(replay);
      replay.onStalled();
    }
  }

  release(bytes: number): void {
    this.#waitingBytes -= bytes;
    this.#startNext();
  }

  /** The envelope of a kept message. Made once for all who come back at about the same time. */
  frameOf(publication: KeptPublication): Frame {
    const { position } = publication;
    let frame = this.#frames.get(position);
    if (frame === undefined) {
      frame = encodeFrame(encodeEnvelope(publication, position));
      if (this.#frameBytes + frame.bytes.length > MAX_FRAME_BYTES) this.#clearFrames();
      this.#frames.set(position, frame);
      this.#frameBytes += frame.bytes.length;
    }
    this.#forgetFrames ??= setTimeout(() => this.#clearFrames(), FRAMES_KEPT_MS).unref();
    this.#forgetFrames.refresh();
    return frame;
  }

  #startNext(): void {
    // One that is done in the step in which it starts gives its room back from within `start`. Calls that nest once for
    // each of those who wait would overflow the stack.
    if (this.#isStarting) return;
    this.#isStarting = true;
    for (const [owner, next] of this.#queue) {
      if (!this.#hasRoom(next.bytes) || this.#isTurnOver()) break;
      this.#queue.delete(owner);
      this.#waitingBytes += next.bytes;
      next.start();
    }
    this.#isStarting = false;
  }

  #hasRoom(bytes: number): boolean {
    return this.#waitingBytes === 0 || this.#waitingBytes + bytes <= this.#maxWaitingBytes;
  }

  /** False for the first one in every turn, so that there is always progress. */
  #isTurnOver(): boolean {
    if (this.#turnEndsAt !== undefined) return performance.now() >= this.#turnEndsAt;
    this.#turnEndsAt = performance.now() + MAX_TURN_MS;
    setImmediate(() => {
      this.#turnEndsAt = undefined;
      this.#startNext();
    });
    return false;
  }

  #clearFrames(): void {
    this.#frames.clear();
    this.#frameBytes = 0;
  }
}

/**
 * Writes frames to a socket in one go. They are not joined: others share them. Calls `onWritten` when the kernel has
 * taken them or the connection has ended.
 */
export function writeFrames(socket: Duplex, frames: readonly Frame[], onWritten: () => void): void {
  const last = frames.length - 1;
  socket.cork();
  for (const [index, { bytes }] of frames.entries()) {
    if (index === last) socket.write(bytes, onWritten);
    else socket.write(bytes);
  }
  socket.uncork();
}
