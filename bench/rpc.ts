import type { ChildProcess } from 'node:child_process';

/** What a load generator can be asked: a function of one argument for each name. */
// biome-ignore lint/suspicious/noExplicitAny: only `any` admits functions of every argument type.
export type Calls = Record<string, (argument: any) => unknown>;

/** Asks the load generator in a child process; rejects when it fails or ends. One question at a time. */
export type Ask<C extends Calls> = <N extends keyof C & string>(
  name: N,
  argument: Parameters<C[N]>[0],
) => Promise<Awaited<ReturnType<C[N]>>>;

interface Question {
  readonly name: string;
  readonly argument: unknown;
}

interface Answer {
  readonly value?: unknown;
  readonly error?: string;
}

/** The parent's end. `child` was spawned with an IPC channel and calls `answer`. */
export function asker<C extends Calls>(child: ChildProcess): Ask<C> {
  return (name, argument) =>
    new Promise((resolve, reject) => {
      const onExit = () => reject(new Error(`A load generator ended during "${name}"`));
      child.once('exit', onExit);
      child.once('message', ({ value, error }: Answer) => {
        child.off('exit', onExit);
        if (error !== undefined) reject(new Error(error));
        else resolve(value as Awaited<ReturnType<C[typeof name]>>);
      });
      child.send({ name, argument } satisfies Question);
    });
}

/** The child's end: answers the parent until it goes, and then ends this process. */
export function answer(calls: Calls): void {
  process.on('message', async ({ name, argument }: Question) => {
    let reply: Answer;
    try {
      reply = { value: await calls[name]?.(argument) };
    } catch (error) {
      reply = { error: (error as Error).message };
    }
    process.send?.(reply);
  });
  process.on('disconnect', () => process.exit());
}
