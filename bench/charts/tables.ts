// The tables of docs/, made from the same figures as the charts.
import { formatFigure, markdownTable } from '../report/markdown.ts';
import { createPairedTrialReport } from '../report/paired-report.ts';
import { createComparisonTable } from '../report/scenario-report.ts';
import { createTrialTable } from '../report/trial-report.ts';
import { scenarios } from '../scenarios.ts';
import type { Trial, TrialRow } from '../trials/trial.ts';
import { findTrial, type Measured } from './measured.ts';

/** The rows of a trial, each figure once. */
function figuresOf({ rows }: Trial): readonly TrialRow[] {
  return rows.filter(
    ({ figure }, index) => rows.findIndex((row) => row.figure === figure) === index,
  );
}

/** A count is exact, and a share is rounded down: 99.999 % is not all. */
function formatCell({ figure }: TrialRow, value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString('en');
  if (/percent$/i.test(figure)) return (Math.floor(value * 100) / 100).toFixed(2);
  return formatFigure(value);
}

/** A row for each variant of each trial, which have the same figures. */
function createVariantsTable(measured: Measured, trials: readonly Trial[]): string {
  const [first] = trials;
  const figures = first === undefined ? [] : figuresOf(first);
  return markdownTable(
    ['', ...figures.map(({ title }) => title)],
    trials.flatMap((trial) =>
      trial.variants.map((variant) => {
        const values = measured.variantFigures(trial, variant);
        const title = trial.variants.length === 1 ? trial.title : variant.title;
        return [title, ...figures.map((row) => formatCell(row, Number(values[row.figure])))];
      }),
    ),
  );
}

/** A row for each figure of a trial that has one variant. */
function createFiguresTable(measured: Measured, trial: Trial): string {
  const values = measured.variantFigures(trial, trial.variants[0]);
  return markdownTable(
    [trial.title, trial.variants[0].title],
    figuresOf(trial).map((row) => [row.title, formatCell(row, Number(values[row.figure]))]),
  );
}

function withSource(measured: Measured, table: string, ...names: readonly string[]): string {
  return `${table}\n\n${measured.describeSource(...names)}`;
}

function variantsTable(measured: Measured, ...names: readonly string[]): string {
  const table = createVariantsTable(measured, names.map(findTrial));
  return withSource(measured, table, ...names);
}

const SETTINGS = ['batch', 'publisher', 'loop', 'deflate', 'deflate-memory', 'redis'];
const HISTORY = ['history', 'history-1', 'positioned'];

/** The tables of docs/performance.md, each with the sentence on commit and machine, by their names. */
export function createTables(measured: Measured): ReadonlyMap<string, string> {
  const [pairs] = createPairedTrialReport(measured.trialRuns(...HISTORY));
  if (pairs === undefined) throw new Error(`${HISTORY.join()} have to be measured in pairs`);
  return new Map([
    [
      'competitors',
      withSource(
        measured,
        createComparisonTable(measured.scenarioRuns()),
        ...scenarios.map(({ name }) => name),
      ),
    ],
    [
      'settings',
      withSource(measured, createTrialTable(measured.trialRuns(...SETTINGS)), ...SETTINGS),
    ],
    ['workers', variantsTable(measured, 'cluster')],
    ['jitter-table', variantsTable(measured, 'jitter')],
    ['restarts', variantsTable(measured, 'restart', 'rolling')],
    ['history', withSource(measured, pairs, ...HISTORY)],
    ['idle', variantsTable(measured, 'idle')],
    ['recovery', variantsTable(measured, 'recovery')],
    ['channels', variantsTable(measured, 'channels')],
    ['scale', withSource(measured, createFiguresTable(measured, findTrial('scale')), 'scale')],
  ]);
}

/** What clients add to a page, in KB: the table of docs/browser.md. */
export function createClientSizesTable(measured: Measured): string {
  const sizes = [...measured.clientSizes()];
  return markdownTable(
    sizes.map(([name]) => name),
    [sizes.map(([, bytes]) => (bytes / 1_000).toFixed(1))],
  );
}
