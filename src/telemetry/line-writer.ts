import { write, writeSync } from 'node:fs';

/** `process.stdout` or `process.stderr`. */
export interface StandardStream {
  readonly fd: number;
}

/** Of pipes, sockets and terminals: what libuv makes of the descriptor. Files have none. */
interface Handle {
  setBlocking(isBlocking: boolean): void;
}

/** What waits in memory, in bytes, while it cannot be written. */
const MOST_WAITING_BYTES = 1_048_576;
/** `PIPE_BUF` of Linux: a pipe takes so much whole or not at all, so the lines of several processes do not mix. */
const CHUNK_BYTES = 4_096;
const LEAST_RETRY_MS = 5;
const MOST_RETRY_MS = 500;
const FINISH_STEP_MS = 10;

/**
 * Writes lines to standard output or standard error, in their order. Never throws, never blocks the event loop and
 * never keeps the process alive, whatever became of the other end: a full disk, a reader that has gone or has stopped
 * reading. Lines wait then, at most a mebibyte of them; what does not fit is dropped and counted.
 *
 * Node's own ways do not do that, as measured on Linux with Node 20 to 26 and a reader that has stopped reading:
 *
 * - `fs.writeSync` freezes the process, unless the descriptor happens to be in non-blocking mode;
 * - `fs.write` occupies a thread of the pool, and even `process.exit` waits for that one;
 * - `process.stdout.write` keeps the process alive to the last byte, and freezes it on a terminal.
 *
 * So pipes, sockets and terminals are written to directly, in non-blocking mode. Only files go through the pool: on
 * a full or busy disk a write takes its time and cannot be asked not to, but it comes to an end.
 */
export class LineWriter {
  /** Lines dropped since the start. */
  dropped = 0;
  /** Called when lines can be written again, with the number of those dropped since it was last called. */
  onRecovered: ((dropped: number) => void) | undefined = undefined;
  readonly #fd: number;
  readonly #handle: Handle | undefined;
  /** What is being written, or is to be written first; what was taken of it is cut off. */
  #chunk: Buffer | undefined;
  #lines: Buffer[] = [];
  #waitingBytes = 0;
  /** Whether a timer or the thread pool is going to continue. */
  #isBusy = false;
  /** Whether the thread pool has the chunk. */
  #isInPool = false;
  #retryMs = LEAST_RETRY_MS;
  /** When writing first failed since it last succeeded. */
  #stalledAt: number | undefined;
  #unreported = 0;

  constructor(stream: StandardStream) {
    this.#fd = stream.fd;
    this.#handle = (stream as { readonly _handle?: Handle | null })._handle ?? undefined;
  }

  /** `line` ends with a line feed. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    // Until all that waits is written, so that the report of what was dropped stands where it is missing.
    if (this.#unreported > 0 || this.#waitingBytes + bytes.length > MOST_WAITING_BYTES) {
      this.dropped += 1;
      this.#unreported += 1;
      return;
    }
    this.#lines.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#isBusy) return;
    if (this.#handle === undefined) this.#continue(setImmediate);
    else this.#writeAll();
  }

  /**
   * Writes what still waits, now: for the last moment of the process. Blocks it for a reader that is slow, until
   * `deadline` (of `performance.now()`), but not for one that has taken nothing for as long already.
   */
  finish(deadline: number): void {
    // The process waits for the pool before it ends, so that chunk is on its way.
    if (this.#isInPool) this.#chunk = undefined;
    const patienceMs = deadline - performance.now();
    while (this.#writeNow()?.code === 'EAGAIN') {
      this.#stalledAt ??= performance.now();
      if (performance.now() >= Math.min(deadline, this.#stalledAt + patienceMs)) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FINISH_STEP_MS);
    }
  }

  #writeAll(): void {
    if (this.#handle === undefined) {
      this.#writeInPool();
      return;
    }
    if (this.#writeNow() === undefined) this.#report();
    else this.#retry();
  }

  /** Returns the error that kept it from writing everything. */
  #writeNow(): NodeJS.ErrnoException | undefined {
    try {
      for (let chunk = this.#nextChunk(); chunk !== undefined; chunk = this.#nextChunk()) {
        // Each time: the mode belongs to everybody who shares the descriptor, and Node sets it back when a process
        // that does is started or ends.
        this.#handle?.setBlocking(false);
        this.#take(writeSync(this.#fd, chunk));
      }
      return undefined;
    } catch (error) {
      return error as NodeJS.ErrnoException;
    }
  }

  #writeInPool(): void {
    const chunk = this.#nextChunk();
    if (chunk === undefined) {
      this.#report();
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
      this.#take(written);
      this.#writeInPool();
    });
  }

  /** The rest of the last chunk, else as many whole lines as make one. */
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

  #take(written: number): void {
    const rest = this.#chunk?.subarray(written);
    this.#chunk = rest?.length ? rest : undefined;
    this.#waitingBytes -= written;
    this.#retryMs = LEAST_RETRY_MS;
    this.#stalledAt = undefined;
  }

  #retry(): void {
    this.#stalledAt ??= performance.now();
    const delayMs = this.#retryMs;
    this.#retryMs = Math.min(delayMs * 2, MOST_RETRY_MS);
    this.#continue((next) => setTimeout(next, delayMs).unref());
  }

  #continue(schedule: (next: () => void) => void): void {
    this.#isBusy = true;
    schedule(() => {
      this.#isBusy = false;
      this.#writeAll();
    });
  }

  #report(): void {
    const dropped = this.#unreported;
    if (dropped === 0) return;
    this.#unreported = 0;
    this.onRecovered?.(dropped);
  }
}
