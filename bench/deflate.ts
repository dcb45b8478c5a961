import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';

/** What a sync flush ends with, and a message leaves out (RFC 7692 §7.2.1). */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);

const SYNC = { finishFlush: constants.Z_SYNC_FLUSH };

/** The payload of a compressed message that stands alone (RFC 7692 §7.2.1). */
export function deflateMessage(payload: Buffer): Buffer {
  return deflateRawSync(payload, SYNC).subarray(0, -TAIL.length);
}

/** The payload of a message, given the compressed one of a message that refers to none before it (RFC 7692 §7.2.2). */
export function inflateMessage(compressed: Buffer): Buffer {
  return inflateRawSync(Buffer.concat([compressed, TAIL]), SYNC);
}
