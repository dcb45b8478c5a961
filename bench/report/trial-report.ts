import { type Figures, medians } from '../figures.ts';
import type { Trial, TrialRow, TrialVariant } from '../trials/trial.ts';
import { formatFigure, markdownTable } from './markdown.ts';

/** One run of one variant. */
export interface TrialRun {
  readonly trial: Trial;
  readonly variant: TrialVariant;
  readonly figures: Figures;
}

/** The median of a figure over the runs of a variant. Throws when there is no such figure. */
type MedianOf = (variant: TrialVariant, figure: string) => number;

/** `text`, with the limit if there is one, in bold when `value` is on its wrong side. */
function appendLimit(
  text: string,
  value: number,
  { max, min }: { readonly max?: number | undefined; readonly min?: number | undefined },
): string {
  const limit = max ?? min;
  if (limit === undefined) return text;
  const words = `${max === undefined ? 'at least' : 'at most'} ${formatFigure(limit)}`;
  const isMet = max === undefined ? value >= limit : value <= limit;
  return isMet ? `${text} (${words})` : `**${text} (missed: ${words})**`;
}

/** The last two cells of a row: what the figure `value` is compared with, and the comparison. */
function comparisonCells(
  { baseline, comparison, max, min, figure }: TrialRow,
  value: number,
  variants: readonly TrialVariant[],
  medianOf: MedianOf,
): readonly [string, string] {
  const other = variants.find(({ name }) => name === baseline);
  if (other === undefined) {
    if (max === undefined) return ['–', '–'];
    const ratio = value / max;
    return [`at most ${formatFigure(max)}`, appendLimit(formatFigure(ratio), ratio, { max: 1 })];
  }
  const reference = medianOf(other, figure);
  const cell = `${other.title}: ${formatFigure(reference)}`;
  if (comparison === 'difference') {
    const difference = value - reference;
    const text = `${difference < 0 ? '−' : '+'}${formatFigure(Math.abs(difference))}`;
    return [cell, appendLimit(text, difference, { max })];
  }
  const ratio = value / reference;
  return [cell, appendLimit(formatFigure(ratio), ratio, { max, min })];
}

function createRows(trial: Trial, runs: readonly TrialRun[]): readonly (readonly string[])[] {
  const medianOf: MedianOf = (variant, figure) => {
    const ofVariant = runs.filter((run) => run.trial === trial && run.variant === variant);
    const value = medians(ofVariant.map(({ figures }) => figures))[figure];
    if (value === undefined) throw new Error(`${trial.name} has no figure "${figure}"`);
    return value;
  };
  return trial.rows.map((row) => {
    const value = medianOf(trial.variants[0], row.figure);
    const cells = comparisonCells(row, value, trial.variants, medianOf);
    return [trial.title, row.title, formatFigure(value), ...cells];
  });
}

/** The table of the report on the trials, of the medians of `runs`: at least one. */
export function createTrialTable(runs: readonly TrialRun[]): string {
  const trials = [...new Set(runs.map(({ trial }) => trial))];
  const header = ['scenario', 'figure', 'Bifröst', 'compared with', 'ratio or difference'];
  return markdownTable(
    header,
    trials.flatMap((trial) => createRows(trial, runs)),
  );
}

/** The report on the trials in Markdown, of the medians of `runs`: at least one. */
export function createTrialReport(runs: readonly TrialRun[]): string {
  const trials = [...new Set(runs.map(({ trial }) => trial))];
  const notes = trials.flatMap(({ title, note }) =>
    note === undefined ? [] : `${title}: ${note}`,
  );
  return [createTrialTable(runs), ...(notes.length === 0 ? [] : [notes.join('\n')])].join('\n\n');
}
