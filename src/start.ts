import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import type { Bus } from './broker/bus.ts';
import { EXIT_UNUSABLE, maxWaitingBytes } from './cluster/messages.ts';
import {
  createClusterMetrics,
  createWorkerBus,
  disconnect,
  ignoreSignals,
  isWorker,
  obeyPrimary,
} from './cluster/worker.ts';
import { runPrimary } from './cluster.ts';
import { type Config, ConfigError, loadConfig } from './config/config.ts';
import { describeConfig } from './config/describe-config.ts';
import { createDevelopmentSecret } from './config/development-secret.ts';
import { type Environment, readEnvironment } from './config/environment.ts';
import { isProduction } from './config/node-env.ts';
import { VERSION } from './config/version.ts';
import { environmentWarnings, unsafeSettings } from './config/warnings.ts';
import { createServer } from './server.ts';
import { LineWriter } from './telemetry/line-writer.ts';
import { createLog, type Log } from './telemetry/log.ts';

const SECRET_ADVICE =
  'set JWT_SECRET to a long random text that your app servers share, for example the output of: node -p "crypto.randomBytes(64).toString(\'hex\')"';

const DOTENV = resolve('.env');

/** How long lines that still wait may hold up the exit. */
const LAST_LINES_MS = 1_000;

const output = new LineWriter(process.stdout);
/** Made when there is something to complain about. */
let errors: LineWriter | undefined;

function complain(text: string): void {
  errors ??= new LineWriter(process.stderr);
  errors.write(`${text}\n`);
}

process.once('exit', () => {
  const deadline = performance.now() + LAST_LINES_MS;
  output.finish(deadline);
  errors?.finish(deadline);
});

/** Without a secret there is no server; outside production it makes its own, once. Returns what to tell about it. */
function provideSecret({ variables: env, problems }: Environment): string | undefined {
  if (env['JWT_SECRET'] || isProduction(env['NODE_ENV'])) return undefined;
  if (problems.length > 0) {
    // A .env that cannot be used may have a secret in it, so that none is missing. This one is never kept or used.
    env['JWT_SECRET'] = randomBytes(64).toString('hex');
    return undefined;
  }
  try {
    env['JWT_SECRET'] = createDevelopmentSecret(DOTENV);
    return `JWT_SECRET was not set: a random one is now in ${DOTENV}`;
  } catch (error) {
    return `JWT_SECRET was not set, and ${DOTENV} cannot be written: ${(error as Error).message}`;
  }
}

/** Says in one line of the log, or outside production in a line for each, why the server does not start. */
async function refuseConfig(
  error: ConfigError,
  env: Readonly<Record<string, string>>,
  news: string | undefined,
): Promise<void> {
  process.exitCode = 1;
  const warnings = environmentWarnings(env);
  const advice = env['JWT_SECRET'] ? undefined : SECRET_ADVICE;
  if (isProduction(env['NODE_ENV'])) {
    // Not at LOG_LEVEL, which may be what is wrong, or "silent".
    const log = await createLog({ level: 'fatal', pretty: false }, output);
    log.fatal({ problems: error.problems, warnings, advice }, 'Invalid configuration');
    return;
  }
  if (news !== undefined) complain(news);
  complain(error.message);
  for (const warning of warnings) complain(`Warning: ${warning}`);
  if (advice !== undefined) complain(`Please ${advice}`);
}

async function main(): Promise<void> {
  const stop = listenForStop();
  // A worker was given everything by its primary, and .env may have changed since.
  const environment = readEnvironment(process.env, isWorker ? undefined : DOTENV);
  const { variables: env, problems } = environment;
  const news = provideSecret(environment);
  let config: Config;
  try {
    config = loadConfig(env, problems);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    await refuseConfig(error, env, news);
    return;
  }

  const pretty = !config.production && process.stdout.isTTY;
  const log = await createLog({ level: config.logLevel, pretty }, output);
  // Node itself writes warnings to standard error, and waits there for a reader that has stopped reading.
  process.removeAllListeners('warning').on('warning', ({ name, message }) => {
    log.warn({ name }, message);
  });
  if (stop.signal.aborted) return;
  if (!isWorker) {
    if (news !== undefined) log.warn(news);
    for (const warning of [...environmentWarnings(env), ...unsafeSettings(config)]) {
      log.warn(warning);
    }
    if (config.processes > 1) {
      runPrimary(config, env, stop, log);
      return;
    }
  }

  await serve(config, log, stop.signal);
}

/** Serves from this process, until `stop` is aborted or, in a worker, the primary says so. */
async function serve(config: Config, log: Log, stop: AbortSignal): Promise<void> {
  // Listens for SIGHUP before the server has read the certificate: the signal would end the process.
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
    droppedLines: () => output.dropped,
    createMetricsReader: isWorker ? createClusterMetrics : undefined,
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
    complain(`Cannot listen on port ${config.port}: ${(error as Error).message}`);
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
  if (config.redisUrl === undefined) {
    return isWorker ? createWorkerBus(maxWaitingBytes(config.maxBodyBytes)) : undefined;
  }
  // Loaded only where it is used: it is larger than all the rest.
  const { RedisBus } = await import('./broker/bus-redis.ts');
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
