import { ConfigError } from '../config/config.ts';
import { VERSION } from '../config/version.ts';
import { type Command, UsageError } from './command.ts';
import { COMMANDS } from './commands.ts';
import { didYouMean } from './did-you-mean.ts';
import { failureText, toLine } from './one-line.ts';

const SUCCESS = 0;
const FAILURE = 1;
const WRONG_USAGE = 2;

const HELP = `bifrost COMMAND

${[...COMMANDS].map(([name, { summary }]) => `  ${name.padEnd(11)} ${summary}`).join('\n')}

  -h, --help     says more about a command, as does bifrost help COMMAND
  -v, --version  prints the version

All but secret and test-server read the same environment variables as the server, and .env in the current folder. Results
go to standard output, everything else to standard error. Exit codes: ${SUCCESS} when all is well, ${FAILURE} when something failed,
${WRONG_USAGE} when it was called in a way that it does not know.`;

/** What may stand in the place of a command. */
const HELP_NAMES = ['help', '--help', '-h'];
const VERSION_NAMES = ['--version', '-v'];

/** Runs the command that the arguments name. Returns the exit code. */
async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) return printHelp([]);
  if (HELP_NAMES.includes(name)) return printHelp(rest);
  if (VERSION_NAMES.includes(name)) {
    console.log(VERSION);
    return SUCCESS;
  }
  const command = COMMANDS.get(name);
  if (command === undefined) return refuseName(name);

  const end = rest.indexOf('--');
  const options = end === -1 ? rest : rest.slice(0, end);
  if (options.includes('--help') || options.includes('-h')) return printHelp([name]);
  return runCommand(name, command, rest);
}

/** Prints the help of the first of these commands, or without one the list of all. */
function printHelp([name]: readonly string[]): number {
  if (name === undefined || HELP_NAMES.includes(name)) {
    console.log(HELP);
    return SUCCESS;
  }
  const command = COMMANDS.get(name);
  if (command === undefined) return refuseName(name);
  console.log(command.help);
  return SUCCESS;
}

/** Answers a name that is no command's. */
function refuseName(name: string): number {
  const isOption = name.startsWith('-');
  const known = isOption ? [...HELP_NAMES, ...VERSION_NAMES] : [...COMMANDS.keys(), 'help'];
  const what = isOption ? `option ${toLine(name)}` : `command "${toLine(name)}"`;
  console.error(`bifrost: there is no ${what}${didYouMean(name, known)} (bifrost help lists them)`);
  return WRONG_USAGE;
}

async function runCommand(name: string, command: Command, args: string[]): Promise<number> {
  try {
    await command.run(args);
    return SUCCESS;
  } catch (error) {
    if (error instanceof ConfigError) {
      // Its message has one line per problem.
      console.error(error.message);
      return FAILURE;
    }
    const isUsage = error instanceof UsageError;
    const text = toLine(error instanceof Error ? error.message : String(error));
    const more = isUsage ? ` (bifrost ${name} --help says more)` : '';
    console.error(`bifrost ${name}: ${text}${more}`);
    return isUsage ? WRONG_USAGE : FAILURE;
  }
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader of a pipe may stop reading, as `head` does. That is not a failure.
  if (error.code === 'EPIPE') return;
  console.error(`bifrost: cannot write: ${failureText(error)}`);
  process.exitCode = FAILURE;
});
const code = await main(process.argv.slice(2));
// `bifrost start` sets the exit code itself when the server ends. SUCCESS must not overwrite it.
if (code !== SUCCESS) process.exitCode = code;
