import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { ConfigError, loadConfig } from '../config/config.ts';
import { describeConfig } from '../config/describe-config.ts';
import { type Environment, readEnvironment } from '../config/environment.ts';
import { isProduction } from '../config/node-env.ts';
import { VERSION } from '../config/version.ts';
import { environmentWarnings, unsafeSettings } from '../config/warnings.ts';
import { isObject, parseJson } from '../protocol/json.ts';
import {
  createClient,
  failureText,
  MINUTE_SECONDS,
  postBroadcast,
  requireSecret,
  signSubscription,
  toLine,
  UsageError,
} from './client.ts';
import { listen } from './listen.ts';

/** A subcommand. `run` throws to fail: a `UsageError` when it was called wrongly, else anything. */
interface Command {
  readonly summary: string;
  /** What `--help` says; the first line is how it is called. */
  readonly help: string;
  readonly run: (args: string[]) => void | Promise<void>;
}

const SUCCESS = 0;
const FAILURE = 1;
const WRONG_USAGE = 2;

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  [
    'start',
    {
      summary: 'run the server',
      help: `bifrost start

Runs the server, like npm start. Outside production it makes a JWT_SECRET when there is none, and keeps it in .env.`,
      async run(args) {
        parse(args, {}, false);
        await import('../start.ts');
      },
    },
  ],
  [
    'secret',
    {
      summary: 'print a random JWT_SECRET',
      help: `bifrost secret

Prints 64 random bytes in hexadecimal: a good JWT_SECRET.`,
      run(args) {
        parse(args, {}, false);
        console.log(randomBytes(64).toString('hex'));
      },
    },
  ],
  [
    'token',
    {
      summary: 'print a token to subscribe with',
      help: `bifrost token --channel NAME [--channel NAME …] [--expires TIME]

Prints a token with which a websocket may subscribe to these channels.

  -c, --channel NAME  a channel; may be repeated
  -e, --expires TIME  how long it lives: a number and s, m, h or d, such as 90s or 1h (default: 60s)`,
      run(args) {
        const { values } = parse(
          args,
          {
            channel: { type: 'string', short: 'c', multiple: true },
            expires: { type: 'string', short: 'e' },
          },
          false,
        );
        const { channel: channels = [], expires } = values;
        if (channels.length === 0) throw new UsageError('--channel is missing');
        const seconds = expires === undefined ? MINUTE_SECONDS : parseDuration(expires);
        console.log(signSubscription(channels, requireSecret(environment()), seconds));
      },
    },
  ],
  [
    'broadcast',
    {
      summary: 'send a message to a channel',
      help: `bifrost broadcast CHANNEL MESSAGE [--url URL]

Sends MESSAGE, the text of a JSON object, as it stands, and prints how many sockets it was handed to.

  -u, --url URL  the server (default: this machine, by PORT)

bifrost broadcast user:1 '{"event":"new_item","data":"{}"}'`,
      async run(args) {
        const { values, positionals } = parse(args, { url: URL_OPTION }, true);
        const [channel, message, ...others] = positionals;
        if (channel === undefined || message === undefined || others.length > 0) {
          throw new UsageError('takes a channel and a message, in quotes');
        }
        await broadcast(channel, message, values.url);
      },
    },
  ],
  [
    'listen',
    {
      summary: 'print the messages of channels as they come',
      help: `bifrost listen CHANNEL [CHANNEL …] [--url URL]

Prints every message of the channels, each on a line, until Ctrl-C. What happens to the connection goes to standard
error. When it breaks, it is made again, unless the server says that there is no point.

  -u, --url URL  the server (default: this machine, by PORT)`,
      async run(args) {
        const { values, positionals: channels } = parse(args, { url: URL_OPTION }, true);
        if (channels.length === 0) throw new UsageError('takes at least one channel');
        const { secret, url } = createClient(environment(), values.url);
        await listen({
          url,
          channels,
          signToken: () => signSubscription(channels, secret),
          onMessage: (line) => console.log(line),
          onState: (line) => console.error(line),
          signal: endOfListening(),
        });
      },
    },
  ],
  [
    'check',
    {
      summary: 'check the configuration',
      help: `bifrost check

Prints the configuration that the server would start with, without its secrets, or everything that is wrong with it.`,
      run(args) {
        parse(args, {}, false);
        check(readEnvironment(process.env, resolve('.env')));
      },
    },
  ],
] satisfies [string, Command][]);

const URL_OPTION = { type: 'string', short: 'u' } as const;

const HELP = `bifrost COMMAND

${[...COMMANDS].map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`).join('\n')}

  -h, --help     says more about a command
  -v, --version  prints the version

It reads the same environment variables as the server, and .env in the current folder. Exit codes: ${SUCCESS} when all is
well, ${FAILURE} when something failed, ${WRONG_USAGE} when it was called in a way that it does not know.`;

function parse<const Options extends NonNullable<ParseArgsConfig['options']>>(
  args: string[],
  options: Options,
  allowPositionals: boolean,
) {
  return parseArgs({ args, options, allowPositionals, strict: true });
}

/** "90s" → 90. */
function parseDuration(text: string): number {
  const [, amount, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const seconds = Number(amount) * ({ s: 1, m: 60, h: 3_600, d: 86_400 }[unit ?? ''] ?? Number.NaN);
  if (seconds > 0) return seconds;
  throw new UsageError('--expires must be a number and s, m, h or d, such as 90s or 1h');
}

function environment(): Record<string, string> {
  const { variables, problems } = readEnvironment(process.env, resolve('.env'));
  if (problems.length > 0) throw new ConfigError(problems);
  return variables;
}

async function broadcast(channel: string, message: string, url?: string): Promise<void> {
  if (!isObject(parseJson(message))) throw new UsageError('the message must be a JSON object');

  const { deliveries, partial } = await postBroadcast(
    createClient(environment(), url),
    channel,
    message,
  );
  console.log(deliveries);
  if (partial) console.error('A server did not confirm in time: there may be more.');
}

/** Aborted by Ctrl-C, by SIGTERM, and when whoever reads the messages has gone. A second Ctrl-C ends at once. */
function endOfListening(): AbortSignal {
  const controller = new AbortController();
  const end = () => controller.abort();
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  process.stdout.once('error', end);
  return controller.signal;
}

function check({ variables: env, problems }: Environment): void {
  // They come first: one of them may be the cause of a problem.
  printWarnings(environmentWarnings(env));
  const makesSecret = !env['JWT_SECRET'] && !isProduction(env['NODE_ENV']);
  const willBe = makesSecret ? { JWT_SECRET: randomBytes(64).toString('hex') } : {};
  const config = loadConfig({ ...env, ...willBe }, problems);
  console.log(JSON.stringify(describeConfig(config), null, 2));
  if (makesSecret)
    console.error('JWT_SECRET is not set: the server makes one and keeps it in .env');
  printWarnings(unsafeSettings(config));
}

function printWarnings(warnings: readonly string[]): void {
  for (const warning of warnings) console.error(`Warning: ${warning}`);
}

async function main(args: string[]): Promise<number> {
  const [name = '', ...rest] = args;
  const command = COMMANDS.get(name);
  if (command === undefined) return outsideCommands(name);

  const end = rest.indexOf('--');
  const options = end === -1 ? rest : rest.slice(0, end);
  if (options.includes('--help') || options.includes('-h')) {
    console.log(command.help);
    return SUCCESS;
  }

  try {
    await command.run(rest);
    return SUCCESS;
  } catch (error) {
    if (error instanceof ConfigError) {
      // A line for each problem.
      console.error(error.message);
      return FAILURE;
    }
    const isUsage = error instanceof UsageError || isParseArgsError(error);
    const text = toLine(error instanceof Error ? error.message : String(error));
    const more = isUsage ? ` (bifrost ${name} --help says more)` : '';
    console.error(`bifrost ${name}: ${text}${more}`);
    return isUsage ? WRONG_USAGE : FAILURE;
  }
}

function outsideCommands(name: string): number {
  switch (name) {
    case '--help':
    case '-h':
      console.log(HELP);
      return SUCCESS;
    case '--version':
    case '-v':
      console.log(VERSION);
      return SUCCESS;
    default: {
      const problem =
        name === '' ? 'a command is missing' : `there is no command "${toLine(name)}"`;
      console.error(`bifrost: ${problem} (bifrost --help lists them)`);
      return WRONG_USAGE;
    }
  }
}

function isParseArgsError(error: unknown): boolean {
  return (
    error instanceof Error && String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE')
  );
}

// Whoever reads may stop reading, as "head" does: that is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return;
  console.error(`bifrost: cannot write: ${failureText(error)}`);
  process.exitCode = FAILURE;
});
const code = await main(process.argv.slice(2));
// The server says itself how it ended.
if (code !== SUCCESS) process.exitCode = code;
