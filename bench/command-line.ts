import { parseArgs } from 'node:util';
import { bifrost, type Competitor, competitors, otherBuild } from './competitors.ts';
import { type Scenario, scenarios } from './scenarios.ts';
import { trials } from './trials/all-trials.ts';
import type { Trial } from './trials/trial.ts';

/**
 * Odd, so that there is a median. Many short rounds are better than a few long ones, since the machine may be slow for a
 * moment in any of them.
 */
const FULL_ROUNDS = 7;

const allScenarios = [...scenarios, ...trials];

export const HELP = `Measures this server beside others that do the same job, one at a time.

  npm run bench                        everything; takes about an hour
  npm run bench -- --quick             one round with small counts; takes about a minute
  npm run bench -- --peer NAME         only this server (repeatable): ${joinNames(competitors)}
  npm run bench -- --scenario NAME     only this scenario (repeatable): ${joinNames(allScenarios)}
  npm run bench -- --against FOLDER    beside this server as built in another checkout, alternately
  npm run bench -- --rounds N          so many runs of each; ${FULL_ROUNDS} unless given, 1 with --quick
  npm run bench -- --charts [FILE…]    measures nothing: takes the scenarios in these files of JSON lines over into
                                       docs/figures/, and makes the charts and tables of docs/ anew from what is there

The scenarios ${joinNames(trials)} are about ${bifrost.title} and run when it does.
They compare it with a limit, with itself under other settings, or with other servers.
The report goes to stdout, and the figures of every run to bench/results/, as a line of JSON each.`;

export interface CommandLineOptions {
  readonly help: boolean;
  /** Files of JSON lines for the charts, perhaps none. Undefined when the charts are not asked for. */
  readonly chartFiles: readonly string[] | undefined;
  readonly quick: boolean;
  /** How often everything is measured. */
  readonly rounds: number;
  readonly competitors: readonly Competitor[];
  readonly scenarios: readonly (Scenario | Trial)[];
}

function joinNames(items: readonly { readonly name: string }[]): string {
  return items.map(({ name }) => name).join(' ');
}

/** The items with these names; all items without `names`. Throws on a name that no item has. */
function select<T extends { readonly name: string }>(
  items: readonly T[],
  names: readonly string[] | undefined,
): readonly T[] {
  if (names === undefined) return items;
  const unknown = names.find((name) => !items.some((item) => item.name === name));
  if (unknown !== undefined) {
    throw new Error(`Unknown name "${unknown}", known are: ${joinNames(items)}`);
  }
  return items.filter(({ name }) => names.includes(name));
}

function parseRounds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new Error('--rounds takes a number from 1 to 999');
  return Number(text);
}

/** What the command line asks for. Throws on what it does not know. */
export function readCommandLine(): CommandLineOptions {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      charts: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      peer: { type: 'string', multiple: true },
      scenario: { type: 'string', multiple: true },
      against: { type: 'string' },
      rounds: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (positionals.length > 0 && !values.charts) {
    throw new Error(`Unexpected argument "${positionals[0]}"`);
  }
  return {
    quick: values.quick,
    chartFiles: values.charts ? positionals : undefined,
    help: values.help,
    rounds: parseRounds(values.rounds) ?? (values.quick ? 1 : FULL_ROUNDS),
    competitors:
      values.against === undefined
        ? select(competitors, values.peer)
        : [bifrost, otherBuild(values.against)],
    scenarios: select(allScenarios, values.scenario),
  };
}
