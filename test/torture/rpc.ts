import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What a child process can be asked: a function of one argument for each name. */
// biome-ignore lint/suspicious/noExplicitAny: only `any` admits functions of every argument type.
export type Calls = Record<string, (argument: any) => unknown>;

/** Rejects when the call throws or the child ends. Many calls may be under way. */
export type Ask<C extends Calls> = <N extends keyof C & string>(
  name: N,
  argument: Parameters<C[N]>[0],
) => Promise<Awaited<ReturnType<C[N]>>>;

interface Question {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** Starts the program in `file`, beside this one, which calls `answer`; it ends with this process. */
export function startHelper<C extends Calls>(file: string): { child: ChildProcess; ask: Ask<C> } {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, path], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  const waiting = new Map<number, Waiting>();
  let lastId = 0;

  child.on('message', ({ id, value, error }: Answer) => {
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) asked?.resolve(value);
    else asked?.reject(new Error(error));
  });
  child.on('exit', () => {
    for (const { reject } of waiting.values()) reject(new Error(`${file} has ended`));
    waiting.clear();
  });

  const ask = (name: string, argument: unknown) =>
    new Promise((resolve, reject) => {
      lastId += 1;
      waiting.set(lastId, { resolve, reject });
      child.send({ id: lastId, name, argument } satisfies Question);
    });
  return { child, ask: ask as Ask<C> };
}

/** The child's end: answers the parent until it goes, and then ends this process. */
export function answer(calls: Calls): void {
  process.on('message', async ({ id, name, argument }: Question) => {
    let reply: Answer;
    try {
      reply = { id, value: await calls[name]?.(argument) };
    } catch (error) {
      reply = { id, error: (error as Error).stack ?? String(error) };
    }
    process.send?.(reply);
  });
  process.on('disconnect', () => process.exit());
}
