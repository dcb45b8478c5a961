import { ConfigError } from '../config/config.ts';
import { VERSION } from '../config/version.ts';
import { type Command, UsageError } from './command.ts';
import { COMMANDS } from './commands.ts';
import { failureText, toLine } from './one-line.ts';

const SUCCESS = 0;
const FAILURE = 1;
const WRONG_USAGE = 2;

const HELP = `bifrost COMMAND

${[...COMMANDS].map(([name, { summary }]) => `  ${name.padEnd(11)} ${summary}`).join('\n')}

  -h, --help     says more about a command
  -v, --version  prints the version

All but test-server read the same environment variables as the server, and .env in the current folder. Exit codes:
${SUCCESS} when all is well, ${FAILURE} when something failed, ${WRONG_USAGE} when it was called in a way that it does not know.`;

/** Runs the command that the arguments name. Returns the exit code. */
async function main(args: string[]): Promise<number> {
  const [name = '', ...rest] = args;
  const command = COMMANDS.get(name);
  if (command === undefined) return runWithoutCommand(name);

  const end = rest.indexOf('--');
  const options = end === -1 ? rest : rest.slice(0, end);
  if (options.includes('--help') || options.includes('-h')) {
    console.log(command.help);
    return SUCCESS;
  }
  return runCommand(name, command, rest);
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
    const isUsage = error instanceof UsageError || isParseArgsError(error);
    const text = toLine(error instanceof Error ? error.message : String(error));
    const more = isUsage ? ` (bifrost ${name} --help says more)` : '';
    console.error(`bifrost ${name}: ${text}${more}`);
    return isUsage ? WRONG_USAGE : FAILURE;
  }
}

/** Handles a first argument that is not the name of a command. */
function runWithoutCommand(argument: string): number {
  switch (argument) {
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
        argument === '' ? 'a command is missing' : `there is no command "${toLine(argument)}"`;
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

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader of a pipe may stop reading, as `head` does. That is not a failure.
  if (error.code === 'EPIPE') return;
  console.error(`bifrost: cannot write: ${failureText(error)}`);
  process.exitCode = FAILURE;
});
const code = await main(process.argv.slice(2));
// `bifrost start` sets the exit code itself when the server ends. SUCCESS must not overwrite it.
if (code !== SUCCESS) process.exitCode = code;
