import type { Pace } from './load/publisher-process.ts';

/** How many broadcasts or subscribers: first to warm the server up, then during the measurement. */
export interface Counts {
  readonly warmUp: number;
  readonly measured: number;
  /** How many times as fast as in life the clock of the scenario goes. 1 unless given. */
  readonly speed?: number;
}

/** What scenarios and trials have in common. */
export interface ScenarioBase {
  /** For `--scenario` and the JSON lines. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** About how long one run with the full counts takes. A few seconds unless given. */
  readonly fullSeconds?: number;
  readonly full: Counts;
  /** With `--quick`. */
  readonly quick: Counts;
}

/** Broadcasts to subscribers who are connected already. Counts are broadcasts. */
export interface BroadcastScenario extends ScenarioBase {
  readonly kind: 'broadcast';
  readonly subscribers: number;
  readonly pace: Pace;
}

/** Subscribers who connect, authenticate for a channel of their own, and stay. Counts are subscribers. */
interface ConnectionScenario extends ScenarioBase {
  readonly kind: 'connection';
}

export type Scenario = BroadcastScenario | ConnectionScenario;

export function countsOf(scenario: ScenarioBase, quick: boolean): Counts {
  return quick ? scenario.quick : scenario.full;
}

/** How many connections are open at the same time, at most. */
export function maxConnectionsOf(scenario: Scenario, { warmUp, measured }: Counts): number {
  return scenario.kind === 'broadcast' ? scenario.subscribers : warmUp + measured;
}

export const scenarios: readonly Scenario[] = [
  {
    kind: 'broadcast',
    name: '1000x1',
    title: '1 → 1,000, 1 in flight',
    subscribers: 1_000,
    pace: { inFlight: 1 },
    full: { warmUp: 150, measured: 300 },
    quick: { warmUp: 5, measured: 20 },
  },
  {
    kind: 'broadcast',
    name: '1000x16',
    title: '1 → 1,000, 16 in flight',
    subscribers: 1_000,
    pace: { inFlight: 16 },
    full: { warmUp: 200, measured: 500 },
    quick: { warmUp: 16, measured: 32 },
  },
  {
    kind: 'broadcast',
    name: '1x1',
    title: '1 → 1, 1 in flight',
    subscribers: 1,
    pace: { inFlight: 1 },
    full: { warmUp: 6_000, measured: 8_000 },
    quick: { warmUp: 100, measured: 300 },
  },
  {
    kind: 'broadcast',
    name: '1x32',
    title: '1 → 1, 32 in flight',
    subscribers: 1,
    pace: { inFlight: 32 },
    full: { warmUp: 6_000, measured: 8_000 },
    quick: { warmUp: 100, measured: 300 },
  },
  {
    kind: 'connection',
    name: 'connect',
    title: 'connect + authenticate',
    full: { warmUp: 1_000, measured: 10_000 },
    quick: { warmUp: 100, measured: 500, speed: 10 },
  },
  {
    kind: 'broadcast',
    name: 'rate20',
    title: '1 → 1,000, 20 a second',
    subscribers: 1_000,
    pace: { perSecond: 20 },
    full: { warmUp: 50, measured: 60 },
    quick: { warmUp: 5, measured: 8 },
  },
  {
    kind: 'broadcast',
    name: 'rate100',
    title: '1 → 1,000, 100 a second',
    subscribers: 1_000,
    pace: { perSecond: 100 },
    full: { warmUp: 50, measured: 300 },
    quick: { warmUp: 5, measured: 20 },
  },
];
