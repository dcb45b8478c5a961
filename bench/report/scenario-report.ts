import { bifrost, type Competitor } from '../competitors.ts';
import {
  type BroadcastFigures,
  type ConnectionFigures,
  type Figures,
  medians,
} from '../figures.ts';
import type { BroadcastScenario, Scenario } from '../scenarios.ts';
import { formatFigure, markdownTable } from './markdown.ts';

/** One run of one competitor. */
export interface ScenarioRun {
  readonly competitor: Competitor;
  readonly scenario: Scenario;
  readonly figures: Figures;
}

/** A server that delivers less than this share of the demanded rate does not hold it. */
const MIN_HELD_SHARE = 0.95;

const LEGEND = `CPU is user and system time of the server. ÷ is Bifröst's figure divided by the other's: below 1, Bifröst takes less.
In flight is what was posted and is not yet both answered and delivered to everyone; p50 and p99 are from the POST to the last subscriber's frame.`;

/** A row of the first table: a figure that is compared between the competitors. Less is better. */
export interface ComparedFigure {
  readonly title: string;
  readonly scenario: Scenario;
  readonly value: (figures: Figures) => number;
}

/** The medians over the runs of one competitor in one scenario. */
type MediansOf = (scenario: Scenario, competitor: Competitor) => Figures;

export function comparedFiguresOf(scenario: Scenario): readonly ComparedFigure[] {
  const { title } = scenario;
  if (scenario.kind === 'broadcast') {
    const value = (figures: Figures) => (figures as BroadcastFigures).cpuUsPerDelivery;
    return [{ title: `${title}: µs of CPU per delivery`, scenario, value }];
  }
  const connection = (name: keyof ConnectionFigures) => (figures: Figures) =>
    (figures as ConnectionFigures)[name];
  return [
    { title: `${title}: µs of CPU each`, scenario, value: connection('cpuUsPerConnection') },
    {
      title: 'memory per connection: KB of RSS',
      scenario,
      value: (figures) => connection('rssBytesPerConnection')(figures) / 1_000,
    },
  ];
}

function createComparison(
  scenarios: readonly Scenario[],
  competitors: readonly Competitor[],
  mediansOf: MediansOf,
): string {
  const others = competitors.includes(bifrost)
    ? competitors.filter((competitor) => competitor !== bifrost)
    : [];
  const titles = competitors.map(({ title }) => title);
  return markdownTable(
    ['scenario', ...titles, ...others.map(({ title }) => `÷ ${title}`)],
    scenarios.flatMap(comparedFiguresOf).map(({ title, scenario, value }) => {
      const figureOf = (competitor: Competitor) => value(mediansOf(scenario, competitor));
      return [
        title,
        ...competitors.map((competitor) => formatFigure(figureOf(competitor))),
        ...others.map((competitor) => formatFigure(figureOf(bifrost) / figureOf(competitor))),
      ];
    }),
  );
}

/** Such as `1.2 / 93.5`, with the rate that the server reached instead where it did not hold the demanded one. */
function formatLatency({ pace }: BroadcastScenario, figures: BroadcastFigures): string {
  const latency = `${formatFigure(figures.p50Ms)} / ${formatFigure(figures.p99Ms)}`;
  if ('inFlight' in pace || figures.broadcastsPerSecond >= pace.perSecond * MIN_HELD_SHARE) {
    return latency;
  }
  return `${latency} (not held: ${formatFigure(figures.broadcastsPerSecond)} a second)`;
}

function createDetails(
  scenarios: readonly BroadcastScenario[],
  competitors: readonly Competitor[],
  mediansOf: MediansOf,
): string {
  return markdownTable(
    ['scenario', 'server', 'deliveries/s', 'frames per read', 'p50 / p99 ms', 'RSS MB'],
    scenarios.flatMap((scenario) =>
      competitors.map((competitor) => {
        const figures = mediansOf(scenario, competitor) as BroadcastFigures;
        return [
          scenario.title,
          competitor.title,
          formatFigure(figures.deliveriesPerSecond),
          formatFigure(figures.framesPerRead),
          formatLatency(scenario, figures),
          formatFigure(figures.rssBytes / 1e6),
        ];
      }),
    ),
  );
}

function createMediansOf(runs: readonly ScenarioRun[]): MediansOf {
  return (scenario, competitor) =>
    medians(
      runs
        .filter((run) => run.scenario === scenario && run.competitor === competitor)
        .map(({ figures }) => figures),
    );
}

/** Whom and what the runs have measured, in their order, each once. */
function subjectsOf(runs: readonly ScenarioRun[]) {
  return {
    scenarios: [...new Set(runs.map(({ scenario }) => scenario))],
    competitors: [...new Set(runs.map(({ competitor }) => competitor))],
  };
}

/** The first table of the report on the competitors, of the medians of `runs`: at least one. */
export function createComparisonTable(runs: readonly ScenarioRun[]): string {
  const { scenarios, competitors } = subjectsOf(runs);
  return createComparison(scenarios, competitors, createMediansOf(runs));
}

/** The report on the competitors in Markdown, of the medians of `runs`: at least one. */
export function createScenarioReport(runs: readonly ScenarioRun[]): string {
  const { scenarios, competitors } = subjectsOf(runs);
  const broadcasts = scenarios.filter((scenario) => scenario.kind === 'broadcast');
  return [
    createComparisonTable(runs),
    ...(broadcasts.length === 0
      ? []
      : [createDetails(broadcasts, competitors, createMediansOf(runs))]),
    LEGEND,
  ].join('\n\n');
}
