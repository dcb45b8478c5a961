import { type Program, startProgram, temporaryFolder } from './program.ts';
import { SECRET } from './tokens.ts';

/** Gives the program behind it a terminal of its own. What its standard input gets are key strokes. */
export const TERMINAL = ['sh', '-c', 'exec script -qefc "exec $*" /dev/null', 'sh'];

export const CTRL_C = '\x03';
export const CTRL_S = '\x13';

/** The link to the playground in a greeting: the whole of it, and its key. */
export const PLAYGROUND_LINK = /Playground +(http\S+\/test\?key=([0-9a-f]{32}))\r?\n/;

/** The program on a terminal, outside production unless `env` says otherwise. */
export async function startOnTerminal(
  env: Readonly<Record<string, string>>,
  folder?: string,
): Promise<Program> {
  return startProgram(
    folder ?? (await temporaryFolder()),
    { JWT_SECRET: SECRET, TERM: 'xterm', ...env },
    { stdin: 'pipe', launcher: TERMINAL },
  );
}

/** Strikes a key on the program's terminal. */
export function press(program: Program, key: string): void {
  program.child.stdin?.write(key);
}
