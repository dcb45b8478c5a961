import { resolve } from 'node:path';
import { config as loadDotenv } from 'dotenv';
import { type Config, ConfigError, loadConfig } from './config.ts';
import { createDevelopmentSecret } from './development-secret.ts';
import { createLog } from './log.ts';
import { createServer } from './server.ts';

const SECRET_ADVICE =
  'set JWT_SECRET to a long random text that your app servers share, for example the output of: node -p "crypto.randomBytes(64).toString(\'hex\')"';

const DOTENV = resolve('.env');

/** RFC 7518 §3.2: a key of the hash's length or more. */
const SECRET_BYTES = 64;

/** The real environment with what `.env` adds to it. An empty variable is like none. */
function readEnvironment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) if (value) env[name] = value;
  loadDotenv({ path: DOTENV, processEnv: env, quiet: true });
  return env;
}

/** Without a secret there is no server; outside production it makes its own, once. Returns what to tell about it. */
function provideSecret(env: Record<string, string>): string | undefined {
  if (env['JWT_SECRET'] || env['NODE_ENV'] === 'production') return undefined;
  try {
    env['JWT_SECRET'] = createDevelopmentSecret(DOTENV);
    return `JWT_SECRET was not set: a random one is now in ${DOTENV}`;
  } catch (error) {
    return `JWT_SECRET was not set, and ${DOTENV} cannot be written: ${(error as Error).message}`;
  }
}

async function main(): Promise<void> {
  const env = readEnvironment();
  const news = provideSecret(env);
  let config: Config;
  try {
    config = loadConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (news !== undefined) console.error(news);
    console.error(error.message);
    if (!env['JWT_SECRET']) console.error(`Please ${SECRET_ADVICE}`);
    process.exitCode = 1;
    return;
  }

  const log = await createLog({
    level: config.logLevel,
    pretty: !config.production && process.stdout.isTTY,
  });
  if (news !== undefined) log.warn(news);
  const secretBytes = Buffer.byteLength(config.jwtSecret);
  if (secretBytes < SECRET_BYTES) {
    log.warn({ secretBytes }, `JWT_SECRET should be at least ${SECRET_BYTES} bytes long`);
  }

  const server = createServer(config, log);
  // Before anything is promised: a platform may send SIGTERM at any moment, and several times.
  process.on('SIGTERM', () => server.close());
  // Only a second Ctrl-C means it.
  process.once('SIGINT', () => server.close());
  if (config.tls !== undefined) process.on('SIGHUP', () => server.renewCertificate());

  try {
    const { address, port } = await server.listen();
    log.info({ address, port }, `Bifröst listens on ${address} port ${port}`);
  } catch (error) {
    console.error(`Cannot listen on port ${config.port}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}

await main();
