/** The opcodes of RFC 6455 §5.2 that a subscriber meets; a compressed message has RSV1 set too (RFC 7692 §6). */
export const opcodes = { text: 1, compressedText: 0x41, ping: 9, pong: 10 } as const;

const FIN = 0x80;
const MASKED = 0x80;
// Constant: the work of unmasking is what is to be measured, not its protection. Not zero, which servers may skip.
const MASK = Buffer.from([0x12, 0x34, 0x56, 0x78]);

/** A whole, masked client frame (RFC 6455 §5.2). `payload` is shorter than 64 KiB. */
export function clientFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const short = length < 126;
  const offset = short ? 6 : 8;
  const frame = Buffer.allocUnsafe(offset + length);
  frame[0] = FIN | opcode;
  frame[1] = MASKED | (short ? length : 126);
  if (!short) frame.writeUInt16BE(length, 2);
  MASK.copy(frame, offset - 4);
  for (let i = 0; i < length; i++) frame[offset + i] = (payload[i] ?? 0) ^ (MASK[i & 3] ?? 0);
  return frame;
}

/** `opcode` is with the reserved bits. The payload of a frame is `bytes` from `start` to `end`, valid during the call only. */
export type FrameHandler = (opcode: number, bytes: Buffer, start: number, end: number) => void;

/** Hands every whole server frame in `bytes` to `onFrame`; returns how many bytes these took. */
export function readFrames(bytes: Buffer, onFrame: FrameHandler): number {
  let offset = 0;
  for (;;) {
    if (bytes.length - offset < 2) return offset;
    const first = bytes[offset] ?? 0;
    let length = bytes[offset + 1] ?? 0;
    let start = offset + 2;
    if (length === 126) {
      start += 2;
      if (bytes.length < start) return offset;
      length = bytes.readUInt16BE(start - 2);
    } else if (length > 126) {
      throw new Error('No server here sends masked frames or such long ones');
    }
    const end = start + length;
    if (bytes.length < end) return offset;
    onFrame(first & ~FIN, bytes, start, end);
    offset = end;
  }
}
