import type { IncomingMessage } from 'node:http';
import { BodyBudget, type UnfinishedBody } from './body-budget.ts';
import { HttpError } from './http-error.ts';
import { continueReading } from './request.ts';

/** A Buffer object costs about this much beside its bytes, so smaller chunks are copied together. */
const BUFFER_OBJECT_BYTES = 512;
const MIN_KEPT_BYTES = 1_024;
const MAX_TAIL_BYTES = 16_384;
/** Each costs time, however small: some for any body, and then one for so many bytes. */
const FREE_CHUNKS = 1_024;
const MIN_CHUNK_BYTES = 64;
/** Names and values of header fields above this number count, each with so much: they live as long as the body. */
const FREE_FIELD_TEXTS = 200;
const FIELD_TEXT_BYTES = 64;
const NO_BYTES = Buffer.alloc(0);

/** Reads request bodies within the limits of one body and of all of them. */
export class BodyReader {
  readonly #maxBytes: number;
  readonly #budget: BodyBudget;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#budget = new BodyBudget(maxBytes);
  }

  /**
   * Reads the body as UTF-8 text, whatever its Content-Type says. Whatever `onBody` throws goes to `onError`, and an
   * `HttpError` as soon as a limit is exceeded. Neither hears of a client that goes away before the end: there is
   * nobody to answer.
   */
  read(
    request: IncomingMessage,
    onBody: (text: string) => void,
    onError: (error: Error) => void,
  ): void {
    const expectedBytes = Number(request.headers['content-length']);
    if (expectedBytes > this.#maxBytes) {
      onError(tooLong(this.#maxBytes));
      return;
    }
    const body = new Body(request, this.#budget, onError);
    body.onData = (chunk) => {
      const heldBytes = body.append(chunk);
      if (body.length > this.#maxBytes) body.refuse(tooLong(this.#maxBytes));
      else if (body.chunks > FREE_CHUNKS + body.length / MIN_CHUNK_BYTES) {
        body.refuse(new HttpError(413, 'Body has too many chunks', { Connection: 'close' }));
      }
      // A whole body is no unfinished one: its end follows in this turn. Most are of one chunk and never counted.
      else if (body.length !== expectedBytes) body.count(chunk.length, heldBytes);
    };
    body.onEnd = () => {
      try {
        onBody(body.take());
      } catch (error) {
        onError(error as Error);
      }
    };
    request.on('data', body.onData);
    request.on('end', body.onEnd);
    continueReading(request);
  }
}

function tooLong(maxBytes: number): HttpError {
  return new HttpError(413, `Body must be at most ${maxBytes} bytes`, { Connection: 'close' });
}

/** What has come of one body. */
class Body implements UnfinishedBody {
  size = 0;
  heldBytes = 0;
  order = 0;
  place = -1;
  length = 0;
  chunks = 0;
  onData: (chunk: Buffer) => void = ignore;
  onEnd: () => void = ignore;
  readonly #request: IncomingMessage;
  readonly #budget: BodyBudget;
  readonly #onError: (error: Error) => void;
  #pieces: Buffer[] = [];
  /** Where small chunks are copied to. What lies between start and end is no piece yet. */
  #tail: Buffer = NO_BYTES;
  #tailStart = 0;
  #tailEnd = 0;

  constructor(request: IncomingMessage, budget: BodyBudget, onError: (error: Error) => void) {
    this.#request = request;
    this.#budget = budget;
    this.#onError = onError;
  }

  /** Returns how much more memory is taken now. */
  append(chunk: Buffer): number {
    this.chunks += 1;
    this.length += chunk.length;
    if (this.#pieces.length > 0 && chunk.length < MIN_KEPT_BYTES) return this.#appendToTail(chunk);

    this.#sealTail();
    this.#pieces.push(chunk);
    return chunk.length + BUFFER_OBJECT_BYTES;
  }

  /** Tells the budget that the body has grown and is not at its end. */
  count(sizeBytes: number, heldBytes: number): void {
    if (this.place !== -1) {
      this.#budget.grow(this, sizeBytes, heldBytes);
      return;
    }
    this.#request.once('close', () => this.#release());
    const fieldTexts = Math.max(0, this.#request.rawHeaders.length - FREE_FIELD_TEXTS);
    const fieldBytes = fieldTexts * FIELD_TEXT_BYTES;
    this.#budget.grow(this, fieldBytes + sizeBytes, fieldBytes + heldBytes);
  }

  /** The whole body, which is then not held any more. */
  take(): string {
    this.#sealTail();
    const [only = NO_BYTES] = this.#pieces;
    const bytes = this.#pieces.length > 1 ? Buffer.concat(this.#pieces, this.length) : only;
    this.#release();
    return bytes.toString();
  }

  refuse(error: HttpError): void {
    this.#release();
    this.#request.off('data', this.onData);
    this.#request.off('end', this.onEnd);
    this.#onError(error);
  }

  /** The request may live on for long: while its client reads the answer, or until the next on the connection. */
  #release(): void {
    this.#budget.remove(this);
    this.#pieces = [];
    this.#tail = NO_BYTES;
  }

  #appendToTail(chunk: Buffer): number {
    const copied = chunk.copy(this.#tail, this.#tailEnd);
    this.#tailEnd += copied;
    if (copied === chunk.length) return 0;

    this.#sealTail();
    // In proportion to the body, so that a small one never costs more than twice its size.
    const bytes = Math.min(Math.max(this.length, MIN_KEPT_BYTES), MAX_TAIL_BYTES);
    // Not of Node's pool: what is left of a pool would stay with it.
    this.#tail = Buffer.allocUnsafeSlow(bytes);
    this.#tailStart = 0;
    this.#tailEnd = chunk.copy(this.#tail, 0, copied);
    return bytes + BUFFER_OBJECT_BYTES;
  }

  #sealTail(): void {
    if (this.#tailEnd > this.#tailStart) {
      this.#pieces.push(this.#tail.subarray(this.#tailStart, this.#tailEnd));
    }
    this.#tailStart = this.#tailEnd;
  }
}

function ignore(): void {}
