/** What `NODE_ENV` may say when this is not production. */
const NOT_PRODUCTION: readonly (string | undefined)[] = ['development', 'test', '', undefined];

/** Whether the server runs as in production. An unknown `NODE_ENV` counts as such: `Production` must not be lax. */
export function isProduction(nodeEnv: string | undefined): boolean {
  return !NOT_PRODUCTION.includes(nodeEnv);
}

/** Warns of a `NODE_ENV` that is unknown; undefined when there is nothing to say. */
export function nodeEnvWarning(nodeEnv: string | undefined): string | undefined {
  if (nodeEnv === 'production' || !isProduction(nodeEnv)) return undefined;
  return `NODE_ENV=${JSON.stringify(nodeEnv)} is treated like production: only production, development and test are known`;
}
