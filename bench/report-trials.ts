import { type Figures, medians } from './figures.ts';
import { format, table } from './markdown.ts';
import type { Entrant, Line, Trial } from './trial.ts';

/** One run of one entrant, in one round. */
export interface TrialRun {
  readonly trial: Trial;
  readonly entrant: Entrant;
  readonly figures: Figures;
}

/** `0.53`, or what is promised too, and whether it is kept. */
function judge(text: string, value: number, atMost: number | undefined): string {
  if (atMost === undefined) return text;
  return value <= atMost
    ? `${text} (at most ${format(atMost)})`
    : `**${text} (missed: at most ${format(atMost)})**`;
}

/** The last two cells of a line: what the figure is compared with, and the comparison. */
function compare(
  { against, as, atMost, figure }: Line,
  value: number,
  entrants: readonly Entrant[],
  figureOf: (entrant: Entrant, figure: string) => number,
): readonly [string, string] {
  const other = entrants.find(({ name }) => name === against);
  if (other === undefined) {
    if (atMost === undefined) return ['–', '–'];
    return [`at most ${format(atMost)}`, judge(format(value / atMost), value / atMost, 1)];
  }
  const reference = figureOf(other, figure);
  const cell = `${other.title}: ${format(reference)}`;
  if (as === 'difference') {
    const difference = value - reference;
    return [
      cell,
      judge(`${difference < 0 ? '−' : '+'}${format(Math.abs(difference))}`, difference, atMost),
    ];
  }
  const ratio = value / reference;
  return [cell, judge(format(ratio), ratio, atMost)];
}

/** The report on the trials in Markdown, of the medians of `runs`, of which there is at least one. */
export function createTrialReport(runs: readonly TrialRun[]): string {
  const figureOf = (trial: Trial) => (entrant: Entrant, figure: string) => {
    const of = runs.filter((run) => run.trial === trial && run.entrant === entrant);
    const value = medians(of.map(({ figures }) => figures))[figure];
    if (value === undefined) throw new Error(`${trial.name} has no figure "${figure}"`);
    return value;
  };

  const trials = [...new Set(runs.map(({ trial }) => trial))];
  const rows = trials.flatMap((trial) =>
    trial.lines.map((line) => {
      const { entrants, title } = trial;
      const value = figureOf(trial)(entrants[0], line.figure);
      const comparison = compare(line, value, entrants, figureOf(trial));
      return [title, line.title, format(value), ...comparison];
    }),
  );
  const notes = trials.flatMap(({ title, note }) =>
    note === undefined ? [] : `${title}: ${note}`,
  );
  return [
    table(['scenario', 'figure', 'Bifröst', 'compared with', 'ratio or difference'], rows),
    ...(notes.length === 0 ? [] : [notes.join('\n')]),
  ].join('\n\n');
}
