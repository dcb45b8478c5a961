import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { endChild, isRunning, killAtExit } from './child-cleanup.ts';

/** Has no `.env`, so that a server is the same on every machine. */
const FOLDER = fileURLToPath(new URL('.', import.meta.url));
/** Enough of what a server wrote to stderr to understand why it failed. */
const MAX_STDERR_LENGTH = 4_000;
const START_TIMEOUT_MS = 10_000;
const POLL_INTERVAL_MS = 20;

export interface ServerProcessOptions {
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** All of its environment but the PATH. */
  readonly env: Readonly<Record<string, string>>;
  /** The third one is a pipe. Only stderr is read unless given. */
  readonly stdio?: StdioOptions;
}

/** A server in a process of its own, which ends with this one. */
export class ServerProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  #stderr = '';

  /** Throws when the program cannot be started. */
  constructor({ command, env, stdio = ['ignore', 'ignore', 'pipe'] }: ServerProcessOptions) {
    const [file = '', ...args] = command;
    const child = spawn(file, args, {
      cwd: FOLDER,
      env: { PATH: process.env['PATH'], ...env },
      stdio,
    });
    // The missing pid says it at once.
    child.once('error', () => {});
    if (child.pid === undefined) throw new Error(`Cannot start ${file}`);
    this.child = child;
    this.pid = child.pid;
    killAtExit(child);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_STDERR_LENGTH);
    });
  }

  get isRunning(): boolean {
    return isRunning(this.child);
  }

  /** The end of what it wrote to stderr. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Resolves when it answers on `port` and does not say that it waits for something. */
  async untilReady(port: number): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!(await isReady(port))) {
      if (!this.isRunning) throw new Error('The server did not start');
      if (performance.now() > deadline) {
        throw new Error(`The server was not ready within ${START_TIMEOUT_MS} ms`);
      }
      await sleep(POLL_INTERVAL_MS);
    }
  }

  /** Resolves when it has ended. */
  end(signal: NodeJS.Signals): Promise<void> {
    return endChild(this.child, signal);
  }
}

async function isReady(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/healthz`, {
      // A connection that is kept alive would count among those of the measured server.
      headers: { Connection: 'close' },
      signal: AbortSignal.timeout(START_TIMEOUT_MS),
    });
    await response.arrayBuffer();
    // Servers that have no such path answer 404.
    return response.status !== 503;
  } catch {
    return false;
  }
}
