/** A whole websocket text message as it goes over the wire. Immutable, shared by all who receive it. */
export interface Frame {
  readonly bytes: Buffer;
}

// RFC 6455 §5.2: FIN set, opcode 1. A server never masks.
const FIN_TEXT = 0x81;

/** Encodes `text` as one unfragmented server frame (RFC 6455 §5.2). `text` must be well-formed Unicode. */
export function encodeFrame(text: string): Frame {
  const length = Buffer.byteLength(text);
  let bytes: Buffer;
  let offset: number;

  if (length < 126) {
    offset = 2;
    bytes = Buffer.allocUnsafe(offset + length);
    bytes[1] = length;
  } else if (length < 65_536) {
    offset = 4;
    bytes = Buffer.allocUnsafe(offset + length);
    bytes[1] = 126;
    bytes.writeUInt16BE(length, 2);
  } else {
    offset = 10;
    bytes = Buffer.allocUnsafe(offset + length);
    bytes[1] = 127;
    bytes.writeBigUInt64BE(BigInt(length), 2);
  }

  bytes[0] = FIN_TEXT;
  bytes.write(text, offset);
  return { bytes };
}
