import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { temporaryFolder } from './program.ts';

/** A device that answers every write with ENOSPC. */
export function openFullDevice(): number {
  const fd = openSync('/dev/full', 'w');
  onTestFinished(() => closeSync(fd));
  return fd;
}

/**
 * A pipe as shells make it, in blocking mode, that nobody reads until told to. (What Node itself makes for the output
 * of a child is a socket.)
 */
export class Pipe {
  #readEnd: number | undefined;
  #writeEnd: number | undefined;

  private constructor(readEnd: number, writeEnd: number) {
    this.#readEnd = readEnd;
    this.#writeEnd = writeEnd;
    onTestFinished(() => {
      this.closeReader();
      this.closeWriter();
    });
  }

  static async open(): Promise<Pipe> {
    const path = join(await temporaryFolder(), 'pipe');
    execFileSync('mkfifo', [path]);
    const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return new Pipe(readEnd, openSync(path, 'w'));
  }

  /** For the program. */
  get writeEnd(): number {
    if (this.#writeEnd === undefined) throw new Error('the pipe is closed');
    return this.#writeEnd;
  }

  /** Fills it to the last byte, so that whoever writes next has to wait. */
  fill(): this {
    // Opened once more, so that the program's descriptor stays in blocking mode.
    const path = `/proc/self/fd/${this.writeEnd}`;
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    for (const bytes of [4_096, 1]) {
      try {
        while (writeSync(fd, '\n'.repeat(bytes)) > 0);
      } catch {
        // No more fits.
      }
    }
    closeSync(fd);
    return this;
  }

  /** Reads from now on. */
  read(): PipeReader {
    if (this.#readEnd === undefined) throw new Error('the pipe is closed');
    const reader = new PipeReader(this.#readEnd);
    this.#readEnd = undefined;
    // Else this process would keep it open.
    this.closeWriter();
    return reader;
  }

  closeReader(): void {
    if (this.#readEnd !== undefined) closeSync(this.#readEnd);
    this.#readEnd = undefined;
  }

  closeWriter(): void {
    if (this.#writeEnd !== undefined) closeSync(this.#writeEnd);
    this.#writeEnd = undefined;
  }
}

export class PipeReader {
  /** What was read so far. */
  text = '';
  /** Resolves when whoever wrote to it has ended. */
  readonly ended: Promise<void>;
  readonly #socket: Socket;

  constructor(fd: number) {
    this.#socket = new Socket({ fd, readable: true, writable: false });
    onTestFinished(() => {
      this.#socket.destroy();
    });
    this.#socket.setEncoding('utf8').on('data', (text: string) => {
      this.text += text;
    });
    this.ended = once(this.#socket, 'end').then(() => {});
  }

  /** Resolves once the text has it. */
  async prints(text: string): Promise<void> {
    while (!this.text.includes(text)) await once(this.#socket, 'data');
  }
}
