/** The opcodes that a subscriber receives (RFC 6455 §5.2). That of a compressed message includes RSV1 (RFC 7692 §6). */
export const opcodes = { text: 1, compressedText: 0x41, close: 8, ping: 9, pong: 10 } as const;

export const FIN = 0x80;

/** `opcode` includes the reserved bits. The payload is `bytes` from `start` to `end`, valid only during the call. */
export type FrameHandler = (opcode: number, bytes: Buffer, start: number, end: number) => void;

/** Calls `onFrame` with every whole server frame in `bytes`. Returns how many bytes these frames have. */
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
      throw new Error('A frame is masked or longer than 64 KiB');
    }
    const end = start + length;
    if (bytes.length < end) return offset;
    onFrame(first & ~FIN, bytes, start, end);
    offset = end;
  }
}

/** The start of a frame that came with an earlier read, if any, and this read behind it. */
export function joinRest(rest: Buffer | undefined, chunk: Buffer): Buffer {
  return rest === undefined ? chunk : Buffer.concat([rest, chunk]);
}

/** What is behind the first `taken` bytes; undefined if nothing is. A copy, since the next read overwrites the buffer. */
export function restOf(bytes: Buffer, taken: number): Buffer | undefined {
  return taken === bytes.length ? undefined : Buffer.from(bytes.subarray(taken));
}
