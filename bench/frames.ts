/** The opcodes of RFC 6455 §5.2 that a subscriber meets; a compressed message has RSV1 set too (RFC 7692 §6). */
export const opcodes = { text: 1, compressedText: 0x41, ping: 9, pong: 10 } as const;

export const FIN = 0x80;

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
