import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';

/**
 * Notices that this process has no file descriptor left for another connection. Node reports nothing then: libuv
 * keeps one in reserve, accepts each newcomer with it and closes it.
 */
export class DescriptorProbe {
  /** How many checks found none left. */
  shortages = 0;
  readonly #onShortage: () => void;

  /** `onShortage` is called by every check that finds none left. */
  constructor(onShortage: () => void) {
    this.#onShortage = onShortage;
  }

  /** Opens and closes a file, some microseconds. To be called often: a shortage between two checks is missed. */
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
