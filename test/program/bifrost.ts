import { type Program, startCommand, temporaryFolder } from '../support/program.ts';
import { SECRET } from '../support/tokens.ts';

export type Env = Readonly<Record<string, string>>;

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `bifrost` in an empty folder. */
export async function start(
  args: readonly string[],
  env: Env = { JWT_SECRET: SECRET },
): Promise<Program> {
  return startCommand(args, await temporaryFolder(), env);
}

/** Runs `bifrost` to its end, with this text in its standard input. */
export async function bifrost(
  args: readonly string[],
  env: Env = { JWT_SECRET: SECRET },
  input?: string | Buffer,
): Promise<Result> {
  const stdin = input === undefined ? 'ignore' : 'pipe';
  const program = startCommand(args, await temporaryFolder(), env, { stdin });
  // It may end before it has read everything.
  program.child.stdin?.on('error', () => {}).end(input);
  const { code } = await program.ended;
  return { code, stdout: program.stdout, stderr: program.stderr };
}
