import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import type { Bus } from './broker/bus.ts';
import { restoreHistory } from './broker/history-file/history-file.ts';
import { EXIT_UNUSABLE, maxWaitingBytes } from './cluster/messages.ts';
import {
  createClusterMetrics,
  createWorkerBus,
  disconnect,
  executeOrders,
  ignoreSignals,
  isWorker,
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
  'set JWT_SECRET to what "npx --no-install bifrost secret" prints, and give your app servers the same';

const DOTENV_PATH = resolve('.env');

/** How long lines that are not written yet may delay the exit. */
const FLUSH_TIMEOUT_MS = 1_000;

const output = new LineWriter(process.stdout);
/** Created with the first error. */
let errors: LineWriter | undefined;

function writeError(text: string): void {
  errors ??= new LineWriter(process.stderr);
  errors.write(`${text}\n`);
}

process.once('exit', () => {
  const deadline = performance.now() + FLUSH_TIMEOUT_MS;
  output.finish(deadline);
  errors?.finish(deadline);
});

/**
 * Outside production, creates a missing JWT_SECRET and keeps it in `.env`. Returns a notice about it for the operator;
 * undefined if nothing was created.
 */
function ensureSecret({ variables: env, problems }: Environment): string | undefined {
  if (env['JWT_SECRET'] || isProduction(env['NODE_ENV'])) return undefined;
  if (problems.length > 0) {
    // The unusable .env may contain a secret. A placeholder keeps the list of problems from saying that it is missing;
    // the start fails, so it is never used.
    env['JWT_SECRET'] = randomBytes(64).toString('hex');
    return undefined;
  }
  try {
    env['JWT_SECRET'] = createDevelopmentSecret(DOTENV_PATH);
    return `JWT_SECRET was not set: a random one is now in ${DOTENV_PATH}`;
  } catch (error) {
    return `JWT_SECRET was not set, and ${DOTENV_PATH} cannot be written: ${(error as Error).message}`;
  }
}

/** Reports why the server does not start: in production as one log line, otherwise as text, one line per problem. */
async function reportInvalidConfig(
  error: ConfigError,
  env: Readonly<Record<string, string>>,
  notice: string | undefined,
): Promise<void> {
  process.exitCode = 1;
  const warnings = environmentWarnings(env);
  const advice = env['JWT_SECRET'] ? undefined : SECRET_ADVICE;
  if (isProduction(env['NODE_ENV'])) {
    // LOG_LEVEL is not used here: it may be the invalid setting, or "silent".
    const log = await createLog({ level: 'fatal', pretty: false }, output);
    log.fatal({ problems: error.problems, warnings, advice }, 'Invalid configuration');
    return;
  }
  if (notice !== undefined) writeError(notice);
  writeError(error.message);
  for (const warning of warnings) writeError(`Warning: ${warning}`);
  if (advice !== undefined) writeError(`Please ${advice}`);
}

async function main(): Promise<void> {
  const stop = listenForStop();
  // A worker's environment comes whole from its primary. It does not read .env, which may have changed since.
  const environment = readEnvironment(process.env, isWorker ? undefined : DOTENV_PATH);
  const { variables: env, problems } = environment;
  const notice = ensureSecret(environment);
  let config: Config;
  try {
    config = loadConfig(env, problems);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    await reportInvalidConfig(error, env, notice);
    return;
  }

  const pretty = !config.production && process.stdout.isTTY;
  const log = await createLog({ level: config.logLevel, pretty }, output);
  // Node's own listener writes warnings to standard error synchronously: a reader that has stopped reading would block
  // the process.
  process.removeAllListeners('warning').on('warning', ({ name, message }) => {
    log.warn({ name }, message);
  });
  if (stop.signal.aborted) return;
  if (!isWorker) {
    if (notice !== undefined) log.warn(notice);
    for (const warning of [...environmentWarnings(env), ...unsafeSettings(config)]) {
      log.warn(warning);
    }
    if (config.processes > 1) {
      await runPrimary({ config, env, stop, log });
      return;
    }
  }

  await serve(config, log, stop.signal);
}

/** Serves from this process until `stop` is aborted or, in a worker, until the primary orders a drain. */
async function serve(config: Config, log: Log, stop: AbortSignal): Promise<void> {
  // Listens for SIGHUP before the server has read the certificate: the signal would end the process.
  let renewCertificate = () => {};
  if (config.tls !== undefined && !isWorker) process.on('SIGHUP', () => renewCertificate());

  const bus = await createBus(config, log, (reason) => {
    log.fatal(reason);
    setFailureExitCode();
    void server.close().then(disconnect);
  });
  // With WEB_CONCURRENCY the history is the primary's.
  const historyFile = isWorker ? undefined : await restoreHistory(config, log);
  if (stop.aborted) return;
  const server = createServer(config, log, {
    bus,
    history: historyFile?.history,
    droppedLines: () => output.dropped,
    createMetricsReader: isWorker ? createClusterMetrics : undefined,
  });
  renewCertificate = () => server.renewCertificate();
  if (isWorker) executeOrders(server);
  else stop.addEventListener('abort', () => void server.close().then(() => historyFile?.save()));

  try {
    const bound = await server.listen();
    // It was stopped before it listened.
    if (bound === undefined) return;
    // Nothing is accepted before this turn of the event loop ends.
    historyFile?.claim();
    const { address, port } = bound;
    log.info(
      { version: VERSION, ...describeConfig(config), address, port },
      `Bifröst listens on ${address} port ${port}`,
    );
  } catch (error) {
    writeError(`Cannot listen on port ${config.port}: ${(error as Error).message}`);
    setFailureExitCode();
    disconnect();
  }
}

/** Returns the bus to the other nodes; undefined if this process is the only one. */
async function createBus(
  config: Config,
  log: Log,
  onUnusable: (reason: string) => void,
): Promise<Bus | undefined> {
  if (config.redisUrl === undefined) {
    return isWorker
      ? createWorkerBus(maxWaitingBytes(config.maxBodyBytes), config.history === 'memory')
      : undefined;
  }
  // Loaded on demand: the Redis client is larger than everything else together.
  const { RedisBus } = await import('./broker/redis/redis-bus.ts');
  const { redisUrl: url, brokerPrefix: prefix, historyMessages, historyMs } = config;
  const history =
    config.history === 'redis' ? { messages: historyMessages, ageMs: historyMs } : undefined;
  return new RedisBus({ url, prefix, history, log, onUnusable });
}

/**
 * Returns a controller that the first SIGTERM or SIGINT aborts. A worker waits for its primary's order instead. Must be
 * called before anything is awaited: a platform may send a signal at any moment, and several times.
 */
function listenForStop(): AbortController {
  const stop = new AbortController();
  if (isWorker) {
    ignoreSignals();
  } else {
    process.on('SIGTERM', () => stop.abort());
    // A second Ctrl-C ends the process at once, by Node's default.
    process.once('SIGINT', () => stop.abort());
  }
  return stop;
}

/** Sets the exit code for a configuration that cannot work, so that the primary does not start another worker. */
function setFailureExitCode(): void {
  process.exitCode = isWorker ? EXIT_UNUSABLE : 1;
}

await main();
