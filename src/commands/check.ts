import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { loadConfig } from '../config/config.ts';
import { describeConfig } from '../config/describe-config.ts';
import { readEnvironment } from '../config/environment.ts';
import { isProduction } from '../config/node-env.ts';
import { environmentWarnings, unsafeSettings } from '../config/warnings.ts';
import { type Command, parseOptions } from './command.ts';

export const check: Command = {
  summary: 'check the configuration',
  help: `bifrost check

Prints the configuration that the server would start with, without its secrets, or everything that is wrong with it.`,
  run(args) {
    parseOptions(args, {});
    const { variables: env, problems } = readEnvironment(process.env, resolve('.env'));
    // The warnings come first: a misspelled variable may be the cause of a problem.
    printWarnings(environmentWarnings(env));
    const makesSecret = !env['JWT_SECRET'] && !isProduction(env['NODE_ENV']);
    const secret = makesSecret ? { JWT_SECRET: randomBytes(64).toString('hex') } : {};
    const config = loadConfig({ ...env, ...secret }, problems);
    console.log(JSON.stringify(describeConfig(config), null, 2));
    if (makesSecret) {
      console.error('JWT_SECRET is not set: the server makes one and keeps it in .env');
    }
    printWarnings(unsafeSettings(config));
  },
};

function printWarnings(warnings: readonly string[]): void {
  for (const warning of warnings) console.error(`Warning: ${warning}`);
}
