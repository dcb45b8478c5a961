import type { ConfigError } from '../config/config.ts';
import type { Environment } from '../config/environment.ts';
import { isProduction } from '../config/node-env.ts';
import { environmentWarnings } from '../config/warnings.ts';
import { createLog } from '../telemetry/log.ts';
import { output, writeError } from './output.ts';

const SECRET_ADVICE =
  'set JWT_SECRET to what "npx --no-install bifrost secret" prints, and give your app servers the same';

/**
 * Says why the server does not start or cannot go on: in production as one line of the log, otherwise as text on standard
 * error. LOG_LEVEL is not used here: it may be the invalid setting, or "silent". `fields` are for the log only.
 */
export async function reportFailure(
  inProduction: boolean,
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  if (!inProduction) {
    writeError(message);
    return;
  }
  const log = await createLog({ level: 'fatal', pretty: false }, output);
  log.fatal(fields, message);
}

/** Reports every problem of a configuration; as text, one line each. `notice` is about the secret. */
export async function reportInvalidConfig(
  error: ConfigError,
  env: Environment['variables'],
  notice: string | undefined,
): Promise<void> {
  const { problems } = error;
  const warnings = environmentWarnings(env);
  const advice = env['JWT_SECRET'] ? undefined : SECRET_ADVICE;
  if (isProduction(env['NODE_ENV'])) {
    await reportFailure(true, 'Invalid configuration', { problems, warnings, advice });
    return;
  }
  if (notice !== undefined) writeError(notice);
  writeError(error.message);
  for (const warning of warnings) writeError(`Warning: ${warning}`);
  if (advice !== undefined) writeError(`Please ${advice}`);
}
