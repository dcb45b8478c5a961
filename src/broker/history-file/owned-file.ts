import {
  type BigIntStats,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Only the server may read it. */
const MODE = 0o600;
/** Each attempt fails only because another process has just put its mark there. */
const MAX_ATTEMPTS = 100;

/**
 * A file that belongs to one process at a time: the one whose mark it holds. Files are put in place whole or not at all,
 * and are never replaced unseen: what lies there is moved away first, which only one of several processes succeeds in, and
 * looked at then.
 */
export class OwnedFile {
  readonly path: string;
  readonly #mark: string;
  readonly #temporary: string;
  readonly #moved: string;

  /** `owner` is the name of this process, a random one, and `mark` the text of its mark. */
  constructor(path: string, owner: string, mark: string) {
    this.path = path;
    this.#mark = mark;
    this.#temporary = temporaryOf(path, owner);
    this.#moved = `${path}.${owner}.old`;
  }

  /**
   * Puts the mark there. Whatever lay there is moved away, and deleted when `onMoved` has been told where it is and what
   * identity it has. Throws when that cannot be done.
   */
  claim(onMoved: (moved: string, identity: string) => void): void {
    try {
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
        if (move(this.path, this.#moved)) {
          onMoved(this.#moved, identityOf(statSync(this.#moved, { bigint: true })));
        }
        rmSync(this.#moved, { force: true });
        writeFileSync(this.#temporary, this.#mark, { mode: MODE, flush: true });
        if (putInPlace(this.#temporary, this.path)) return;
      }
      throw new Error('other processes put their files there');
    } finally {
      rmSync(this.#temporary, { force: true });
    }
  }

  /** Puts what `write` writes in the place of the mark. Resolves to false when the mark is not there any more. */
  async replaceMark(write: (handle: FileHandle) => Promise<void>): Promise<boolean> {
    // Looked at before and after the work: another process may claim the file at any moment.
    if (!hasText(this.path, this.#mark)) return false;
    try {
      await writeWhole(this.#temporary, write);
      if (!move(this.path, this.#moved)) return false;
      const isReplaced = hasText(this.#moved, this.#mark) && putInPlace(this.#temporary, this.path);
      // It is the mark of another process, unless that has put a new one there.
      if (!isReplaced) putInPlace(this.#moved, this.path);
      return isReplaced;
    } finally {
      for (const file of [this.#temporary, this.#moved]) rmSync(file, { force: true });
    }
  }
}

/** What a file is and how large, without what it holds; undefined when there is none. */
export async function inspectFile(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    return ignoreMissing(error);
  }
}

/** Tells a file from any other that lies in its place before or after. It stays the same when the file is moved. */
export function identityOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs].join(':');
}

/** What the owner has begun to write; it is left over when the owner is killed meanwhile. */
export function temporaryOf(path: string, owner: string): string {
  return `${path}.${owner}.tmp`;
}

async function writeWhole(
  path: string,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const handle = await open(path, 'wx', MODE);
  try {
    await write(handle);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** False if there is nothing to move. */
function move(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    return ignoreMissing(error) ?? false;
  }
}

/** False if something lies there. A link, because `rename` would replace what another process has just put there. */
function putInPlace(file: string, path: string): boolean {
  try {
    linkSync(file, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  syncFolder(dirname(path));
  return true;
}

/** Without it a file that was replaced may be there again after a power failure. */
function syncFolder(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function hasText(path: string, text: string): boolean {
  try {
    // Another file may be too large to be read.
    return statSync(path).size === text.length && readFileSync(path, 'utf8') === text;
  } catch (error) {
    return ignoreMissing(error) ?? false;
  }
}

function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  return undefined;
}
