import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { CLI_PROGRAM, SERVER_PROGRAM } from './build.ts';

/** An empty folder that is gone when the test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bifrost-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export interface ProgramOptions {
  readonly stdin?: 'ignore' | 'pipe';
  /** Where it writes to: a descriptor, or what the test reads. */
  readonly stdout?: number | 'pipe';
  readonly stderr?: number | 'pipe';
  /** A program, with arguments, that starts it. */
  readonly launcher?: readonly string[];
}

const PROGRAM_ENV = { HOST: '127.0.0.1', PORT: '0', DRAIN_SECONDS: '0' };

/** The program as it is deployed, in a folder of its own, with nothing but the given environment. */
export function startProgram(
  cwd: string,
  env: Readonly<Record<string, string>>,
  options: ProgramOptions = {},
): Program {
  return startBuilt(SERVER_PROGRAM, [], cwd, { ...PROGRAM_ENV, ...env }, options);
}

/** The program with so many file descriptors at most, for each of its processes. */
export function startProgramWithFiles(
  files: number,
  cwd: string,
  env: Readonly<Record<string, string>>,
): Program {
  const launcher = ['sh', '-c', `ulimit -n ${files} && exec "$0" "$@"`];
  return startProgram(cwd, env, { launcher });
}

/** `bifrost` with these arguments, likewise. */
export function startCommand(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
  options: ProgramOptions = {},
): Program {
  return startBuilt(CLI_PROGRAM, args, cwd, env, options);
}

function startBuilt(
  file: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
  { stdin = 'ignore', stdout = 'pipe', stderr = 'pipe', launcher = [] }: ProgramOptions = {},
): Program {
  const node = [process.execPath, file, ...args];
  const [command = '', ...rest] = [...launcher, ...node];
  const child = spawn(command, rest, {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
    stdio: [stdin, stdout, stderr],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return new Program(child);
}

export class Program {
  readonly child: ChildProcess;
  /** Everything that was printed so far, on both streams. */
  output = '';
  stdout = '';
  stderr = '';
  /** How it ended, after its last line. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  constructor(child: ChildProcess) {
    this.child = child;
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
        this[name] += text;
        child.emit('printed');
      });
    }
    this.ended = once(child, 'close').then(([code, signal]) => {
      child.emit('printed');
      return { code, signal };
    });
  }

  /** Resolves to the match once the output has it; rejects when the program ends without. */
  async prints(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.output);
      if (match !== null) return match;
      if (this.child.exitCode !== null) throw new Error(`ended without ${pattern}: ${this.output}`);
      await once(this.child, 'printed');
    }
  }

  /** Resolves to the port it listens on. */
  async listening(): Promise<number> {
    return Number((await this.prints(/listens on .* port (\d+)/))[1]);
  }
}
