import { readDotenv } from './dotenv.ts';

/** The variables to configure a server with. */
export interface Environment {
  /** Without the empty variables of the real environment: they count as not set. */
  readonly variables: Record<string, string>;
  /** The names of those that come from `.env`. */
  readonly fromDotenv: readonly string[];
  /** What is wrong with `.env`. If there are any, `variables` is incomplete and no server should start with it. */
  readonly problems: readonly string[];
}

/** The variables of the real environment, and those of the file at `dotenvPath` that it does not set. */
export function readEnvironment(
  real: Readonly<Record<string, string | undefined>>,
  dotenvPath?: string,
): Environment {
  const dotenv = dotenvPath === undefined ? undefined : readDotenv(dotenvPath);
  const set = Object.entries(real).flatMap(([name, value]) => (value ? [[name, value]] : []));
  const variables: Record<string, string> = Object.fromEntries(set);
  return {
    variables: { ...dotenv?.variables, ...variables },
    fromDotenv: Object.keys(dotenv?.variables ?? {}).filter((name) => !variables[name]),
    problems: dotenv?.problems ?? [],
  };
}
