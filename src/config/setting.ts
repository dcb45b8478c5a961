import { z } from 'zod';
import { AllowedOrigins } from '../auth/allowed-origins.ts';

/** The variables that are set, by name. Empty ones are left out. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** One row of the table in `settings.ts`. */
export interface Setting<Value> {
  /** Its environment variable. */
  readonly variable: string;
  /** What the variable is when it is not set; a function where that depends on others. Without one it has no text. */
  readonly default?: string | ((others: Variables) => string);
  /** The variable's text → value. A problem completes the sentence "VARIABLE …". */
  readonly schema: z.ZodType<Value>;
  /**
   * What `bifrost check` may show of the variable's text, which must never be shown itself; without it, all of it.
   * Called with texts that the schema has taken.
   */
  mask?(text: string): string;
  /**
   * What the log shows; without it, the value under the setting's own key.
   * Needed where the value may be undefined, which JSON leaves out.
   */
  show?(value: Value): Readonly<Record<string, unknown>>;
  /** What `.env.example` says of the variable, in one sentence. A second row of the same variable has none. */
  readonly help?: string;
}

export function setting<Value>(row: Setting<Value>): Setting<Value> {
  return row;
}

/** A setting whose text is never shown. It does not compile until it says what is shown instead. */
export function secretSetting<Value>(
  row: Setting<Value> & Required<Pick<Setting<Value>, 'show' | 'mask'>>,
): Setting<Value> {
  return row;
}

/** Any text, or undefined when the variable is not set. */
export function optionalText() {
  return z.string().optional();
}

/** The path of a file in PEM. What stands in such a file is often put in its place, and a path is shown in errors. */
export function pemPath() {
  return z
    .string()
    .refine((text) => !text.includes('-----BEGIN'), {
      error: 'must be the path of a file, not what is in it',
    })
    .optional();
}

/** `problem` completes the sentence "VARIABLE …". */
function number(problem: string, accepts: (value: number) => boolean) {
  return z
    .string()
    .refine((text) => /^\d+(\.\d+)?$/.test(text) && accepts(Number(text)), { error: problem })
    .transform(Number);
}

/** From `min` to `max`, both included. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return number(
    `must be an integer ${range}`,
    (value) => Number.isSafeInteger(value) && value >= min && value <= max,
  );
}

/** Seconds from `min` to `max`, decimals allowed → milliseconds. */
export function seconds(min: number, max: number) {
  return number(
    `must be a number of seconds from ${min} to ${max}`,
    (value) => value >= min && value <= max,
  ).transform((value) => value * 1_000);
}

export function boolean() {
  return oneOf(['true', 'false'], 'must be true or false').transform((text) => text === 'true');
}

/** `problem` completes the sentence "VARIABLE …". */
export function oneOf<const Text extends string>(texts: readonly Text[], problem: string) {
  return z.enum(texts, { error: problem });
}

/** Comma-separated. White space around an entry is removed; empty entries are dropped. */
export function list() {
  return z
    .string()
    .default('')
    .transform((text) => text.split(',').map((entry) => entry.trim()))
    .transform((entries) => entries.filter((entry) => entry !== ''));
}

/** A list of origins, or undefined when it is empty. */
export function origins() {
  return list().transform((entries, context) => {
    try {
      return entries.length === 0 ? undefined : new AllowedOrigins(entries);
    } catch {
      context.addIssue({
        code: 'custom',
        message:
          'must be a comma-separated list of origins such as https://example.com or https://*.example.com',
      });
      return z.NEVER;
    }
  });
}

export function redisUrl() {
  return z
    .string()
    .refine(isRedisUrl, { error: 'must be a URL that begins with redis:// or rediss://' })
    .optional();
}

/** A Redis URL without user, password and query. */
export function maskRedisUrl(text: string): string {
  const { protocol, username, password, host, pathname, search, hash } = new URL(text);
  const user = username + password === '' ? '' : '…@';
  const query = search + hash === '' ? '' : '?…';
  return `${protocol}//${user}${host}${pathname}${query}`;
}

/** The path of a Redis URL is the number of a database. */
function isRedisUrl(text: string): boolean {
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return false;
  return /^\/?\d*$/.test(new URL(text).pathname);
}

/** Redis pub/sub ignores database numbers, so two installations with different numbers need different prefixes. */
export function defaultBrokerPrefix({ REDIS_URL: url }: Variables): string {
  const database =
    url === undefined || !isRedisUrl(url) ? 0 : Number(new URL(url).pathname.slice(1));
  return database === 0 ? 'bifrost:' : `bifrost:${database}:`;
}

/** Nodes that share broadcasts must share their history too. Redis keeps one only when asked: it takes its memory. */
export function defaultHistory({ REDIS_URL: url }: Variables): string {
  return url === undefined ? 'memory' : 'off';
}
