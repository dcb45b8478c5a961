import { variableNames } from './config.ts';
import { findMeant } from './misspelling.ts';
import { nodeEnvWarning } from './node-env.ts';

/** What was most likely not meant as it is set, a sentence each. Values of secrets are never shown. */
export function environmentWarnings(env: Readonly<Record<string, string>>): string[] {
  return [
    nodeEnvWarning(env['NODE_ENV']),
    whiteSpaceWarning(env),
    ...misspellingWarnings(env),
  ].filter((warning) => warning !== undefined);
}

function misspellingWarnings(env: Readonly<Record<string, string>>): string[] {
  return Object.keys(env).flatMap((name) => {
    if (variableNames.includes(name)) return [];
    const meant = findMeant(name, variableNames);
    return meant === undefined ? [] : [`${name} is not read: is ${meant} meant?`];
  });
}

/** A Kubernetes secret that was made with `echo` ends in a line break, and every token is refused. */
function whiteSpaceWarning({ JWT_SECRET: secret = '' }: Readonly<Record<string, string>>) {
  if (secret === secret.trim()) return undefined;
  return 'JWT_SECRET begins or ends with white space, which is part of the secret';
}
