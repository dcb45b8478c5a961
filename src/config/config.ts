import { z } from 'zod';
import { AllowedOrigins } from '../auth/allowed-origins.ts';
import { type CertificateFiles, readCertificate } from './certificate.ts';
import { isProduction } from './node-env.ts';

/** The settings of one server. Made by `loadConfig`, from the environment alone. */
export type Config = Readonly<{
  /** HS512 key, shared with the app servers: the UTF-8 bytes of this text. */
  jwtSecret: string;
  /** Older keys that are still accepted. */
  jwtSecretPrevious: readonly string[];
  /** 0 lets the system choose. */
  port: number;
  /** Undefined is every interface. */
  host: string | undefined;
  /** Also true for every `NODE_ENV` that is unknown. */
  production: boolean;
  /** Whether the playground is served. */
  development: boolean;
  logLevel: string;
  pingIntervalMs: number;
  /** How long a connection may stay without a verified token; 0 is for ever. */
  authTimeoutMs: number;
  /** How long the goodbyes of a shutdown take. */
  drainMs: number;
  /** Websockets open at a time; 0 is no limit. */
  maxConnections: number;
  maxChannelsPerConnection: number;
  /** In UTF-16 units. */
  maxChannelLength: number;
  /** One websocket message of a client. */
  maxMessageBytes: number;
  /** One HTTP request body. */
  maxBodyBytes: number;
  /** What may wait for one socket from earlier turns of the event loop. */
  maxBufferedBytes: number;
  /** Undefined is any. */
  allowedOrigins: AllowedOrigins | undefined;
  metrics: boolean;
  /** Asked of whoever reads the metrics; undefined asks nothing. */
  metricsToken: string | undefined;
  /** How many proxies in front are believed in `X-Forwarded-For`. */
  trustedProxies: number;
  enforceTokenExpiry: boolean;
  /** Serve https and wss with this certificate; undefined is plain http. */
  tls: CertificateFiles | undefined;
  compression: boolean;
  /** Processes on this machine. */
  processes: number;
  /** Where Redis is that carries the broadcasts between nodes; undefined is this machine alone. */
  redisUrl: string | undefined;
  /** Of every topic on the bus. */
  brokerPrefix: string;
  /** Whether connections are closed when the broker is lost, so that clients come back and reload. */
  reconnectOnBrokerLoss: boolean;
}>;

/** Every problem of an environment, for the operator to read. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`Invalid configuration:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/** A variable's text → number. `what` completes the sentence "X must be …". */
function number(fallback: number, what: string, accepts: (value: number) => boolean) {
  return z
    .string()
    .default(String(fallback))
    .refine((text) => /^\d+(\.\d+)?$/.test(text) && accepts(Number(text)), { error: what })
    .transform(Number);
}

function integer(fallback: number, min: number, max: number = Number.MAX_SAFE_INTEGER) {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return number(
    fallback,
    `must be an integer ${range}`,
    (value) => Number.isSafeInteger(value) && value >= min && value <= max,
  );
}

/** Seconds, decimals allowed → milliseconds. */
function seconds(fallback: number, min: number, max: number) {
  return number(
    fallback,
    `must be a number of seconds from ${min} to ${max}`,
    (value) => value >= min && value <= max,
  ).transform((value) => value * 1_000);
}

/** Comma-separated; white space around an entry does not count. */
function list() {
  return z
    .string()
    .default('')
    .transform((text) => text.split(',').map((entry) => entry.trim()))
    .transform((entries) => entries.filter((entry) => entry !== ''));
}

function boolean() {
  return z
    .enum(['true', 'false'], { error: 'must be true or false' })
    .default('false')
    .transform((text) => text === 'true');
}

const DAY = 86_400;

/** Every variable that the server reads, in the order of the README. */
const variables = z.object({
  JWT_SECRET: z.string({ error: 'is required' }),
  JWT_SECRET_PREVIOUS: list(),
  PORT: integer(3000, 0, 65_535),
  HOST: z.string().optional(),
  NODE_ENV: z.string().optional(),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
      error: 'must be one of fatal error warn info debug trace silent',
    })
    .default('info'),
  PING_INTERVAL_SECONDS: seconds(15, 0.1, DAY),
  AUTH_TIMEOUT_SECONDS: seconds(30, 0, DAY),
  // A platform such as Heroku kills what has not ended 30 s after SIGTERM.
  DRAIN_SECONDS: seconds(10, 0, 25),
  MAX_CONNECTIONS: integer(0, 0),
  MAX_CHANNELS_PER_CONNECTION: integer(1_000, 1),
  MAX_CHANNEL_LENGTH: integer(255, 1, 65_536),
  MAX_MESSAGE_BYTES: integer(65_536, 128, 2 ** 30),
  MAX_BODY_BYTES: integer(1_048_576, 128, 2 ** 28),
  MAX_BUFFERED_BYTES: integer(4_194_304, 1),
  ALLOWED_ORIGINS: list().transform((origins, context) => {
    try {
      return origins.length === 0 ? undefined : new AllowedOrigins(origins);
    } catch {
      context.addIssue({ code: 'custom', message: ORIGINS_EXPECTED });
      return z.NEVER;
    }
  }),
  METRICS: boolean(),
  METRICS_TOKEN: z.string().optional(),
  TRUST_PROXY: integer(0, 0, 100),
  ENFORCE_TOKEN_EXPIRY: boolean(),
  TLS_CERT_FILE: z.string().optional(),
  TLS_KEY_FILE: z.string().optional(),
  COMPRESSION: boolean(),
  WEB_CONCURRENCY: integer(1, 1, 1_024),
  REDIS_URL: z
    .string()
    .refine(isRedisUrl, {
      error: 'must be a URL that begins with redis:// or rediss://',
    })
    .optional(),
  BROKER_PREFIX: z.string().optional(),
  ON_BROKER_LOSS: z
    .enum(['keep', 'reconnect'], { error: 'must be keep or reconnect' })
    .default('keep'),
});

/** What is wrong between variables that are right by themselves. */
function problemsBetween(set: Readonly<Record<string, string | undefined>>): string[] {
  return [
    secretProblem(set),
    tlsProblem(set['TLS_CERT_FILE'], set['TLS_KEY_FILE']),
    bufferProblem(set),
  ].filter((problem) => problem !== undefined);
}

/** Whoever has seen one token can guess a shorter secret at leisure, on machines of his own. */
const LEAST_SECRET_BYTES = 16;

function secretProblem(set: Readonly<Record<string, string | undefined>>): string | undefined {
  const { JWT_SECRET: secret, NODE_ENV: nodeEnv } = set;
  if (secret === undefined || !isProduction(nodeEnv)) return undefined;
  if (Buffer.byteLength(secret) >= LEAST_SECRET_BYTES) return undefined;
  return `JWT_SECRET must be at least ${LEAST_SECRET_BYTES} bytes long in production`;
}

function tlsProblem(certFile: string | undefined, keyFile: string | undefined): string | undefined {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    return 'TLS_CERT_FILE and TLS_KEY_FILE go together';
  }
  try {
    readCertificate({ certFile, keyFile });
    return undefined;
  } catch (error) {
    const why = (error as Error).message;
    return `TLS_CERT_FILE and TLS_KEY_FILE must be a certificate and its key (${why})`;
  }
}

/** One broadcast may be as large as a body: a reader that is one behind must not be taken for a slow one. */
function bufferProblem(set: Readonly<Record<string, string | undefined>>): string | undefined {
  const { MAX_BODY_BYTES, MAX_BUFFERED_BYTES } = variables.shape;
  const body = MAX_BODY_BYTES.safeParse(set['MAX_BODY_BYTES']);
  const buffered = MAX_BUFFERED_BYTES.safeParse(set['MAX_BUFFERED_BYTES']);
  if (!body.success || !buffered.success || buffered.data >= 2 * body.data) return undefined;
  return `MAX_BUFFERED_BYTES must be at least twice MAX_BODY_BYTES, ${2 * body.data}, got "${buffered.data}"`;
}

/** The path of such a URL is the number of a database. */
function isRedisUrl(text: string): boolean {
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return false;
  return /^\/?\d*$/.test(new URL(text).pathname);
}

/** Redis' pub/sub ignores database numbers, so two installations that differ in theirs need two prefixes. */
function defaultPrefix(redisUrl: string | undefined): string {
  const database = redisUrl === undefined ? 0 : Number(new URL(redisUrl).pathname.slice(1));
  return database === 0 ? 'bifrost:' : `bifrost:${database}:`;
}

const ORIGINS_EXPECTED =
  'must be a comma-separated list of origins such as https://example.com or https://*.example.com';

/** The names of all variables that `loadConfig` reads. */
export const variableNames: readonly string[] = Object.keys(variables.shape);

/** Variables whose text must never be shown. */
const SECRETS = new Set(['JWT_SECRET', 'JWT_SECRET_PREVIOUS', 'METRICS_TOKEN', 'REDIS_URL']);

/**
 * Environment → configuration, or a `ConfigError` that lists every problem, first those that are known already.
 * An empty variable is like none.
 */
export function loadConfig(
  env: Readonly<Record<string, string | undefined>>,
  knownProblems: readonly string[] = [],
): Config {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = variables.safeParse(set);
  const ownProblems = (parsed.error?.issues ?? []).map(({ path, message }) => {
    const name = String(path[0]);
    const isShown = set[name] !== undefined && !SECRETS.has(name);
    return `${name} ${message}${isShown ? `, got ${JSON.stringify(set[name])}` : ''}`;
  });
  const problems = [...knownProblems, ...ownProblems, ...problemsBetween(set)];
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);

  const { data } = parsed;
  return Object.freeze({
    jwtSecret: data.JWT_SECRET,
    jwtSecretPrevious: data.JWT_SECRET_PREVIOUS,
    port: data.PORT,
    host: data.HOST,
    production: isProduction(data.NODE_ENV),
    development: data.NODE_ENV === 'development',
    logLevel: data.LOG_LEVEL,
    pingIntervalMs: data.PING_INTERVAL_SECONDS,
    authTimeoutMs: data.AUTH_TIMEOUT_SECONDS,
    drainMs: data.DRAIN_SECONDS,
    maxConnections: data.MAX_CONNECTIONS,
    maxChannelsPerConnection: data.MAX_CHANNELS_PER_CONNECTION,
    maxChannelLength: data.MAX_CHANNEL_LENGTH,
    maxMessageBytes: data.MAX_MESSAGE_BYTES,
    maxBodyBytes: data.MAX_BODY_BYTES,
    maxBufferedBytes: data.MAX_BUFFERED_BYTES,
    allowedOrigins: data.ALLOWED_ORIGINS,
    metrics: data.METRICS,
    metricsToken: data.METRICS_TOKEN,
    trustedProxies: data.TRUST_PROXY,
    enforceTokenExpiry: data.ENFORCE_TOKEN_EXPIRY,
    tls:
      data.TLS_CERT_FILE !== undefined && data.TLS_KEY_FILE !== undefined
        ? { certFile: data.TLS_CERT_FILE, keyFile: data.TLS_KEY_FILE }
        : undefined,
    compression: data.COMPRESSION,
    processes: data.WEB_CONCURRENCY,
    redisUrl: data.REDIS_URL,
    brokerPrefix: data.BROKER_PREFIX ?? defaultPrefix(data.REDIS_URL),
    reconnectOnBrokerLoss: data.ON_BROKER_LOSS === 'reconnect',
  });
}

/** Settings whose text is never shown; a hint takes their place. */
type Secret = 'jwtSecret' | 'jwtSecretPrevious' | 'metricsToken' | 'redisUrl';

/** What an operator may read of a configuration. A new setting does not compile before it says how it is shown. */
export type ConfigDescription = Readonly<
  Record<Exclude<keyof Config, Secret>, unknown> & {
    secretBytes: number;
    previousSecrets: number;
    metricsToken: boolean;
    /** Host and port; the rest of a URL may hold a password. */
    redis: string | false;
  }
>;

/** The effective settings without their secrets, as plain data: for the log and for `bifrost check`. */
export function describeConfig(config: Config): ConfigDescription {
  return {
    secretBytes: Buffer.byteLength(config.jwtSecret),
    previousSecrets: config.jwtSecretPrevious.length,
    port: config.port,
    host: config.host ?? 'all interfaces',
    production: config.production,
    development: config.development,
    logLevel: config.logLevel,
    pingIntervalMs: config.pingIntervalMs,
    authTimeoutMs: config.authTimeoutMs,
    drainMs: config.drainMs,
    maxConnections: config.maxConnections,
    maxChannelsPerConnection: config.maxChannelsPerConnection,
    maxChannelLength: config.maxChannelLength,
    maxMessageBytes: config.maxMessageBytes,
    maxBodyBytes: config.maxBodyBytes,
    maxBufferedBytes: config.maxBufferedBytes,
    allowedOrigins: config.allowedOrigins?.origins ?? 'any',
    metrics: config.metrics,
    metricsToken: config.metricsToken !== undefined,
    trustedProxies: config.trustedProxies,
    enforceTokenExpiry: config.enforceTokenExpiry,
    tls: config.tls?.certFile ?? false,
    compression: config.compression,
    processes: config.processes,
    redis: config.redisUrl === undefined ? false : new URL(config.redisUrl).host,
    brokerPrefix: config.brokerPrefix,
    reconnectOnBrokerLoss: config.reconnectOnBrokerLoss,
  };
}

/** RFC 7518 §3.2: a key of the hash's length or more. */
const SECRET_BYTES = 64;

/** What should not face the internet as it is set, a sentence each. */
export function unsafeSettings(config: Config): string[] {
  const warnings: string[] = [];
  if (Buffer.byteLength(config.jwtSecret) < SECRET_BYTES) {
    warnings.push(`JWT_SECRET should be at least ${SECRET_BYTES} bytes long`);
  }
  if (config.development) {
    warnings.push('NODE_ENV=development: the playground at /test makes tokens for anyone');
  }
  if (config.authTimeoutMs === 0) {
    warnings.push('AUTH_TIMEOUT_SECONDS=0: strangers may keep connections for ever');
  }
  if (config.metrics && config.metricsToken === undefined) {
    warnings.push('METRICS=true without METRICS_TOKEN: anyone may read /metrics');
  }
  return warnings;
}
