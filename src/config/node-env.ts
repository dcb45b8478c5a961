/** The values of `NODE_ENV` that do not mean production. */
const NOT_PRODUCTION: readonly (string | undefined)[] = ['development', 'test', '', undefined];

/** Whether the server runs as in production. So does an unknown `NODE_ENV`: a typo must not weaken the checks. */
export function isProduction(nodeEnv: string | undefined): boolean {
  return !NOT_PRODUCTION.includes(nodeEnv);
}

/** A warning if `NODE_ENV` is unknown. */
export function nodeEnvWarning(nodeEnv: string | undefined): string | undefined {
  if (nodeEnv === 'production' || !isProduction(nodeEnv)) return undefined;
  return `NODE_ENV=${JSON.stringify(nodeEnv)} is treated like production: only production, development and test are known`;
}
