import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The compiled server, and what starts the compiled command line. */
export const SERVER_PROGRAM = `${ROOT}dist/main.js`;
export const CLI_PROGRAM = `${ROOT}bin/bifrost.cjs`;

/** Compiles the sources, so that what is started is what is there. Throws when they do not compile. */
export default function build(): void {
  // The output of npm goes to stderr: stdout may be a report.
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: ['ignore', 2, 'inherit'] });
}
