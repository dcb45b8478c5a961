import { resolve } from 'node:path';
import type { Bus } from './bus.ts';
import { runPrimary } from './cluster.ts';
import { EXIT_UNUSABLE } from './cluster-messages.ts';
import {
  createClusterMetrics,
  createWorkerBus,
  disconnect,
  ignoreSignals,
  isWorker,
  obeyPrimary,
} from './cluster-worker.ts';
import { type Config, ConfigError, describeConfig, loadConfig, unsafeSettings } from './config.ts';
import { createDevelopmentSecret } from './development-secret.ts';
import { readEnvironment } from './environment.ts';
import { createLog, type Log } from './log.ts';
import { createServer } from './server.ts';
import { VERSION } from './version.ts';

const SECRET_ADVICE =
  'set JWT_SECRET to a long random text that your app servers share, for example the output of: node -p "crypto.randomBytes(64).toString(\'hex\')"';

const DOTENV = resolve('.env');

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
  const stop = listenForStop();
  const env = readEnvironment(process.env, DOTENV);
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
  if (stop.signal.aborted) return;
  if (!isWorker) {
    if (news !== undefined) log.warn(news);
    for (const warning of unsafeSettings(config)) log.warn(warning);
    if (config.processes > 1) {
      runPrimary(config, env, stop, log);
      return;
    }
  }

  await serve(config, log, stop.signal);
}

/** Serves from this process, until `stop` is aborted or, in a worker, the primary says so. */
async function serve(config: Config, log: Log, stop: AbortSignal): Promise<void> {
  // The server reads the certificate when it is made: before that there is nothing to renew, and nothing to die of.
  let renewCertificate = () => {};
  if (config.tls !== undefined && !isWorker) process.on('SIGHUP', () => renewCertificate());

  const bus = await createBus(config, log, (reason) => {
    log.fatal(reason);
    giveUp();
    void server.close().then(disconnect);
  });
  if (stop.aborted) return;
  const server = createServer(config, log, {
    bus,
    gatherMetrics: isWorker ? createClusterMetrics : undefined,
  });
  renewCertificate = () => server.renewCertificate();
  if (isWorker) obeyPrimary(server);
  else stop.addEventListener('abort', () => void server.close());

  try {
    const bound = await server.listen();
    // Told to end before it listened.
    if (bound === undefined) return;
    const { address, port } = bound;
    log.info(
      { version: VERSION, ...describeConfig(config), address, port },
      `Bifröst listens on ${address} port ${port}`,
    );
  } catch (error) {
    console.error(`Cannot listen on port ${config.port}: ${(error as Error).message}`);
    giveUp();
    disconnect();
  }
}

/** What connects this process with others, if anything does. */
async function createBus(
  config: Config,
  log: Log,
  onUnusable: (reason: string) => void,
): Promise<Bus | undefined> {
  if (config.redisUrl === undefined) return isWorker ? createWorkerBus() : undefined;
  // Loaded only where it is used: it is larger than all the rest.
  const { RedisBus } = await import('./bus-redis.ts');
  return new RedisBus({ url: config.redisUrl, log, onUnusable });
}

/**
 * Aborted by the first SIGTERM or SIGINT; a worker waits for its primary instead. To be called before anything is
 * awaited: a platform may send a signal at any moment, and several times.
 */
function listenForStop(): AbortController {
  const stop = new AbortController();
  if (isWorker) {
    ignoreSignals();
  } else {
    process.on('SIGTERM', () => stop.abort());
    // Only a second Ctrl-C means it.
    process.once('SIGINT', () => stop.abort());
  }
  return stop;
}

/** Starting again would not help. */
function giveUp(): void {
  process.exitCode = isWorker ? EXIT_UNUSABLE : 1;
}

await main();
