import { randomBytes } from 'node:crypto';
import { createDevelopmentSecret } from '../config/development-secret.ts';
import type { Environment } from '../config/environment.ts';
import { isProduction } from '../config/node-env.ts';

/**
 * Outside production, creates a missing JWT_SECRET and keeps it in the `.env` file at `path`. Returns a notice about it
 * for the operator; undefined if nothing was created. When it could not be kept the secret is still missing.
 */
export function ensureSecret(
  { variables: env, problems }: Environment,
  path: string,
): string | undefined {
  if (env['JWT_SECRET'] || isProduction(env['NODE_ENV'])) return undefined;
  if (problems.length > 0) {
    // The unusable .env may contain a secret. A placeholder keeps the list of problems from saying that it is missing;
    // the start fails, so it is never used.
    env['JWT_SECRET'] = randomBytes(64).toString('hex');
    return undefined;
  }
  try {
    env['JWT_SECRET'] = createDevelopmentSecret(path);
    return `JWT_SECRET was not set: a random one is now in ${path}`;
  } catch (error) {
    return `JWT_SECRET was not set, and ${path} cannot be written: ${(error as Error).message}`;
  }
}
