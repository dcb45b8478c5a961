import { bifrost } from '../competitors.ts';
import { quantile } from '../figures.ts';
import { formatFigure, markdownTable } from './markdown.ts';
import { comparedFiguresOf, type ScenarioRun } from './scenario-report.ts';
import type { TrialRun } from './trial-report.ts';

const LEGEND =
  'Each pair is two runs of the same round, one after the other; the ratio is the first figure divided by the second. Half of all pairs lie between the quartiles.';

/** A figure of pairs of runs, by round. */
interface PairedFigure {
  readonly title: string;
  readonly figures: readonly number[];
  /** What each is divided by. */
  readonly others: readonly number[];
}

/**
 * The ratios of runs that were made in pairs, with their quartiles; nothing unless there is more than one pair of each.
 * Medians of ratios are steadier than ratios of medians where a machine changes its speed between the rounds.
 */
function createPairsTable(ratioTitle: string, rows: readonly PairedFigure[]): readonly string[] {
  if (rows.length === 0 || rows.some(({ figures }) => figures.length < 2)) return [];
  const table = markdownTable(
    ['scenario', 'pairs', 'lower quartile', ratioTitle, 'upper quartile'],
    rows.map(({ title, figures, others }) => {
      const ratios = figures
        .map((figure, round) => figure / (others[round] ?? Number.NaN))
        .toSorted((a, b) => a - b);
      const quartiles = [0.25, 0.5, 0.75].map((share) => formatFigure(quantile(ratios, share)));
      return [title, String(ratios.length), ...quartiles];
    }),
  );
  return [`${table}\n\n${LEGEND}`];
}

/** Of two servers, when exactly one other was measured. */
export function createPairedReport(runs: readonly ScenarioRun[]): readonly string[] {
  const competitors = [...new Set(runs.map(({ competitor }) => competitor))];
  const [other, ...more] = competitors.filter((competitor) => competitor !== bifrost);
  if (other === undefined || more.length > 0 || competitors.length < 2) return [];

  const scenarios = [...new Set(runs.map(({ scenario }) => scenario))];
  const rows = scenarios.flatMap(comparedFiguresOf).map(({ title, scenario, value }) => {
    const valuesOf = (wanted: typeof other) =>
      runs
        .filter((run) => run.scenario === scenario && run.competitor === wanted)
        .map(({ figures }) => value(figures));
    return { title, figures: valuesOf(bifrost), others: valuesOf(other) };
  });
  return createPairsTable(`÷ ${other.title}, median`, rows);
}

/** Of the variants of trials, for the rows that ask for it. */
export function createPairedTrialReport(runs: readonly TrialRun[]): readonly string[] {
  const trials = [...new Set(runs.map(({ trial }) => trial))];
  const rows = trials.flatMap((trial) =>
    trial.rows
      .filter(({ isPaired }) => isPaired === true)
      .map(({ title, figure, baseline }) => {
        const other = trial.variants.find(({ name }) => name === baseline);
        const valuesOf = (wanted: typeof other) =>
          runs
            .filter((run) => run.trial === trial && run.variant === wanted)
            .map(({ figures }) => Number(figures[figure]));
        return {
          title: `${trial.title}: ${title}, ${trial.variants[0].title} ÷ ${other?.title}`,
          figures: valuesOf(trial.variants[0]),
          others: valuesOf(other),
        };
      }),
  );
  return createPairsTable('median', rows);
}
