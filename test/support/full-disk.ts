import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Mounts a small file system, fills it, and runs a program with its output appended to a file there. */
const SCRIPT = `
  mount -t tmpfs -o size=4m tmpfs "$0" || exit 1
  head -c 8M /dev/zero >"$0/filler" 2>/dev/null
  exec "$@" >>"$0/log"`;

/** What to put in front of a command line where no `FullDisk` is possible: no write to this device ever succeeds. */
export const FULL_DEVICE_LAUNCHER: readonly string[] = ['sh', '-c', 'exec "$@" >/dev/full', 'sh'];

/**
 * A file system that is full. Only the program that writes to it can see it, and it is gone when that one has ended,
 * however that came about.
 */
export class FullDisk {
  readonly #folder = mkdtempSync(join(tmpdir(), 'bifrost-full-'));

  /** Whether this machine lets us mount one. */
  static readonly isPossible =
    spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0;

  /** What to put in front of a command line, so that its output is appended to a file of this disk. */
  get launcher(): readonly string[] {
    return ['unshare', '--mount', 'sh', '-c', SCRIPT, this.#folder];
  }

  /** A path by which we reach a file of it, while the program with this process id runs. */
  pathOf(file: 'log' | 'filler', pid: number | undefined): string {
    return `/proc/${pid}/root${this.#folder}/${file}`;
  }

  /** Removes what is left of it here. */
  close(): void {
    rmdirSync(this.#folder);
  }
}
