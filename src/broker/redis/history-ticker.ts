import { setTimeout as delay } from 'node:timers/promises';
import { tickIntervalMs } from '../history.ts';
import { isWriteRefusal, withoutArguments } from './client.ts';
import type { RedisHistory } from './history.ts';

/** How long it may be under way before Redis counts as one that loses texts. */
const TIMEOUT_MS = 4_000;

const NO_TICK = new Error('what this node publishes in Redis does not come back to it');

export interface HistoryTickerOptions {
  readonly history: RedisHistory;
  readonly ageMs: number;
  /** Of the connections. */
  readonly lost: AbortSignal;
  /** Called when they have to be given up. */
  readonly onFailure: (error: unknown) => void;
  /** Called when Redis begins to refuse all writes, with the reason, and with undefined when it takes them again. */
  readonly onFull: (error: Error | undefined) => void;
}

/**
 * Has the position of now told to this node from time to time. It moves the positions of clients on quiet channels, and
 * proves that Redis takes writes and that what it publishes comes here.
 */
export class HistoryTicker {
  readonly #options: HistoryTickerOptions;
  #isFull = false;

  constructor(options: HistoryTickerOptions) {
    this.#options = options;
  }

  /** Never rejects. Resolves when the connections are lost. */
  async run(): Promise<void> {
    const { history, ageMs, lost, onFailure } = this.#options;
    const intervalMs = tickIntervalMs(ageMs);
    while (!lost.aborted) {
      // Whoever closes the connections does not wait for a tick that is still on its way.
      const timeout = setTimeout(() => onFailure(NO_TICK), TIMEOUT_MS).unref();
      try {
        await history.tick();
        this.#setFull(undefined);
      } catch (error) {
        if (isWriteRefusal(error)) this.refused(error);
        else onFailure(error);
      }
      clearTimeout(timeout);
      await delay(intervalMs, undefined, { signal: lost }).catch(() => {});
    }
  }

  /** To be called when Redis has refused a write. It is asked again with the next tick. */
  refused(error: Error): void {
    this.#setFull(new Error(withoutArguments(error)));
  }

  #setFull(error: Error | undefined): void {
    if (this.#isFull === (error !== undefined)) return;
    this.#isFull = error !== undefined;
    this.#options.onFull(error);
  }
}
