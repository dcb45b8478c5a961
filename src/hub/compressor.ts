import { constants, deflateRawSync } from 'node:zlib';
import { type Frame, frameOf, payloadOf } from './frame.ts';
import type { Kind } from './hub.ts';

/** Below this a compressed message is hardly smaller, and costs more to read. */
const MIN_BYTES = 256;

/** What is compressed in one turn of the event loop, about 5 ms of work. The rest is sent uncompressed. */
const MAX_TURN_BYTES = 128 * 1024;

// RFC 6455 §5.2 and RFC 7692 §6: FIN and RSV1 ("compressed") set, opcode 1.
const FIN_RSV1_TEXT = 0xc1;

/** The end of a sync flush, which RFC 7692 §7.2.1 leaves out. */
const TAIL_BYTES = 4;

/**
 * Subscribers who negotiated permessage-deflate. Without context takeover every message stands alone, so a broadcast
 * is compressed once for all of them and no connection needs a compressor of its own.
 */
export class Compressor implements Kind {
  /** Subscribers who negotiated it and are sent envelopes. */
  readonly positioned: Kind = { isPositioned: true, encode: (frame) => this.encode(frame) };
  #leftBytes = MAX_TURN_BYTES;

  /** Compresses the frame, or returns it as it is when it is small or this turn has compressed enough. */
  encode(frame: Frame): Frame {
    const payload = payloadOf(frame);
    if (frame.bytes.length < MIN_BYTES || payload.length > this.#leftBytes) return frame;
    if (this.#leftBytes === MAX_TURN_BYTES) {
      setImmediate(() => {
        this.#leftBytes = MAX_TURN_BYTES;
      });
    }
    this.#leftBytes -= payload.length;

    const deflated = deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH });
    return frameOf(FIN_RSV1_TEXT, deflated.subarray(0, -TAIL_BYTES));
  }
}
