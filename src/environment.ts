import { config as loadDotenv } from 'dotenv';

/** The real environment with what the file at `dotenvPath` adds to it. An empty variable is like none. */
export function readEnvironment(
  real: Readonly<Record<string, string | undefined>>,
  dotenvPath: string,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(real)) if (value) env[name] = value;
  loadDotenv({ path: dotenvPath, processEnv: env, quiet: true });
  return env;
}
