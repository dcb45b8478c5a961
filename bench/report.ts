import { type BroadcastFigures, type ConnectionFigures, type Figures, medians } from './figures.ts';
import { format, table } from './markdown.ts';
import { type Peer, peers } from './peers.ts';
import type { BroadcastScenario, Scenario } from './scenarios.ts';

/** One run of one peer, in one round. */
export interface Run {
  readonly peer: Peer;
  readonly scenario: Scenario;
  readonly figures: Figures;
}

/** A peer that delivers less than this share of the rate asked for does not hold it. */
const HELD_SHARE = 0.95;

const LEGEND = `CPU is user and system time of the server. ÷ is Bifröst's figure divided by the other's: below 1, Bifröst takes less.
In flight is what was posted and is not yet both answered and delivered to everyone; p50 and p99 are from the POST to the last subscriber's frame.`;

/** A figure that is compared between peers; less is better. */
interface Comparison {
  readonly title: string;
  readonly scenario: Scenario;
  readonly value: (figures: Figures) => number;
}

function comparisonsOf(scenario: Scenario): readonly Comparison[] {
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

/** `1.2 / 93.5 ms`, and what became of the rate where it was not held. */
function describeLatency({ pace }: BroadcastScenario, figures: BroadcastFigures): string {
  const latency = `${format(figures.p50Ms)} / ${format(figures.p99Ms)}`;
  if ('inFlight' in pace || figures.broadcastsPerSecond >= pace.perSecond * HELD_SHARE) {
    return latency;
  }
  return `${latency} (not held: ${format(figures.broadcastsPerSecond)} a second)`;
}

/** The report on the peers in Markdown, of the medians of `runs`, of which there is at least one. */
export function createReport(runs: readonly Run[]): string {
  const scenarios = [...new Set(runs.map(({ scenario }) => scenario))];
  const measured = [...new Set(runs.map(({ peer }) => peer))];
  const [self] = peers;
  const others = measured.includes(self) ? measured.filter((peer) => peer !== self) : [];

  const figuresOf = (scenario: Scenario, peer: Peer) =>
    medians(
      runs
        .filter((run) => run.scenario === scenario && run.peer === peer)
        .map((run) => run.figures),
    );

  const comparison = table(
    ['scenario', ...measured.map(({ title }) => title), ...others.map((peer) => `÷ ${peer.title}`)],
    scenarios.flatMap(comparisonsOf).map(({ title, scenario, value }) => {
      const of = (peer: Peer) => value(figuresOf(scenario, peer));
      return [
        title,
        ...measured.map((peer) => format(of(peer))),
        ...others.map((peer) => format(of(self) / of(peer))),
      ];
    }),
  );

  const broadcasts = scenarios.filter((scenario) => scenario.kind === 'broadcast');
  const details = table(
    ['scenario', 'server', 'deliveries/s', 'frames per read', 'p50 / p99 ms', 'RSS MB'],
    broadcasts.flatMap((scenario) =>
      measured.map((peer) => {
        const figures = figuresOf(scenario, peer) as BroadcastFigures;
        return [
          scenario.title,
          peer.title,
          format(figures.deliveriesPerSecond),
          format(figures.framesPerRead),
          describeLatency(scenario, figures),
          format(figures.rssBytes / 1e6),
        ];
      }),
    ),
  );
  return [comparison, ...(broadcasts.length === 0 ? [] : [details]), LEGEND].join('\n\n');
}
