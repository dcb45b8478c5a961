import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** On which core a process runs: that of the servers, that of the load generators, or any. */
export type Core = 'server' | 'load' | 'any';

const CORE_NUMBERS = { server: 0, load: 1 } as const;

function taskset(cores: string): readonly string[] {
  return ['taskset', '-c', cores];
}

function canPin(): boolean {
  if (availableParallelism() < 2) return false;
  const [command = '', ...args] = taskset(Object.values(CORE_NUMBERS).join());
  return spawnSync(command, [...args, 'true']).status === 0;
}

/** Whether servers and load generators have a core each. That takes two cores, and `taskset` of util-linux. */
export const isPinned = canPin();

/** The words to put before a command so that it runs on `core`. */
export function launcherFor(core: Core): readonly string[] {
  return isPinned && core !== 'any' ? taskset(String(CORE_NUMBERS[core])) : [];
}
