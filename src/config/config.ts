import { type CertificateFiles, readCertificate } from './certificate.ts';
import type { Setting, Variables } from './setting.ts';
import { type Settings, settingRows } from './settings.ts';

/**
 * The settings of one server, made by `loadConfig` from the environment alone.
 * The definition of a key is its row in `settings.ts`.
 */
export interface Config extends Omit<Settings, 'tlsCertFile' | 'tlsKeyFile'> {
  /** Serve https and wss with this certificate; undefined is plain http. */
  readonly tls: CertificateFiles | undefined;
}

/** Lists every problem of an environment for the operator. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`Invalid configuration:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/**
 * Environment → configuration. An empty variable counts as not set.
 * Throws a `ConfigError` that lists every problem, `knownProblems` first.
 */
export function loadConfig(env: Variables, knownProblems: readonly string[] = []): Config {
  const set = Object.fromEntries(Object.entries(env).filter(([, text]) => text !== ''));
  const values: Record<string, unknown> = {};
  const problems = [...knownProblems];
  for (const [key, row] of settingRows) {
    const parsed = row.schema.safeParse(set[row.variable] ?? defaultText(row, set));
    if (parsed.success) values[key] = parsed.data;
    else problems.push(...parsed.error.issues.map(({ message }) => describe(row, message, set)));
  }
  // Each value comes from the schema of its key, which is how `Settings` is defined.
  problems.push(...problemsBetween(values as Partial<Settings>));
  if (problems.length > 0) throw new ConfigError(problems);

  const { tlsCertFile, tlsKeyFile, ...rest } = values as Settings;
  const isTls = tlsCertFile !== undefined && tlsKeyFile !== undefined;
  const tls = isTls ? { certFile: tlsCertFile, keyFile: tlsKeyFile } : undefined;
  return Object.freeze({ ...rest, tls });
}

/** The text that counts when the variable is not set. */
export function defaultText(row: Setting<unknown>, others: Variables): string | undefined {
  return typeof row.default === 'function' ? row.default(others) : row.default;
}

function describe({ variable, mask }: Setting<unknown>, message: string, set: Variables): string {
  const text = set[variable];
  const got = text === undefined || mask ? '' : `, got ${JSON.stringify(text)}`;
  return `${variable} ${message}${got}`;
}

/** Problems of values that are valid by themselves and do not go together. A value with a problem is left out. */
function problemsBetween(values: Partial<Settings>): string[] {
  return [
    secretProblem(values),
    tlsProblem(values),
    bufferProblem(values),
    historyProblem(values),
    historyFileProblem(values),
  ].filter((problem) => problem !== undefined);
}

/** Anyone who has one token can guess a shorter secret offline. */
const MIN_SECRET_BYTES = 16;

function secretProblem({ jwtSecret, production }: Partial<Settings>): string | undefined {
  if (jwtSecret === undefined || !production) return undefined;
  if (Buffer.byteLength(jwtSecret) >= MIN_SECRET_BYTES) return undefined;
  return `JWT_SECRET must be at least ${MIN_SECRET_BYTES} bytes long in production`;
}

function tlsProblem(values: Partial<Settings>): string | undefined {
  // One that cannot be used is a problem by itself.
  if (!('tlsCertFile' in values && 'tlsKeyFile' in values)) return undefined;
  const { tlsCertFile, tlsKeyFile } = values;
  if (tlsCertFile === undefined && tlsKeyFile === undefined) return undefined;
  if (tlsCertFile === undefined || tlsKeyFile === undefined) {
    return 'TLS_CERT_FILE and TLS_KEY_FILE go together';
  }
  try {
    readCertificate({ certFile: tlsCertFile, keyFile: tlsKeyFile });
    return undefined;
  } catch (error) {
    const why = (error as Error).message;
    return `TLS_CERT_FILE and TLS_KEY_FILE must be a certificate and its key (${why})`;
  }
}

/** One broadcast may be as large as a body. A subscriber that is one broadcast behind must not count as slow. */
function bufferProblem({ maxBodyBytes, maxBufferedBytes }: Partial<Settings>): string | undefined {
  if (maxBodyBytes === undefined || maxBufferedBytes === undefined) return undefined;
  if (maxBufferedBytes >= 2 * maxBodyBytes) return undefined;
  return `MAX_BUFFERED_BYTES must be at least twice MAX_BODY_BYTES, ${2 * maxBodyBytes}, got "${maxBufferedBytes}"`;
}

function historyProblem(values: Partial<Settings>): string | undefined {
  // A REDIS_URL that cannot be used is a problem by itself.
  if (!('redisUrl' in values)) return undefined;
  const { history, redisUrl } = values;
  if (history === 'memory' && redisUrl !== undefined) {
    return 'HISTORY=memory cannot be used with REDIS_URL: nodes must share their history, so set redis or off';
  }
  if (history === 'redis' && redisUrl === undefined) return 'HISTORY=redis needs REDIS_URL';
  return undefined;
}

function historyFileProblem({ history, historyFile }: Partial<Settings>): string | undefined {
  if (history === undefined || history === 'memory' || historyFile === undefined) return undefined;
  return `HISTORY_FILE needs HISTORY=memory, but HISTORY is ${history}`;
}
