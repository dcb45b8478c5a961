import type { IncomingMessage } from 'node:http';
import { HttpError } from '../http-error.ts';
import { BodyBudget, type UnfinishedBody } from './body-budget.ts';
import { ChunkList } from './chunk-list.ts';
import { sendContinue } from './expect-continue.ts';

/** Chunks that any body may have: each costs time, however small it is. */
const FREE_CHUNKS = 1_024;
/** A longer body may have one more chunk for every so many bytes. */
const BYTES_PER_CHUNK = 64;
/** Names and values of header fields that are not counted. They live as long as the body. */
const FREE_FIELD_TEXTS = 200;
/** What each name or value above that number is counted as. */
const FIELD_TEXT_BYTES = 64;

/** Takes what `BodyReader` has read. Neither method is called if the client goes away before the end of the body. */
export interface BodyReceiver {
  /** Takes the whole body. Whatever this throws goes to `fail`. */
  receive(text: string): void;
  /** Takes an `HttpError` as soon as the body exceeds a limit. */
  fail(error: Error): void;
}

/** Reads request bodies within two limits: that of one body, and that of all unfinished ones together. */
export class BodyReader {
  readonly #budget: BodyBudget;

  constructor(maxBytes: number) {
    this.#budget = new BodyBudget(maxBytes);
  }

  /** Reads the body as UTF-8 text, whatever its Content-Type says. */
  read(request: IncomingMessage, receiver: BodyReceiver): void {
    const { maxBodyBytes } = this.#budget;
    if (Number(request.headers['content-length']) > maxBodyBytes) {
      receiver.fail(tooLong(maxBodyBytes));
      return;
    }
    new Body(request, receiver, this.#budget).read();
    sendContinue(request);
  }
}

/** One body that is being read. */
class Body implements UnfinishedBody {
  size = 0;
  heldBytes = 0;
  sequence = 0;
  heapIndex = -1;
  readonly #request: IncomingMessage;
  readonly #receiver: BodyReceiver;
  readonly #budget: BodyBudget;
  /** The Content-Length; NaN without one. */
  readonly #expectedBytes: number;
  readonly #chunks = new ChunkList();
  readonly #onData = (chunk: Buffer) => this.#take(chunk);
  readonly #onEnd = () => this.#finish();

  constructor(request: IncomingMessage, receiver: BodyReceiver, budget: BodyBudget) {
    this.#request = request;
    this.#receiver = receiver;
    this.#budget = budget;
    this.#expectedBytes = Number(request.headers['content-length']);
  }

  read(): void {
    this.#request.on('data', this.#onData);
    this.#request.on('end', this.#onEnd);
  }

  refuse(error: HttpError): void {
    this.#release();
    this.#request.off('data', this.#onData);
    this.#request.off('end', this.#onEnd);
    this.#receiver.fail(error);
  }

  #take(chunk: Buffer): void {
    const heldBytes = this.#chunks.append(chunk);
    const { length, count } = this.#chunks;
    const { maxBodyBytes } = this.#budget;
    if (length > maxBodyBytes) {
      this.refuse(tooLong(maxBodyBytes));
    } else if (count > FREE_CHUNKS + length / BYTES_PER_CHUNK) {
      this.refuse(new HttpError(413, 'Body has too many chunks', { Connection: 'close' }));
    } else if (length !== this.#expectedBytes) {
      // A body that is whole now is not counted: 'end' follows in this turn. Most bodies come whole in one chunk.
      this.#count(chunk.length, heldBytes);
    }
  }

  #finish(): void {
    try {
      const bytes = this.#chunks.join();
      this.#release();
      this.#receiver.receive(bytes.toString());
    } catch (error) {
      this.#receiver.fail(error as Error);
    }
  }

  /** Tells the budget that this unfinished body has grown. The budget may refuse it, or another. */
  #count(sizeBytes: number, heldBytes: number): void {
    if (this.heapIndex !== -1) {
      this.#budget.grow(this, sizeBytes, heldBytes);
      return;
    }
    this.#request.once('close', () => this.#release());
    const fieldTexts = Math.max(0, this.#request.rawHeaders.length - FREE_FIELD_TEXTS);
    const fieldBytes = fieldTexts * FIELD_TEXT_BYTES;
    this.#budget.grow(this, fieldBytes + sizeBytes, fieldBytes + heldBytes);
  }

  /**
   * Lets go of the bytes. The request lives longer: until its client has read the answer, or until the next request
   * on the connection.
   */
  #release(): void {
    this.#budget.remove(this);
    this.#chunks.clear();
  }
}

function tooLong(maxBytes: number): HttpError {
  return new HttpError(413, `Body must be at most ${maxBytes} bytes`, { Connection: 'close' });
}
