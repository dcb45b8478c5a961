import type { CountedCode } from '../protocol/close-codes.ts';
import type { Log } from './log.ts';

/** The fields of the log line of one websocket that ended. */
export interface EndedConnection {
  readonly connection: number;
  readonly address: string;
  readonly code: number;
  readonly reason: string | undefined;
  readonly channels: number;
}

const SUMMARY_INTERVAL_MS = 1_000;

/**
 * Logs the end of websockets, each in a line of its own. Those that never authenticated are only counted, and so are
 * all during a drain: at most one line a second has the counts. Otherwise strangers could fill the disk with lines.
 * At `debug` every websocket has its line.
 */
export class DisconnectLog {
  readonly #log: Log;
  /** Websockets counted since the last summary, by close code. There are few codes, so this stays small. */
  readonly #countByCode = new Map<CountedCode, number>();
  /** The `performance.now()` at which the next summary is due. */
  #dueMs = 0;
  #isDraining = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** `isAuthenticated` is true if the websocket had ever shown a valid token. */
  add(code: CountedCode, isAuthenticated: boolean, ended: EndedConnection): void {
    if (isAuthenticated && !this.#isDraining) {
      this.#log.info(ended, 'disconnected');
      return;
    }
    this.#log.debug(ended, 'disconnected');
    if (this.#countByCode.size === 0) this.#dueMs = performance.now() + SUMMARY_INTERVAL_MS;
    this.#countByCode.set(code, (this.#countByCode.get(code) ?? 0) + 1);
  }

  /** From now on all websockets are only counted. */
  drain(): void {
    this.#isDraining = true;
  }

  /** To be called several times a second. */
  tick(): void {
    if (this.#countByCode.size > 0 && performance.now() >= this.#dueMs) this.flush();
  }

  /** Logs the summary now if anything was counted since the last. */
  flush(): void {
    if (this.#countByCode.size === 0) return;
    const codes = Object.fromEntries(this.#countByCode);
    const count = [...this.#countByCode.values()].reduce((total, ofCode) => total + ofCode);
    this.#countByCode.clear();
    this.#log.info({ count, codes }, 'websockets disconnected');
  }
}
