/** The longest body that a server can be told to take, and so the longest message. */
const MAX_BYTES = 2 ** 28;

/** What a stream says to its end. Throws when it is too long, or not UTF-8. */
export async function readText(input: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of input) {
    length += chunk.length;
    if (length > MAX_BYTES) throw new Error(`the message is longer than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return decode(Buffer.concat(chunks));
}

/**
 * The lines of a stream as they come, without their line feeds. Only one of them is in memory. Throws when one is too
 * long.
 */
export async function* readLines(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let length = 0;
  for await (const chunk of input) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      const piece = chunk.subarray(start, end === -1 ? chunk.length : end);
      length += piece.length;
      if (length > MAX_BYTES) throw new Error(`a line is longer than ${MAX_BYTES} bytes`);
      pieces.push(piece);
      if (end === -1) break;
      yield Buffer.concat(pieces);
      pieces = [];
      length = 0;
      start = end + 1;
    }
  }
  if (length > 0) yield Buffer.concat(pieces);
}

const LINE_FEED = 0x0a;

/** Throws when the bytes are not UTF-8: replacing what is wrong would change a message. */
export function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error('standard input must be UTF-8');
  }
}
