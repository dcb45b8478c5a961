// Remote procedure calls to a child process, over Node's IPC channel.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { killAtExit } from './child-cleanup.ts';

/** What a child process can be asked to do: a function of one argument for each name. */
// biome-ignore lint/suspicious/noExplicitAny: only `any` admits functions of every argument type.
export type Procedures = Record<string, (argument: any) => unknown>;

/**
 * Calls a procedure of the child; many calls may be under way. Argument and result are cloned. Rejects with the error
 * that the procedure threw, or when the child has ended.
 */
export type CallChild<P extends Procedures> = <N extends keyof P & string>(
  name: N,
  argument: Parameters<P[N]>[0],
) => Promise<Awaited<ReturnType<P[N]>>>;

export interface RpcChild<P extends Procedures> {
  readonly child: ChildProcess;
  readonly call: CallChild<P>;
}

interface Request {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

type Reply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: unknown };

interface PendingCall {
  resolve(value: unknown): void;
  reject(reason: unknown): void;
}

/** The parent's end. `child` was spawned with an IPC channel and calls `serveProcedures`. */
function callsTo<P extends Procedures>(child: ChildProcess, title: string): CallChild<P> {
  const pending = new Map<number, PendingCall>();
  let lastId = 0;

  child.on('message', (reply: Reply) => {
    const call = pending.get(reply.id);
    pending.delete(reply.id);
    if (reply.ok) call?.resolve(reply.value);
    else call?.reject(reply.error);
  });
  const rejectAll = (reason: Error) => {
    for (const { reject } of pending.values()) reject(reason);
    pending.clear();
  };
  child.once('exit', () => rejectAll(new Error(`${title} has ended`)));
  child.on('error', rejectAll);

  const call = (name: string, argument: unknown) =>
    new Promise((resolve, reject) => {
      lastId += 1;
      const id = lastId;
      pending.set(id, { resolve, reject });
      // With a callback the failure to send is not emitted as an 'error', which would fail all other calls too.
      child.send({ id, name, argument } satisfies Request, (error) => {
        if (error === null) return;
        pending.delete(id);
        reject(new Error(`${title} cannot be called`, { cause: error }));
      });
    });
  return call as CallChild<P>;
}

/**
 * Starts the program in `file`, which calls `serveProcedures`. It ends with this process. `launcher` is a command that
 * runs the command behind it, such as `taskset -c 1`.
 */
export function startRpcChild<P extends Procedures>(
  file: URL,
  launcher: readonly string[] = [],
): RpcChild<P> {
  // To run TypeScript, this process may need flags, and so does the child.
  const flags = file.pathname.endsWith('.ts') ? process.execArgv : [];
  const node = [process.execPath, ...flags, fileURLToPath(file)];
  const [command = '', ...args] = [...launcher, ...node];
  const child = spawn(command, args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // Buffers, typed arrays and errors arrive as what they were.
    serialization: 'advanced',
  });
  killAtExit(child);
  return { child, call: callsTo(child, file.pathname.split('/').at(-1) ?? file.pathname) };
}

/** The child's end: replies to the parent until it goes, and then ends this process. */
export function serveProcedures(procedures: Procedures): void {
  process.on('message', async ({ id, name, argument }: Request) => {
    let reply: Reply;
    try {
      const procedure = procedures[name];
      if (procedure === undefined) throw new Error(`There is no procedure "${name}"`);
      reply = { id, ok: true, value: await procedure(argument) };
    } catch (error) {
      reply = { id, ok: false, error };
    }
    process.send?.(reply);
  });
  process.on('disconnect', () => process.exit());
}
