import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const BENCH = fileURLToPath(new URL('.', import.meta.url));
const NPM_ARGS = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];

/** Milliseconds since 1970; 0 when there is no such file. */
function modifiedAtMs(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Installs the packages of the competitors by the lockfile, unless they are up to date. Throws when npm fails. */
export function installCompetitors(): void {
  const lockedAtMs = modifiedAtMs(`${BENCH}package-lock.json`);
  // npm writes this file whenever it installs.
  const installedAtMs = modifiedAtMs(`${BENCH}node_modules/.package-lock.json`);
  if (installedAtMs >= lockedAtMs) return;
  console.error('Installing the competitors (npm ci in bench/) …');
  // The output of npm goes to stderr: stdout is the report.
  const { status } = spawnSync('npm', NPM_ARGS, { cwd: BENCH, stdio: ['ignore', 2, 'inherit'] });
  if (status !== 0) throw new Error(`npm ci failed in ${BENCH}`);
}
