/** FIN and the opcode of a text message (RFC 6455 §5.2). */
const WHOLE_TEXT = 0x81;
const MASKED = 0x80;
// Constant: tests need the work of unmasking, not its protection. Not zero, which a server might skip.
const MASK = Buffer.from([0x12, 0x34, 0x56, 0x78]);

/** What of a frame may differ from a correct text message in one piece. */
export interface ClientFrameOptions {
  /** The first byte: FIN, RSV bits and opcode. */
  readonly first?: number;
  /** False leaves the mask out, which no client may do. */
  readonly masked?: boolean;
  /** The four bytes of the masking key. */
  readonly mask?: Buffer;
  /** How many bytes hold the extended length. As few as possible unless given. */
  readonly lengthBytes?: 0 | 2 | 8;
  /** The length that the frame claims. That of the payload unless given. */
  readonly length?: number | bigint;
}

/** A frame as a client sends it (RFC 6455 §5.2), or one that breaks the rules in the way that `options` say. */
export function clientFrame(payload: string | Buffer, options: ClientFrameOptions = {}): Buffer {
  const data = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const { first = WHOLE_TEXT, masked = true, mask = MASK, length = data.length } = options;
  const lengthBytes = options.lengthBytes ?? (length < 126 ? 0 : length < 65_536 ? 2 : 8);
  const start = 2 + lengthBytes + (masked ? mask.length : 0);
  const frame = Buffer.allocUnsafe(start + data.length);

  frame[0] = first;
  const shortLength = lengthBytes === 0 ? Number(length) : lengthBytes === 2 ? 126 : 127;
  frame[1] = (masked ? MASKED : 0) | shortLength;
  if (lengthBytes === 2) frame.writeUInt16BE(Number(length), 2);
  if (lengthBytes === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  data.copy(frame, start);
  if (!masked) return frame;

  mask.copy(frame, start - mask.length);
  for (let index = 0; index < data.length; index += 1) {
    frame[start + index] = (data[index] as number) ^ (mask[index & 3] as number);
  }
  return frame;
}
