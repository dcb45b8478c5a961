import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { loadConfig } from '../config/config.ts';
import { type Environment, readEnvironment } from '../config/environment.ts';
import { isProduction } from '../config/node-env.ts';
import { environmentWarnings, unsafeSettings } from '../config/warnings.ts';
import { parseOptions } from './arguments.ts';
import { checkServer } from './check/server-checks.ts';
import { settingLines } from './check/setting-lines.ts';
import { type Command, URL_OPTION } from './command.ts';
import { toLine } from './one-line.ts';
import { findTarget, findUrl } from './target.ts';

export const check: Command = {
  summary: 'check the configuration, and a running server',
  help: `bifrost check [--strict] [--url URL]

Prints every variable with which the server would start here, where its value comes from (environment, .env, default),
and the value. Secrets are hidden. Or else it prints everything that is wrong. Warnings go to standard error.

With --url it also asks a running server: whether it is well, whether its clock agrees with this one, whether it takes a
token signed with this JWT_SECRET, and whether a broadcast arrives, on a channel that nobody else is on. Each answer is a
line that begins with "ok" or "failed", and what failed has a hint.

  -s, --strict   takes a warning for a failure
  -u, --url URL  the server, such as http://localhost:3000 or https://example.com

Exit codes: 0 when all is well, 1 when the configuration cannot be used, the server failed or, with --strict, something
was warned of, 2 when it was called in a way that it does not know.`,
  async run(args) {
    const { strict = false, url } = parseOptions(args, {
      strict: { type: 'boolean', short: 's' },
      url: URL_OPTION,
    });
    const environment = readEnvironment(process.env, resolve('.env'));
    // A URL that is none is told before anything is printed.
    if (url !== undefined) findUrl(environment.variables, url);
    const warnings = checkConfiguration(environment);
    const failures = url === undefined ? 0 : await printServerChecks(environment, url);
    if (failures > 0) throw new Error(`${url} failed ${count(failures, 'check')}`);
    if (strict && warnings > 0) throw new Error(`${count(warnings, 'warning')}, and --strict`);
  },
};

/** Prints the configuration and its warnings; returns how many there are. Throws when it cannot be used. */
function checkConfiguration(environment: Environment): number {
  const { variables: env, problems } = environment;
  // The warnings come first: a misspelled variable may be the cause of a problem.
  const early = environmentWarnings(env);
  printWarnings(early);
  const makesSecret = !env['JWT_SECRET'] && !isProduction(env['NODE_ENV']);
  const secret = makesSecret ? { JWT_SECRET: randomBytes(64).toString('hex') } : {};
  const config = loadConfig({ ...env, ...secret }, problems);
  console.log(settingLines(environment).join('\n'));
  if (makesSecret) {
    console.error('JWT_SECRET is not set: the server makes one and keeps it in .env');
  }
  const unsafe = unsafeSettings(config);
  printWarnings(unsafe);
  return early.length + unsafe.length;
}

/** Asks the server and prints a line for each answer; resolves to how many failed. */
async function printServerChecks({ variables }: Environment, url: string): Promise<number> {
  let failures = 0;
  for await (const { name, ok, text } of checkServer(findTarget(variables, url))) {
    console.log(`${ok ? 'ok    ' : 'failed'}  ${name}: ${toLine(text)}`);
    if (!ok) failures += 1;
  }
  return failures;
}

function printWarnings(warnings: readonly string[]): void {
  for (const warning of warnings) console.error(`Warning: ${warning}`);
}

function count(number: number, noun: string): string {
  return number === 1 ? `1 ${noun}` : `${number} ${noun}s`;
}
