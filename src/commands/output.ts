import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** How long the end waits for a reader of standard output that has stalled. */
const FLUSH_TIMEOUT_MS = 1_000;

/** Writes a line. Resolves once the stream takes more, or never will, or the signal is aborted. Never rejects. */
export async function writeLine(
  output: Writable,
  line: string,
  signal: AbortSignal,
): Promise<void> {
  if (output.write(`${line}\n`)) return;
  // Rejects when the stream fails. Whoever opened it sees that too.
  await once(output, 'drain', { signal }).catch(() => {});
}

/** To be called at the end of a command that may print much: a pipe that nobody reads would keep the process for ever. */
export function exitWithoutReader(): void {
  setTimeout(() => process.exit(), FLUSH_TIMEOUT_MS).unref();
}
