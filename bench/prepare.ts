import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const BENCH = fileURLToPath(new URL('.', import.meta.url));
const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Milliseconds since 1970; 0 when there is no such file. */
function modifiedAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Runs `npm` with nothing on stdout, which belongs to the report. Throws when it fails. */
function npm(directory: string, ...args: string[]): void {
  const { status } = spawnSync('npm', args, { cwd: directory, stdio: ['ignore', 2, 'inherit'] });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed in ${directory}`);
}

/** Installs the peers, unless they are there already, as the lockfile has them. */
export function installPeers(): void {
  // npm writes the second file whenever it installs.
  const locked = modifiedAt(`${BENCH}package-lock.json`);
  if (modifiedAt(`${BENCH}node_modules/.package-lock.json`) >= locked) return;
  console.error('Installing the peers (npm ci in bench/) …');
  npm(BENCH, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error');
}

function git(...args: string[]): string {
  return spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' }).stdout?.trim() ?? '';
}

/** The commit that is measured; marked when the files differ from it. */
export function describeCommit(): string {
  const commit = git('rev-parse', '--short', 'HEAD');
  if (commit === '') return 'unknown commit';
  return git('status', '--porcelain') === '' ? `commit ${commit}` : `commit ${commit} + changes`;
}
