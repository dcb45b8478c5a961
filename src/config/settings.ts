import { z } from 'zod';
import { isProduction } from './node-env.ts';
import {
  boolean,
  defaultBrokerPrefix,
  defaultHistory,
  integer,
  list,
  maskRedisUrl,
  oneOf,
  optionalText,
  origins,
  pemPath,
  redisUrl,
  type Setting,
  seconds,
  secretSetting,
  setting,
} from './setting.ts';

const DAY_SECONDS = 86_400;

/**
 * All settings, in the order of `docs/configuration.md`. This table is the only place that lists them:
 * - `Config` and its doc comments, loading, and what the log and `bifrost check` show are made from it,
 * - `.env.example` is generated from it: `npm test -- settings -u` writes the file,
 * - tests compare the table of that page with it.
 */
const settings = {
  /** HS512 key, shared with the app servers: the UTF-8 bytes of this text. */
  jwtSecret: secretSetting({
    variable: 'JWT_SECRET',
    schema: z.string({ error: 'is required' }),
    show: (secret) => ({ secretBytes: Buffer.byteLength(secret) }),
    mask: (text) => `hidden, ${Buffer.byteLength(text)} bytes`,
    help: 'The secret shared with your app, at least 64 bytes of text (16 in production), as "npx --no-install bifrost secret" prints it; outside production a missing one is made for you.',
  }),
  /** Older keys that are still accepted. */
  jwtSecretPrevious: secretSetting({
    variable: 'JWT_SECRET_PREVIOUS',
    schema: list(),
    show: (secrets) => ({ previousSecrets: secrets.length }),
    mask: (text) => `hidden, ${list().parse(text).length} of them`,
    help: 'Older secrets that are still accepted, separated by commas.',
  }),
  /** 0 lets the system choose. */
  port: setting({
    variable: 'PORT',
    default: '3000',
    schema: integer(0, 65_535),
    help: 'The port to listen on; 0 lets the system choose.',
  }),
  /** Undefined is every interface. */
  host: setting({
    variable: 'HOST',
    schema: optionalText(),
    show: (host) => ({ host: host ?? 'all interfaces' }),
    help: 'The address to listen on; all interfaces when it is not set.',
  }),
  /** Also true for every `NODE_ENV` that is unknown. */
  production: setting({
    variable: 'NODE_ENV',
    schema: optionalText().transform(isProduction),
    help: 'With "production" the server never makes a secret up, and always logs JSON; "development" and "test" are known too.',
  }),
  /** Whether the playground is served. */
  development: setting({
    variable: 'NODE_ENV',
    schema: optionalText().transform((nodeEnv) => nodeEnv === 'development'),
  }),
  logLevel: setting({
    variable: 'LOG_LEVEL',
    default: 'info',
    schema: oneOf(
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      'must be one of fatal error warn info debug trace silent',
    ),
    help: 'One of fatal, error, warn, info, debug, trace and silent.',
  }),
  pingIntervalMs: setting({
    variable: 'PING_INTERVAL_SECONDS',
    default: '15',
    schema: seconds(0.1, DAY_SECONDS),
    help: 'How often each connection is pinged, in seconds; decimals are allowed.',
  }),
  /** How long a connection may stay without a verified token; 0 is for ever. */
  authTimeoutMs: setting({
    variable: 'AUTH_TIMEOUT_SECONDS',
    default: '30',
    schema: seconds(0, DAY_SECONDS),
    help: 'How long a websocket may stay without a good token, in seconds; 0 is for ever.',
  }),
  /** Over how long a shutdown spreads the closing of the connections. */
  drainMs: setting({
    variable: 'DRAIN_SECONDS',
    default: '10',
    // A platform such as Heroku kills what has not ended 30 s after SIGTERM.
    schema: seconds(0, 25),
    help: 'Over how many seconds the goodbyes are spread when the server stops; at most 25.',
  }),
  /** Websockets open at a time; 0 is no limit. */
  maxConnections: setting({
    variable: 'MAX_CONNECTIONS',
    default: '0',
    schema: integer(0),
    help: 'How many websockets may be open at a time; 0 is no limit.',
  }),
  maxChannelsPerConnection: setting({
    variable: 'MAX_CHANNELS_PER_CONNECTION',
    default: '1000',
    schema: integer(1),
    help: 'How many channels one websocket may be on.',
  }),
  /** In UTF-16 units. */
  maxChannelLength: setting({
    variable: 'MAX_CHANNEL_LENGTH',
    default: '255',
    schema: integer(1, 65_536),
    help: 'The longest channel name, in UTF-16 units.',
  }),
  /** One websocket message of a client. */
  maxMessageBytes: setting({
    variable: 'MAX_MESSAGE_BYTES',
    default: '65536',
    schema: integer(128, 2 ** 30),
    help: 'The longest message that a websocket client may send.',
  }),
  /** One HTTP request body. */
  maxBodyBytes: setting({
    variable: 'MAX_BODY_BYTES',
    default: '1048576',
    schema: integer(128, 2 ** 28),
    help: 'The longest HTTP body.',
  }),
  /** What may wait for one socket from earlier turns of the event loop. */
  maxBufferedBytes: setting({
    variable: 'MAX_BUFFERED_BYTES',
    default: '4194304',
    schema: integer(1),
    help: 'How many bytes may wait for one slow websocket; at least twice MAX_BODY_BYTES.',
  }),
  /** Undefined is any. */
  allowedOrigins: setting({
    variable: 'ALLOWED_ORIGINS',
    schema: origins(),
    show: (allowed) => ({ allowedOrigins: allowed?.origins ?? 'any' }),
    help: 'The pages that may connect, separated by commas: https://example.com or https://*.example.com.',
  }),
  metrics: setting({
    variable: 'METRICS',
    default: 'false',
    schema: boolean(),
    help: 'With "true" GET /metrics answers Prometheus.',
  }),
  /** The bearer token that `GET /metrics` asks for; undefined asks for none. */
  metricsToken: secretSetting({
    variable: 'METRICS_TOKEN',
    schema: optionalText(),
    show: (token) => ({ metricsToken: token !== undefined }),
    mask: () => 'hidden',
    help: 'The bearer token that GET /metrics asks for; nothing is asked when it is not set.',
  }),
  /** How many proxies in front are believed in `X-Forwarded-For`. */
  trustedProxies: setting({
    variable: 'TRUST_PROXY',
    default: '0',
    schema: integer(0, 100),
    help: 'How many proxies in front are believed in X-Forwarded-For, for the addresses in the log.',
  }),
  enforceTokenExpiry: setting({
    variable: 'ENFORCE_TOKEN_EXPIRY',
    default: 'false',
    schema: boolean(),
    help: 'With "true" a websocket is closed when the first of its channels has no token left that is still good.',
  }),
  // `Config` has the two files as one value, `tls`: see config.ts.
  tlsCertFile: setting({
    variable: 'TLS_CERT_FILE',
    schema: pemPath(),
    show: (certFile) => ({ tls: certFile ?? false }),
    help: 'The certificate, in PEM, with which to serve https and wss; plain http when it is not set.',
  }),
  tlsKeyFile: secretSetting({
    variable: 'TLS_KEY_FILE',
    schema: pemPath(),
    show: () => ({}),
    mask: () => 'hidden',
    help: 'The key of that certificate, in PEM.',
  }),
  compression: setting({
    variable: 'COMPRESSION',
    default: 'false',
    schema: boolean(),
    help: 'With "true" broadcasts are compressed, once for everyone, for clients that offer permessage-deflate.',
  }),
  /** Processes on this machine. */
  processes: setting({
    variable: 'WEB_CONCURRENCY',
    default: '1',
    schema: integer(1, 1_024),
    help: 'How many processes share the work on this machine.',
  }),
  /** The Redis that carries the broadcasts between nodes; undefined is this machine alone. */
  redisUrl: secretSetting({
    variable: 'REDIS_URL',
    schema: redisUrl(),
    // Host and port only: the rest of the URL may hold a password.
    show: (url) => ({ redis: url === undefined ? false : new URL(url).host }),
    mask: maskRedisUrl,
    help: 'The Redis or Valkey that carries broadcasts between machines, as a URL with redis:// or rediss://.',
  }),
  /** Every topic on the bus begins with it. */
  brokerPrefix: setting({
    variable: 'BROKER_PREFIX',
    default: defaultBrokerPrefix,
    schema: z.string(),
    help: 'What every Redis channel name begins with; with database number 2 in REDIS_URL the default is bifrost:2: instead.',
  }),
  /** Whether connections are closed when the broker is lost, so that clients come back and reload. */
  reconnectOnBrokerLoss: setting({
    variable: 'ON_BROKER_LOSS',
    default: 'keep',
    schema: oneOf(['keep', 'reconnect'], 'must be keep or reconnect').transform(
      (text) => text === 'reconnect',
    ),
    help: 'With "reconnect" clients are closed when Redis is lost, so that they come back and reload; "keep" keeps them.',
  }),
  /** Where the newest broadcasts are kept, for clients that come back. */
  history: setting({
    variable: 'HISTORY',
    default: defaultHistory,
    schema: oneOf(['memory', 'redis', 'off'], 'must be memory, redis or off'),
    help: 'Where the newest broadcasts are kept for clients that come back: memory, redis or off; off is the default with REDIS_URL.',
  }),
  historyMessages: setting({
    variable: 'HISTORY_MESSAGES',
    default: '100',
    schema: integer(1, 10_000),
    help: 'How many broadcasts of each channel are kept.',
  }),
  /** How long a broadcast is kept. */
  historyMs: setting({
    variable: 'HISTORY_SECONDS',
    default: '300',
    schema: seconds(1, DAY_SECONDS),
    help: 'How long a broadcast is kept, in seconds.',
  }),
  /** Of `HISTORY=memory` only: what all kept broadcasts may take together. */
  historyBytes: setting({
    variable: 'HISTORY_BYTES',
    default: '67108864',
    schema: integer(2 ** 20, 2 ** 40),
    help: 'How many bytes HISTORY=memory may keep in all.',
  }),
  /** Where `HISTORY=memory` survives a restart; undefined is nowhere. */
  historyFile: setting({
    variable: 'HISTORY_FILE',
    schema: optionalText(),
    show: (file) => ({ historyFile: file ?? false }),
    help: 'The file in which HISTORY=memory survives a restart; it must be on a disk that survives it too.',
  }),
  /** Whether a token in the upgrade request authenticates. */
  tokenAtConnect: setting({
    variable: 'TOKEN_AT_CONNECT',
    default: 'false',
    schema: boolean(),
    help: 'With "true" a client that is no browser may authenticate with "Authorization: Bearer" on its upgrade.',
  }),
};

/** The value of every row. */
export type Settings = {
  readonly [Key in keyof typeof settings]: z.output<(typeof settings)[Key]['schema']>;
};

/** The rows of the table with their keys, for whoever walks all of them. */
export const settingRows: readonly (readonly [key: string, row: Setting<unknown>])[] =
  Object.entries(settings);

/** The names of all variables, each once. */
export const variableNames: readonly string[] = [
  ...new Set(settingRows.map(([, { variable }]) => variable)),
];
