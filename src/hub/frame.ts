/** A whole websocket message as it goes over the wire. Immutable, shared by all who receive it. */
export interface Frame {
  readonly bytes: Buffer;
}

// RFC 6455 §5.2: FIN set, opcode 1. A server never masks.
const FIN_TEXT = 0x81;

/** Encodes `text` as one unfragmented text frame (RFC 6455 §5.2). `text` must be well-formed Unicode. */
export function encodeFrame(text: string): Frame {
  const length = Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(headerLength(length) + length);
  bytes.write(text, writeHeader(bytes, FIN_TEXT, length));
  return { bytes };
}

/** One unfragmented frame around a payload; `first` is its first byte: FIN, the reserved bits and the opcode. */
export function frameOf(first: number, payload: Buffer): Frame {
  const bytes = Buffer.allocUnsafe(headerLength(payload.length) + payload.length);
  payload.copy(bytes, writeHeader(bytes, first, payload.length));
  return { bytes };
}

/** The payload of a server's frame. */
export function payloadOf({ bytes }: Frame): Buffer {
  // The second byte is the length, or 126 and 127 for the longer forms.
  const form = bytes[1] ?? 0;
  return bytes.subarray(form < 126 ? 2 : form === 126 ? 4 : 10);
}

function headerLength(length: number): number {
  if (length < 126) return 2;
  return length < 65_536 ? 4 : 10;
}

/** Returns where the payload begins. */
function writeHeader(bytes: Buffer, first: number, length: number): number {
  bytes[0] = first;
  if (length < 126) {
    bytes[1] = length;
  } else if (length < 65_536) {
    bytes[1] = 126;
    bytes.writeUInt16BE(length, 2);
  } else {
    bytes[1] = 127;
    bytes.writeBigUInt64BE(BigInt(length), 2);
  }
  return headerLength(length);
}
