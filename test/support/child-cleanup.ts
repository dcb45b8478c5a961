// What tests, torture and benchmark start must not outlive them, however they end.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';

const children = new Set<ChildProcess>();

// One listener for all: Node warns of more than ten.
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Kills `child` when this process exits, unless it has ended by then. */
export function killAtExit(child: ChildProcess): void {
  children.add(child);
  child.once('exit', () => children.delete(child));
}

/** Makes the signals that end a process run its exit listeners first, as they do not by default. */
export function exitOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }
}

export function isRunning({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
}

/** Sends `signal`; resolves when the child has ended, at once if it has already or never started. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (!isRunning(child)) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}
