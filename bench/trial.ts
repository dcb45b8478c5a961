import type { Figures } from './figures.ts';
import { bifrost, peers } from './peers.ts';
import type { Counts } from './scenarios.ts';
import type { Setup } from './stage.ts';

/** One of those that a trial compares. */
export interface Entrant {
  /** For the JSON lines. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** One run against fresh servers. Rejects when an answer is wrong or a single delivery is missing. */
  measure(counts: Counts): Promise<Figures>;
}

/** A line of the report: a figure of the first entrant, and what it is compared with. */
export interface Line {
  readonly title: string;
  /** Its name. */
  readonly figure: string;
  /** The name of another entrant, whose figure is the measure of this one. */
  readonly against?: string;
  /** How the two are compared: the first divided by the second unless said otherwise. */
  readonly as?: 'difference';
  /** What is promised of the comparison if there is one, else of the figure itself. */
  readonly atMost?: number;
}

/** A scenario for this server: it has to keep a promise, or is compared with itself or one other in another setting. */
export interface Trial {
  readonly kind: 'trial';
  /** For `--scenario`. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  readonly full: Counts;
  readonly quick: Counts;
  /** Open at a time. */
  connections(counts: Counts): number;
  /** What it lacks here, if anything. */
  lacks?(): string | undefined;
  /** Measured in turns. */
  readonly entrants: readonly [Entrant, ...Entrant[]];
  readonly lines: readonly Line[];
  /** What to know when reading the lines. */
  readonly note?: string;
}

/** This server with other settings than in the other scenarios. */
export function bifrostSetup(title: string, settings: Partial<Setup>): Setup {
  const [{ dialect }] = peers;
  return { title, dialect, command: bifrost(), ...settings };
}
