import { type ChildProcess, type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, constants } from 'node:os';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Ask, asker, type Calls } from './rpc.ts';

/** What a process runs on: the core of the servers, that of the load generators, or any. */
export type Core = 'server' | 'load' | 'any';

const SERVER_CORE = 0;
const LOAD_CORE = 1;

/** Whether the server has a core of its own: needs two of them, and `taskset` of util-linux. */
export const pinned =
  availableParallelism() >= 2 &&
  spawnSync('taskset', ['-c', `${SERVER_CORE},${LOAD_CORE}`, 'true']).status === 0;

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
}

function pin(command: Command, core: Core): Command {
  if (!pinned || core === 'any') return command;
  const number = core === 'server' ? SERVER_CORE : LOAD_CORE;
  return { file: 'taskset', args: ['-c', String(number), command.file, ...command.args] };
}

const children = new Set<ChildProcess>();

function keep(child: ChildProcess): void {
  children.add(child);
  child.once('exit', () => children.delete(child));
}

/** Ends `child` for good; resolves once it is gone. */
export async function kill(child: ChildProcess): Promise<void> {
  if (!children.has(child)) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** From now on, no child outlives this process, however it ends. */
export function killChildrenOnExit(): void {
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }
}

/** Enough of what a server complained of to understand why it failed. */
const MAX_COMPLAINT_LENGTH = 4_000;

export interface ServerProcess {
  readonly child: ChildProcessByStdio<null, null, Readable>;
  readonly pid: number;
  /** What it wrote to stderr lately. */
  complaint(): string;
}

/**
 * Starts a server. It gets no other environment than `env` and the PATH, and a working directory
 * without a `.env`, so that every machine measures the same settings.
 */
export function spawnServer(
  command: Command,
  env: Readonly<Record<string, string>> = {},
  core: Core = 'server',
): ServerProcess {
  const { file, args } = pin(command, core);
  const child = spawn(file, args, {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (child.pid === undefined) throw new Error(`Cannot start ${file}`);
  keep(child);
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-MAX_COMPLAINT_LENGTH);
  });
  return { child, pid: child.pid, complaint: () => complaint };
}

export interface LoadGenerator<C extends Calls> {
  readonly child: ChildProcess;
  readonly ask: Ask<C>;
}

/** Starts the load generator in `file`, beside this one, on the other core. */
export function spawnLoadGenerator<C extends Calls>(file: string): LoadGenerator<C> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  // The same flags as this process, which may need some to run TypeScript.
  const command = pin({ file: process.execPath, args: [...process.execArgv, path] }, 'load');
  const child = spawn(command.file, command.args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  keep(child);
  return { child, ask: asker<C>(child) };
}
