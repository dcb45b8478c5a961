import type { CountedCode } from '../protocol/close-codes.ts';
import type { Log } from './log.ts';

/** What a single line says of a websocket that ended. */
export interface EndedConnection {
  readonly connection: number;
  readonly address: string;
  readonly code: number;
  readonly reason: string | undefined;
  readonly channels: number;
}

const INTERVAL_MS = 1_000;

/**
 * Says of websockets that they ended: in a line each, except where strangers, or a drain, could write a great many.
 * Those are summed up, in one line a second at most; a line each is there for them at `debug`.
 */
export class DisconnectLog {
  readonly #log: Log;
  /** How many ended since the last line, by code; of codes there are few. */
  readonly #sum = new Map<CountedCode, number>();
  /** When the sum is to be told. */
  #due = 0;
  #isDraining = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** `isAuthenticated` tells whether it had ever shown a valid token. */
  add(code: CountedCode, isAuthenticated: boolean, ended: EndedConnection): void {
    if (isAuthenticated && !this.#isDraining) {
      this.#log.info(ended, 'disconnected');
      return;
    }
    this.#log.debug(ended, 'disconnected');
    if (this.#sum.size === 0) this.#due = performance.now() + INTERVAL_MS;
    this.#sum.set(code, (this.#sum.get(code) ?? 0) + 1);
  }

  /** From now on all are summed up. */
  drain(): void {
    this.#isDraining = true;
  }

  /** To be called several times a second. */
  tick(): void {
    if (this.#sum.size > 0 && performance.now() >= this.#due) this.flush();
  }

  /** Tells what was not told yet. */
  flush(): void {
    if (this.#sum.size === 0) return;
    const codes = Object.fromEntries(this.#sum);
    const count = [...this.#sum.values()].reduce((total, ofCode) => total + ofCode);
    this.#sum.clear();
    this.#log.info({ count, codes }, 'websockets disconnected');
  }
}
