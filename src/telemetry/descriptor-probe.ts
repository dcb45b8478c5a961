import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';

/**
 * Notices that this process has no file descriptor left for another connection. Node does not report it: libuv keeps
 * one descriptor in reserve, accepts each new connection with it and closes the connection at once.
 */
export class DescriptorProbe {
  /** Checks so far that found no descriptor left. */
  shortages = 0;
  readonly #onShortage: () => void;

  /** `onShortage` is called by every check that finds no descriptor left. */
  constructor(onShortage: () => void) {
    this.#onShortage = onShortage;
  }

  /** Opens and closes a file, which takes some microseconds. Call it often: it misses a shortage between two calls. */
  check(): void {
    try {
      closeSync(openSync(devNull, 'r'));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // The limit of the process (EMFILE) or of the machine (ENFILE).
      if (code !== 'EMFILE' && code !== 'ENFILE') return;
      this.shortages += 1;
      this.#onShortage();
    }
  }
}
