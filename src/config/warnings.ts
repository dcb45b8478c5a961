import type { Config } from './config.ts';
import { correctSpelling } from './misspelling.ts';
import { nodeEnvWarning } from './node-env.ts';
import { variableNames } from './settings.ts';

/** Warnings of variables that are probably mistakes. Values of secrets are never shown. */
export function environmentWarnings(env: Readonly<Record<string, string>>): string[] {
  return [
    nodeEnvWarning(env['NODE_ENV']),
    whiteSpaceWarning(env),
    historyWarning(env),
    ...misspellingWarnings(env),
  ].filter((warning) => warning !== undefined);
}

/** One typo is allowed per this many letters. Short names get none: POST is not a misspelled PORT. */
const LETTERS_PER_TYPO = 7;

function misspellingWarnings(env: Readonly<Record<string, string>>): string[] {
  return Object.keys(env).flatMap((name) => {
    if (variableNames.includes(name)) return [];
    const meant = correctSpelling(name, variableNames, LETTERS_PER_TYPO);
    return meant === undefined ? [] : [`${name} is not read: is ${meant} meant?`];
  });
}

/** A Kubernetes secret made with `echo` ends in a line break. Every token would be refused. */
function whiteSpaceWarning({ JWT_SECRET: secret = '' }: Readonly<Record<string, string>>) {
  if (secret === secret.trim()) return undefined;
  return 'JWT_SECRET begins or ends with white space, which is part of the secret';
}

/** One process keeps a history unless told otherwise. Who adds Redis would lose it unnoticed. */
function historyWarning({ REDIS_URL, HISTORY }: Readonly<Record<string, string>>) {
  if (!REDIS_URL || HISTORY) return undefined;
  return 'REDIS_URL without HISTORY: clients that come back cannot recover what they missed; set HISTORY=redis, or HISTORY=off if they need not';
}

/** RFC 7518 §3.2: an HS512 key must be at least as long as the hash. */
const RECOMMENDED_SECRET_BYTES = 64;

/** Warnings of settings that are unsafe on the internet. */
export function unsafeSettings(config: Config): string[] {
  const warnings: string[] = [];
  if (Buffer.byteLength(config.jwtSecret) < RECOMMENDED_SECRET_BYTES) {
    warnings.push(`JWT_SECRET should be at least ${RECOMMENDED_SECRET_BYTES} bytes long`);
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
