import { randomUUID } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Log } from '../../telemetry/log.ts';
import { MemoryHistory, type MemoryHistoryOptions } from '../history-memory.ts';
import { decodeHistory, encodeHistory, encodeMark } from './history-format.ts';
import { identityOf, inspectFile, OwnedFile, temporaryOf } from './owned-file.ts';

/** What was there at the start. */
interface Found {
  readonly identity: string;
  readonly kind: 'history' | 'mark' | 'unusable';
  /** The process whose mark it is. */
  readonly owner?: string | undefined;
}

/** The settings that count here. */
export interface HistoryFileOptions extends MemoryHistoryOptions {
  readonly historyFile: string | undefined;
}

/**
 * Reads the history that another process has saved. The file is not changed before `claim`. Never rejects: a file that
 * cannot be used is reported, and the history begins empty. Resolves to undefined without a file.
 */
export async function restoreHistory(
  options: HistoryFileOptions,
  log: Log,
): Promise<HistoryFile | undefined> {
  if (options.historyFile === undefined) return undefined;
  const file = new HistoryFile(options.historyFile, new MemoryHistory(options), log);
  await file.restore();
  return file;
}

/**
 * The file in which a history survives a restart. Between two processes it holds the history, otherwise the mark of the
 * process that runs. A process saves its history only over its own mark. Of several processes that have read the same
 * history only the one that claims the file goes on with it, and the others begin anew. So no history is ever gone on with
 * that lacks what clients have received in the meantime: they would be told that they missed nothing.
 */
export class HistoryFile {
  readonly history: MemoryHistory;
  readonly #file: OwnedFile;
  readonly #log: Log;
  /** Undefined when there was nothing. */
  #found: Found | undefined;
  /** False if the path leads to something that is no file, such as a device: it must not be moved. */
  #mayClaim = true;
  #isClaimed = false;

  constructor(path: string, history: MemoryHistory, log: Log) {
    const owner = randomUUID();
    this.#file = new OwnedFile(path, owner, encodeMark(owner));
    this.history = history;
    this.#log = log.child({ file: path });
  }

  /** To be called once, before anything is broadcast. Never rejects. */
  async restore(): Promise<void> {
    try {
      this.#found = await this.#read();
    } catch (error) {
      this.#mayClaim = false;
      this.#log.error({ err: error }, 'HISTORY_FILE cannot be used: no history survives a restart');
    }
    if (this.#found?.kind === 'history') {
      this.history.expire();
      const { entries, channels } = this.history;
      this.#log.info({ messages: entries, channels }, 'history restored');
    } else if (this.#found?.kind === 'mark') {
      this.#log.warn(
        'no history to restore: the process before this one was killed, or still runs; clients of it cannot recover here',
      );
    }
  }

  /**
   * Makes the file ours. To be called in the step in which the port is bound, before the first connection is accepted: a
   * start that fails changes nothing. Never throws. The history begins empty if another process may have gone on with it.
   * Safe to call again.
   */
  claim(): void {
    if (!this.#mayClaim) return;
    this.#mayClaim = false;
    let hasFound = false;
    try {
      this.#file.claim((moved, identity) => {
        if (identity !== this.#found?.identity) return;
        hasFound = true;
        this.#clearUp(moved);
      });
      this.#isClaimed = true;
    } catch (error) {
      this.#log.error(
        { err: error },
        'HISTORY_FILE cannot be written: no history survives a restart',
      );
    }
    if (this.#found?.kind === 'history' && !hasFound) {
      this.history.forget();
      this.#log.warn('the restored history is dropped: another process may have gone on with it');
    }
  }

  /** Saves the history, whole or not at all. To be called when nothing is broadcast any more. Never rejects. */
  async save(): Promise<void> {
    if (!this.#isClaimed) return;
    try {
      const isSaved = await this.#file.replaceMark(async (handle) => {
        for (const piece of encodeHistory(this.history)) await handle.writeFile(piece);
      });
      const { entries, bytes } = this.history;
      if (isSaved) this.#log.info({ messages: entries, bytes }, 'history saved');
      else this.#log.warn('history not saved: another process has claimed the file');
    } catch (error) {
      this.#log.error({ err: error }, 'history could not be saved');
    }
  }

  /** Rejects when nothing may be put there either. */
  async #read(): Promise<Found | undefined> {
    const { path } = this.#file;
    const stats = await inspectFile(path);
    if (stats === undefined) return undefined;
    if (!stats.isFile()) throw new Error('not a regular file');
    const identity = identityOf(stats);
    try {
      const owner = await readFile(path, Number(stats.size), this.history);
      return { identity, kind: owner === undefined ? 'history' : 'mark', owner };
    } catch (error) {
      this.history.forget();
      const reason = (error as Error).message;
      this.#log.error({ reason }, 'history file cannot be used: clients cannot recover');
      return { identity, kind: 'unusable' };
    }
  }

  /** Keeps a file that could not be used, for whoever wants to know why, and deletes what a killed process left over. */
  #clearUp(moved: string): void {
    const { path } = this.#file;
    if (this.#found?.kind === 'unusable') {
      const renamedTo = `${path}.unusable`;
      renameSync(moved, renamedTo);
      this.#log.warn({ renamedTo }, 'history file renamed');
    }
    const owner = this.#found?.owner;
    if (owner !== undefined) rmSync(temporaryOf(path, owner), { force: true });
  }
}

async function readFile(
  path: string,
  size: number,
  history: MemoryHistory,
): Promise<string | undefined> {
  const handle = await open(path);
  try {
    return await decodeHistory(handle, size, history);
  } finally {
    await handle.close();
  }
}
