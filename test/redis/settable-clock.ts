import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** The clock of a program that is started with `launcher`, by libfaketime (Debian: apt-get install faketime). */
export class SettableClock {
  readonly #folder = mkdtempSync(join(tmpdir(), 'bifrost-clock-'));

  constructor() {
    this.set(0);
    onTestFinished(() => rmSync(this.#folder, { recursive: true, force: true }));
  }

  get launcher(): readonly string[] {
    return [
      'env',
      // libc's allocator in place of the program's own: jemalloc asks for the time while libfaketime is not ready yet.
      'LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1 libc.so.6',
      `FAKETIME_TIMESTAMP_FILE=${this.#file}`,
      'FAKETIME_NO_CACHE=1',
      'DONT_FAKE_MONOTONIC=1',
      'FAKETIME_DONT_FAKE_MONOTONIC=1',
    ];
  }

  /** Sets the clock to so many seconds after the real one, or before it. */
  set(seconds: number): void {
    const text = `${seconds < 0 ? '' : '+'}${seconds.toFixed(6)}`;
    writeFileSync(`${this.#file}.new`, text);
    renameSync(`${this.#file}.new`, this.#file);
  }

  get #file(): string {
    return join(this.#folder, 'offset');
  }
}
