import { parseArgs } from 'node:util';
import { bifrost, type Competitor, competitors } from './competitors.ts';
import { type Scenario, scenarios } from './scenarios.ts';
import { trials } from './trials/all-trials.ts';
import type { Trial } from './trials/trial.ts';

const allScenarios = [...scenarios, ...trials];

export const HELP = `Measures this server beside others that do the same job, one at a time.

  npm run bench                        everything; takes about twenty minutes
  npm run bench -- --quick             one round with small counts; takes less than 90 seconds
  npm run bench -- --peer NAME         only this server (repeatable): ${joinNames(competitors)}
  npm run bench -- --scenario NAME     only this scenario (repeatable): ${joinNames(allScenarios)}

The scenarios ${joinNames(trials)} are about ${bifrost.title} and run when it does.
They compare it with a limit, with itself under other settings, or with one other server.
The report goes to stdout, and the figures of every run to bench/results/, as a line of JSON each.`;

export interface CommandLineOptions {
  readonly help: boolean;
  readonly quick: boolean;
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

/** What the command line asks for. Throws on what it does not know. */
export function readCommandLine(): CommandLineOptions {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      peer: { type: 'string', multiple: true },
      scenario: { type: 'string', multiple: true },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    quick: values.quick,
    help: values.help,
    competitors: select(competitors, values.peer),
    scenarios: select(allScenarios, values.scenario),
  };
}
