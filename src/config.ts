import { z } from 'zod';

/** The settings of one server. Made by `loadConfig`, from the environment alone. */
export type Config = Readonly<{
  /** HS512 key, shared with the app servers: the UTF-8 bytes of this text. */
  jwtSecret: string;
  /** 0 lets the system choose. */
  port: number;
  /** Undefined is every interface. */
  host: string | undefined;
  pingIntervalMs: number;
  /** One websocket message of a client. */
  maxMessageBytes: number;
  /** One HTTP request body. */
  maxBodyBytes: number;
  /** In UTF-16 units. */
  maxChannelLength: number;
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

const DAY = 86_400;

/** Every variable that the server reads, in the order of the README. */
const variables = z.object({
  JWT_SECRET: z.string({ error: 'is required' }),
  PORT: integer(3000, 0, 65_535),
  HOST: z.string().optional(),
  NODE_ENV: z.string().optional(),
  PING_INTERVAL_SECONDS: seconds(15, 0.1, DAY),
  MAX_CHANNEL_LENGTH: integer(255, 1, 65_536),
  MAX_MESSAGE_BYTES: integer(65_536, 128, 2 ** 30),
  MAX_BODY_BYTES: integer(1_048_576, 128, 2 ** 28),
});

/** The names of all variables that `loadConfig` reads. */
export const variableNames: readonly string[] = Object.keys(variables.shape);

/** Environment → configuration, or a `ConfigError` that lists every problem. An empty variable is like none. */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = variables.safeParse(set);
  if (!parsed.success) {
    throw new ConfigError(
      parsed.error.issues.map(({ path, message }) => {
        const name = String(path[0]);
        // The secret is never repeated, and what is missing has nothing to repeat.
        const got = set[name] === undefined ? '' : `, got ${JSON.stringify(set[name])}`;
        return `${name} ${message}${got}`;
      }),
    );
  }

  const { data } = parsed;
  return Object.freeze({
    jwtSecret: data.JWT_SECRET,
    port: data.PORT,
    host: data.HOST,
    pingIntervalMs: data.PING_INTERVAL_SECONDS,
    maxMessageBytes: data.MAX_MESSAGE_BYTES,
    maxBodyBytes: data.MAX_BODY_BYTES,
    maxChannelLength: data.MAX_CHANNEL_LENGTH,
  });
}
