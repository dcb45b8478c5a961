import { resolve } from 'node:path';
import type { Bus } from './broker/bus.ts';
import { restoreHistory } from './broker/history-file/history-file.ts';
import { EXIT_UNUSABLE, maxWaitingBytes, PLAYGROUND_KEY_VARIABLE } from './cluster/messages.ts';
import {
  createClusterMetrics,
  createWorkerBus,
  disconnect,
  executeOrders,
  ignoreSignals,
  isWorker,
  sendConnectionsLeft,
  sendUnusable,
} from './cluster/worker.ts';
import { runPrimary } from './cluster.ts';
import { type Config, ConfigError, loadConfig } from './config/config.ts';
import { describeConfig } from './config/describe-config.ts';
import { type Environment, readEnvironment } from './config/environment.ts';
import { isProduction } from './config/node-env.ts';
import { VERSION } from './config/version.ts';
import { environmentWarnings, unsafeSettings } from './config/warnings.ts';
import { createPlaygroundKey } from './pages/playground-key.ts';
import { createServer, type Server } from './server.ts';
import { reportFailure, reportInvalidConfig } from './start/failure.ts';
import { output } from './start/output.ts';
import { ensureSecret } from './start/secret.ts';
import { listenForStop, type Stop } from './start/stop.ts';
import { Terminal } from './start/terminal.ts';
import { createLog, type Log } from './telemetry/log.ts';

/** The levels of the log at which a terminal shows more than warnings. */
const TALKATIVE_LEVELS = ['info', 'debug', 'trace'];
/** How often a terminal is told how many websockets are left. */
const REPORT_INTERVAL_MS = 1_000;

/** What this process has found out about itself. */
interface Program {
  readonly config: Config;
  readonly log: Log;
  /** Undefined in a worker, which stops when its primary tells it to. */
  readonly stop: Stop | undefined;
  /** True if standard output is a terminal, outside production. */
  readonly isOnTerminal: boolean;
  /** Whom the process talks to; undefined in a worker, and where nobody listens. */
  readonly terminal: Terminal | undefined;
  /** What opens the playground; undefined if nothing does, or nothing is needed. */
  readonly playgroundKey: string | undefined;
}

/** As far as it is known: that of `.env` counts too. */
let nodeEnv = process.env['NODE_ENV'];

async function main(): Promise<void> {
  if (isWorker) ignoreSignals();
  const stop = isWorker ? undefined : listenForStop();
  const dotenvPath = resolve('.env');
  // A worker's environment comes whole from its primary. It does not read .env, which may have changed since.
  const environment = readEnvironment(process.env, isWorker ? undefined : dotenvPath);
  const { variables: env } = environment;
  nodeEnv = env['NODE_ENV'];
  const secretNotice = ensureSecret(environment, dotenvPath);
  const config = await loadOrReport(environment, secretNotice);
  if (config === undefined) return;

  const isOnTerminal = !config.production && process.stdout.isTTY;
  const log = await createProgramLog(config, isOnTerminal);
  if (stop === undefined) {
    const playgroundKey = process.env[PLAYGROUND_KEY_VARIABLE] || undefined;
    await serve({ config, log, stop, isOnTerminal, terminal: undefined, playgroundKey });
    return;
  }
  if (stop.signal.aborted) return;

  const hasListener = isOnTerminal && TALKATIVE_LEVELS.includes(config.logLevel);
  const playgroundKey = hasListener && !config.development ? createPlaygroundKey() : undefined;
  const secretFile = secretNotice === undefined ? undefined : dotenvPath;
  const terminal = hasListener
    ? new Terminal({ config, env, playgroundKey, secretFile })
    : undefined;
  if (terminal === undefined && secretNotice !== undefined) log.warn(secretNotice);
  for (const warning of [...environmentWarnings(env), ...unsafeSettings(config)]) log.warn(warning);
  const program = { config, log, stop, isOnTerminal, terminal, playgroundKey };
  if (config.processes === 1) await serve(program);
  else await runWorkers(program, env, stop);
}

/** Resolves to undefined when there is no usable configuration: the operator has been told why, and the program ends. */
async function loadOrReport(
  { variables, problems }: Environment,
  secretNotice: string | undefined,
): Promise<Config | undefined> {
  try {
    return loadConfig(variables, problems);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.exitCode = 1;
    await reportInvalidConfig(error, variables, secretNotice);
    return undefined;
  }
}

async function createProgramLog({ logLevel }: Config, isOnTerminal: boolean): Promise<Log> {
  // On a terminal the workers leave the talking to the first process, unless more is asked for.
  const level = isWorker && isOnTerminal && logLevel === 'info' ? 'warn' : logLevel;
  const log = await createLog({ level, pretty: isOnTerminal }, output);
  // Node's own listener writes warnings to standard error synchronously: a reader that has stopped reading would block
  // the process.
  process.removeAllListeners('warning').on('warning', ({ name, message }) => {
    log.warn({ name }, message);
  });
  return log;
}

/** Serves from worker processes until `stop` is aborted. */
async function runWorkers(
  { config, log, terminal, playgroundKey }: Program,
  env: Readonly<Record<string, string>>,
  stop: Stop,
): Promise<void> {
  await runPrimary({
    config,
    env,
    playgroundKey,
    stop,
    log,
    onListening: (port) => terminal?.greet(port),
    onConnectionsLeft: (count) => terminal?.reportConnectionsLeft(count),
    onUnusable: (reason) => void reportFailure(config.production, reason),
  });
}

/** Serves from this process until `stop` is aborted or, in a worker, until the primary orders a drain. */
async function serve(program: Program): Promise<void> {
  const { config, log, stop, terminal, playgroundKey } = program;
  // Listens for SIGHUP before the server has read the certificate: the signal would end the process.
  let renewCertificate = () => {};
  if (config.tls !== undefined && !isWorker) process.on('SIGHUP', () => renewCertificate());

  const bus = await createBus(config, log, (reason) => {
    reportUnusable(config, reason);
    void server.close().then(disconnect);
  });
  // With WEB_CONCURRENCY the history is the primary's.
  const historyFile = isWorker ? undefined : await restoreHistory(config, log);
  if (stop?.signal.aborted) return;
  const server = createServer(config, log, {
    bus,
    history: historyFile?.history,
    droppedLines: () => output.dropped,
    createMetricsReader: isWorker ? createClusterMetrics : undefined,
    playgroundKey,
  });
  renewCertificate = () => server.renewCertificate();
  const close = () => closeServer(server, program);
  if (stop === undefined) executeOrders({ close, renewCertificate });
  else stop.signal.addEventListener('abort', () => void close().then(() => historyFile?.save()));

  try {
    const bound = await server.listen();
    // It was stopped before it listened.
    if (bound === undefined) return;
    // Nothing is accepted before this turn of the event loop ends.
    historyFile?.claim();
    const { address, port } = bound;
    log[program.isOnTerminal ? 'debug' : 'info'](
      { version: VERSION, ...describeConfig(config), address, port },
      `Bifröst listens on ${address} port ${port}`,
    );
    terminal?.greet(port);
  } catch (error) {
    reportUnusable(config, describeListenError(config.port, error as NodeJS.ErrnoException));
    disconnect();
  }
}

/** Closes the server and resolves when it has closed. On a terminal it tells again and again how many are left. */
async function closeServer(server: Server, program: Program): Promise<void> {
  const { isOnTerminal, terminal, log } = program;
  if (!isOnTerminal) return server.close();
  // The counts take the place of the log's lines about the drain.
  if (log.level === 'info') log.level = 'warn';
  const report = () => {
    const count = server.openConnections;
    if (isWorker) sendConnectionsLeft(count);
    else terminal?.reportConnectionsLeft(count);
  };
  report();
  const timer = setInterval(report, REPORT_INTERVAL_MS);
  try {
    await server.close();
  } finally {
    clearInterval(timer);
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

function describeListenError(port: number, { code, message }: NodeJS.ErrnoException): string {
  const advice = code === 'EADDRINUSE' ? ' (another program has it: set PORT)' : '';
  return `Cannot listen on port ${port}: ${message}${advice}`;
}

/** Says why the server cannot run with this configuration. The primary of a worker then ends, and starts no other. */
function reportUnusable({ production }: Config, reason: string): void {
  process.exitCode = isWorker ? EXIT_UNUSABLE : 1;
  if (isWorker) sendUnusable(reason);
  else void reportFailure(production, reason);
}

try {
  await main();
} catch (error) {
  // Node would print a stack of many lines. What has been started would keep the process alive.
  if (!isProduction(nodeEnv)) throw error;
  await reportFailure(true, 'Bifröst could not start', { err: error });
  process.exit(1);
}
