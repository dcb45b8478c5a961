import { constants, deflateRawSync } from 'node:zlib';
import { type Frame, frameOf, payloadOf } from './frame.ts';
import type { Kind } from './hub.ts';

/** Below this a compressed message is hardly smaller, and costs more to read. */
const LEAST_BYTES = 256;

/** What is compressed in one turn of the event loop: about 5 ms of it. The rest goes out as it is. */
const TURN_BYTES = 128 * 1024;

// RFC 6455 §5.2 and RFC 7692 §6: FIN and RSV1 ("compressed") set, opcode 1.
const FIN_RSV1_TEXT = 0xc1;

/** What a sync flush ends with, and RFC 7692 §7.2.1 leaves out. */
const TAIL_BYTES = 4;

/**
 * Subscribers who negotiated permessage-deflate. Without context takeover every message stands alone, so a broadcast
 * is compressed once for all of them and no connection needs a compressor of its own.
 */
export class Compressor implements Kind {
  #left = TURN_BYTES;

  /** The frame with its payload compressed, or the frame itself when that hardly pays or would take too long. */
  encode(frame: Frame): Frame {
    const payload = payloadOf(frame);
    if (frame.bytes.length < LEAST_BYTES || payload.length > this.#left) return frame;
    if (this.#left === TURN_BYTES) {
      setImmediate(() => {
        this.#left = TURN_BYTES;
      });
    }
    this.#left -= payload.length;

    const deflated = deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH });
    return frameOf(FIN_RSV1_TEXT, deflated.subarray(0, -TAIL_BYTES));
  }
}
