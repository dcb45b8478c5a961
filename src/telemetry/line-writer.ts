import { write, writeSync } from 'node:fs';

/** `process.stdout` or `process.stderr`. */
export interface StandardStream {
  readonly fd: number;
}

/** Node's wrapper of a pipe, socket or terminal. Files have none. */
interface Handle {
  setBlocking(isBlocking: boolean): void;
}

/** Bytes of lines that may wait in memory until they can be written. */
const MAX_WAITING_BYTES = 1_048_576;
/** `PIPE_BUF` of Linux: writes up to this size are atomic, so the lines of several processes on one pipe do not mix. */
const CHUNK_BYTES = 4_096;
const MIN_RETRY_MS = 5;
const MAX_RETRY_MS = 500;
const FINISH_STEP_MS = 10;

/**
 * Writes lines to standard output or standard error, in their order. Never throws, never blocks the event loop and
 * never keeps the process alive, even if the disk is full, or the reader is gone or has stopped reading. Lines then
 * wait, up to 1 MiB of them; further ones are dropped and counted.
 *
 * Node's own functions do not, as measured on Linux with Node 20 to 26 and a reader that has stopped reading:
 *
 * - `fs.writeSync` freezes the process, unless the descriptor happens to be in non-blocking mode;
 * - `fs.write` occupies a thread of libuv's pool, and even `process.exit` waits for that thread;
 * - `process.stdout.write` keeps the process alive to the last byte, and freezes it on a terminal.
 *
 * So pipes, sockets and terminals are written to directly, in non-blocking mode. Files have no such mode and go through
 * the pool: a write to a full or busy disk takes its time, but it does end.
 */
export class LineWriter {
  /** Lines dropped since the start. */
  dropped = 0;
  /** Called once lines can be written again, with the number of lines dropped since the last call. */
  onRecovered: ((dropped: number) => void) | undefined = undefined;
  readonly #fd: number;
  readonly #handle: Handle | undefined;
  /** The bytes to write next, without those that have been written. */
  #chunk: Buffer | undefined;
  #lines: Buffer[] = [];
  #waitingBytes = 0;
  /** True while a timer or the thread pool is going to continue. */
  #isBusy = false;
  /** True while the thread pool writes the chunk. */
  #isInPool = false;
  #retryMs = MIN_RETRY_MS;
  /** When the first write failed after the last that succeeded. */
  #stalledAtMs: number | undefined;
  #unreported = 0;

  constructor(stream: StandardStream) {
    this.#fd = stream.fd;
    this.#handle = (stream as { readonly _handle?: Handle | null })._handle ?? undefined;
  }

  /** `line` ends with a line feed. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    // After the first dropped line all are dropped until the waiting ones are written. So the report of the gap stands
    // in the log where the gap is.
    if (this.#unreported > 0 || this.#waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      this.dropped += 1;
      this.#unreported += 1;
      return;
    }
    this.#lines.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#isBusy) return;
    if (this.#handle === undefined) this.#continueLater(setImmediate);
    else this.#writeAll();
  }

  /**
   * Writes the waiting lines now; to be called when the process exits. Blocks for a slow reader, until `deadlineMs` (of
   * `performance.now()`) or, if the reader has taken nothing for some time already, earlier by that time.
   */
  finish(deadlineMs: number): void {
    // The process waits for the thread pool before it ends, so this chunk need not be written here.
    if (this.#isInPool) this.#chunk = undefined;
    const patienceMs = deadlineMs - performance.now();
    while (this.#writeNow()?.code === 'EAGAIN') {
      this.#stalledAtMs ??= performance.now();
      if (performance.now() >= Math.min(deadlineMs, this.#stalledAtMs + patienceMs)) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FINISH_STEP_MS);
    }
  }

  #writeAll(): void {
    if (this.#handle === undefined) {
      this.#writeInPool();
      return;
    }
    if (this.#writeNow() === undefined) this.#reportDropped();
    else this.#retry();
  }

  /** Returns the error that stopped it, or undefined once everything is written. */
  #writeNow(): NodeJS.ErrnoException | undefined {
    try {
      for (let chunk = this.#nextChunk(); chunk !== undefined; chunk = this.#nextChunk()) {
        // Before each write: all processes that share the descriptor share its mode, and Node sets it back when such
        // a process starts or ends.
        this.#handle?.setBlocking(false);
        this.#consume(writeSync(this.#fd, chunk));
      }
      return undefined;
    } catch (error) {
      return error as NodeJS.ErrnoException;
    }
  }

  #writeInPool(): void {
    const chunk = this.#nextChunk();
    if (chunk === undefined) {
      this.#reportDropped();
      return;
    }
    this.#isBusy = true;
    this.#isInPool = true;
    write(this.#fd, chunk, 0, chunk.length, null, (error, written) => {
      this.#isBusy = false;
      this.#isInPool = false;
      if (error) {
        this.#retry();
        return;
      }
      this.#consume(written);
      this.#writeInPool();
    });
  }

  /** The rest of the last chunk, or else the next lines, as many as fit into one. */
  #nextChunk(): Buffer | undefined {
    if (this.#chunk !== undefined) return this.#chunk;
    let count = 0;
    let bytes = 0;
    for (const line of this.#lines) {
      if (count > 0 && bytes + line.length > CHUNK_BYTES) break;
      count += 1;
      bytes += line.length;
    }
    const lines = this.#lines.splice(0, count);
    this.#chunk = count > 1 ? Buffer.concat(lines, bytes) : lines[0];
    return this.#chunk;
  }

  #consume(written: number): void {
    const rest = this.#chunk?.subarray(written);
    this.#chunk = rest?.length ? rest : undefined;
    this.#waitingBytes -= written;
    this.#retryMs = MIN_RETRY_MS;
    this.#stalledAtMs = undefined;
  }

  #retry(): void {
    this.#stalledAtMs ??= performance.now();
    const delayMs = this.#retryMs;
    this.#retryMs = Math.min(delayMs * 2, MAX_RETRY_MS);
    this.#continueLater((next) => setTimeout(next, delayMs).unref());
  }

  #continueLater(schedule: (next: () => void) => void): void {
    this.#isBusy = true;
    schedule(() => {
      this.#isBusy = false;
      this.#writeAll();
    });
  }

  #reportDropped(): void {
    const dropped = this.#unreported;
    if (dropped === 0) return;
    this.#unreported = 0;
    this.onRecovered?.(dropped);
  }
}
