import { bifrost } from '../competitors.ts';
import { quantile } from '../figures.ts';
import { formatFigure, markdownTable } from './markdown.ts';
import { comparedFiguresOf, type ScenarioRun } from './scenario-report.ts';

const LEGEND = `Each pair is two runs of the same round, one after the other; the ratio is Bifröst's figure divided by the other's. Half of all pairs lie between the quartiles.`;

/**
 * The ratios of the runs that were made in pairs, with their quartiles; nothing unless exactly one other server was
 * measured, in more than one round. Medians of ratios are steadier than ratios of medians where a machine changes its
 * speed between the rounds.
 */
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
    const others = valuesOf(other);
    const ratios = valuesOf(bifrost)
      .map((figure, round) => figure / (others[round] ?? Number.NaN))
      .toSorted((a, b) => a - b);
    const quartiles = [0.25, 0.5, 0.75].map((share) => formatFigure(quantile(ratios, share)));
    return { title, pairs: ratios.length, quartiles };
  });
  if (rows.some(({ pairs }) => pairs < 2)) return [];
  const table = markdownTable(
    ['scenario', 'pairs', 'lower quartile', `÷ ${other.title}, median`, 'upper quartile'],
    rows.map(({ title, pairs, quartiles }) => [title, String(pairs), ...quartiles]),
  );
  return [`${table}\n\n${LEGEND}`];
}
