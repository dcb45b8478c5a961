import { readDotenv } from './dotenv.ts';

/** The variables to configure a server with. */
export interface Environment {
  /** Without the empty ones of the real environment: those are like none. */
  readonly variables: Record<string, string>;
  /** What is wrong with `.env`. What it says is then incomplete, and no server should start with it. */
  readonly problems: readonly string[];
}

/** The real environment with what the file at `dotenvPath`, if any, adds to it. */
export function readEnvironment(
  real: Readonly<Record<string, string | undefined>>,
  dotenvPath?: string,
): Environment {
  const dotenv = dotenvPath === undefined ? undefined : readDotenv(dotenvPath);
  const set = Object.entries(real).flatMap(([name, value]) => (value ? [[name, value]] : []));
  return {
    variables: { ...dotenv?.variables, ...Object.fromEntries(set) },
    problems: dotenv?.problems ?? [],
  };
}
