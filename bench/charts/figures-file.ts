// The figures that docs/ shows, as lines of JSON: what each run of the benchmark wrote, without what is not shown.
import type { Figures } from '../figures.ts';
import { type Scenario, scenarios } from '../scenarios.ts';
import { trials } from '../trials/all-trials.ts';
import type { Trial } from '../trials/trial.ts';

/** From the root of the repository. */
export const FIGURES_FILE = 'docs/figures/runs.jsonl';

/** The sizes of clients, which `npm run sizes` measures. */
export const CLIENT_SIZE = 'client-size';

/** One run of one scenario. */
export interface Run {
  /** Of the benchmark. It tells one from another. */
  readonly startedAt: string;
  readonly round: number;
  /** The name of a scenario or trial. */
  readonly scenario: string;
  /** The name of a competitor or variant. */
  readonly peer: string;
  readonly figures: Figures;
}

/** Runs, and by `startedAt` the sentence on commit, machine and settings. */
export interface FigureLines {
  readonly setups: ReadonlyMap<string, string>;
  readonly runs: readonly Run[];
}

type Line = Partial<Readonly<Record<string, unknown>>>;

/** Of each kind of scenario that is measured for the competitors. */
const SHOWN_FIGURES = {
  broadcast: ['cpuUsPerDelivery', 'deliveriesPerSecond'],
  connection: ['cpuUsPerConnection', 'connectionsPerSecond', 'rssBytesPerConnection'],
} as const;
/** How much was measured. Clients that come back also tell how many messages they miss. */
const COUNTS = ['measured', 'speed', 'missing'];
/** More digits than any table shows. */
const DIGITS = 6;

/** The names of the figures that are kept of a run. Throws for a scenario that there is not. */
function shownFiguresOf(name: string): readonly string[] {
  if (name === CLIENT_SIZE) return ['bytes'];
  const all: readonly (Scenario | Trial)[] = [...scenarios, ...trials];
  const scenario = all.find((each) => each.name === name);
  if (scenario === undefined) throw new Error(`There is no scenario "${name}"`);
  return scenario.kind === 'trial'
    ? scenario.rows.map(({ figure }) => figure)
    : SHOWN_FIGURES[scenario.kind];
}

function pickFigures(line: Line): Figures {
  const names = new Set([...COUNTS, ...shownFiguresOf(String(line['scenario']))]);
  return Object.fromEntries(
    Object.entries(line)
      .filter(([name, value]) => names.has(name) && typeof value === 'number')
      .map(([name, value]) => [name, Number(Number(value).toPrecision(DIGITS))]),
  );
}

/** Reads lines as the benchmark writes them, or as `encodeFigures` does. */
export function parseFigures(text: string): FigureLines {
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
  const setups = new Map<string, string>();
  for (const { startedAt, setup } of lines) {
    if (setup !== undefined) setups.set(String(startedAt), String(setup));
  }
  const runs = lines
    .filter(({ scenario }) => scenario !== undefined)
    .map((line) => ({
      startedAt: String(line['startedAt']),
      round: Number(line['round']),
      scenario: String(line['scenario']),
      peer: String(line['peer']),
      figures: pickFigures(line),
    }));
  return { setups, runs };
}

/** A line for each start of the benchmark, then a line for each run. */
export function encodeFigures({ setups, runs }: FigureLines): string {
  const starts = [...new Set(runs.map(({ startedAt }) => startedAt))].toSorted();
  const lines = [
    ...starts.map((startedAt) => ({ startedAt, setup: setups.get(startedAt) })),
    ...runs.map(({ figures, ...run }) => ({ ...run, ...figures })),
  ];
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** Replaces the scenarios of which `added` has runs: figures of two starts are never mixed. */
export function replaceScenarios(kept: FigureLines, added: FigureLines): FigureLines {
  const replaced = new Set(added.runs.map(({ scenario }) => scenario));
  return {
    setups: new Map([...kept.setups, ...added.setups]),
    runs: [...kept.runs.filter(({ scenario }) => !replaced.has(scenario)), ...added.runs],
  };
}
