import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';

/** The end of a sync flush, which messages leave out (RFC 7692 §7.2.1). */
const FLUSH_TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);

const SYNC_FLUSH = { finishFlush: constants.Z_SYNC_FLUSH };

/** Compresses a message's payload without reference to earlier messages (RFC 7692 §7.2.1). */
export function deflateMessage(payload: Buffer): Buffer {
  return deflateRawSync(payload, SYNC_FLUSH).subarray(0, -FLUSH_TAIL.length);
}

/** The payload of a compressed message that does not refer to earlier ones (RFC 7692 §7.2.2). Throws on any other. */
export function inflateMessage(compressed: Buffer): Buffer {
  return inflateRawSync(Buffer.concat([compressed, FLUSH_TAIL]), SYNC_FLUSH);
}
