import { resolve } from 'node:path';
import { config as loadDotenv } from 'dotenv';
import { type Config, ConfigError, loadConfig } from './config.ts';
import { createDevelopmentSecret } from './development-secret.ts';
import { createServer } from './server.ts';

const SECRET_ADVICE =
  'set JWT_SECRET to a long random text that your app servers share, for example the output of: node -p "crypto.randomBytes(64).toString(\'hex\')"';

const DOTENV = resolve('.env');

/** The real environment with what `.env` adds to it. An empty variable is like none. */
function readEnvironment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) if (value) env[name] = value;
  loadDotenv({ path: DOTENV, processEnv: env, quiet: true });
  return env;
}

/** Without a secret there is no server; outside production it makes its own, once. */
function provideSecret(env: Record<string, string>): void {
  if (env['JWT_SECRET'] || env['NODE_ENV'] === 'production') return;
  try {
    env['JWT_SECRET'] = createDevelopmentSecret(DOTENV);
    console.log(`JWT_SECRET was not set: a random one is now in ${DOTENV}`);
  } catch (error) {
    console.error(`JWT_SECRET was not set and ${DOTENV} cannot be written: ${error}`);
  }
}

/** The configuration, or undefined after saying what is wrong with it. */
function configure(): Config | undefined {
  const env = readEnvironment();
  provideSecret(env);
  try {
    return loadConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    if (!env['JWT_SECRET']) console.error(`Please ${SECRET_ADVICE}`);
    return undefined;
  }
}

async function main(): Promise<void> {
  const config = configure();
  if (config === undefined) {
    process.exitCode = 1;
    return;
  }

  const server = createServer(config);
  // Before anything is promised: a platform may send SIGTERM at any moment, and several times.
  process.on('SIGTERM', () => server.close());
  // Only a second Ctrl-C means it.
  process.once('SIGINT', () => server.close());

  try {
    const { address, port } = await server.listen();
    console.log(`Bifröst listens on ${address} port ${port}`);
  } catch (error) {
    console.error(`Cannot listen on port ${config.port}: ${(error as Error).message}`);
    process.exitCode = 1;
    await server.close();
  }
}

await main();
