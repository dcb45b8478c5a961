import { bifrost, bifrostCommand } from '../competitors.ts';
import type { Figures } from '../figures.ts';
import type { Counts, ScenarioBase } from '../scenarios.ts';
import type { ServerSetup } from '../testbed.ts';

/** What a trial measures: this server with some settings, or a server that it is compared with. */
export interface TrialVariant {
  /** For the JSON lines. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** One run against new servers. Rejects when an answer is wrong or a single delivery is missing. */
  measure(counts: Counts): Promise<Figures>;
}

/** A row of the report: a figure of the first variant, and what it is compared with. */
export interface TrialRow {
  readonly title: string;
  /** The name of the figure. */
  readonly figure: string;
  /** The name of another variant, whose figure this one is compared with. */
  readonly baseline?: string;
  /** How to compare with the baseline. The figure is divided by that of the baseline unless given. */
  readonly comparison?: 'difference';
  /** The highest value that passes: of the comparison if there is a baseline, else of the figure. */
  readonly max?: number;
  /** The lowest ratio to the baseline that passes. */
  readonly min?: number;
  /** Whether to show the ratios of the pairs of runs too, of which each is made in one round. */
  readonly isPaired?: boolean;
}

/** A scenario that holds this server to a limit, or compares it with itself or one other under other settings. */
export interface Trial extends ScenarioBase {
  readonly kind: 'trial';
  /** How many connections a process has open at the same time, at most. */
  maxConnections(counts: Counts): number;
  /** What this machine lacks, undefined when nothing. */
  missingRequirement?(counts: Counts): string | undefined;
  /**
   * True when a run takes minutes, and its figures do not depend on how fast the machine is: how many messages arrive, how
   * much memory they take. It is measured in the first round only.
   */
  readonly isMeasuredOnce?: boolean;
  /** True when a run hardly needs a core. With `--quick`, those of all such trials are made at the same time. */
  readonly mostlyWaits?: boolean;
  /** Measured one after another in every round. The report is about the first. */
  readonly variants: readonly [TrialVariant, ...TrialVariant[]];
  readonly rows: readonly TrialRow[];
  /** What to know when reading the rows. */
  readonly note?: string;
}

/** A trial of this name for `--scenario`, with this title for people. */
export function trial(
  name: string,
  title: string,
  details: Omit<Trial, 'kind' | 'name' | 'title'>,
): Trial {
  return { kind: 'trial', name, title, ...details };
}

/** Measures these servers, and calls the variant what they are called. */
export function setupVariant(
  name: string,
  setup: ServerSetup,
  measure: (setup: ServerSetup, counts: Counts) => Promise<Figures>,
): TrialVariant {
  return { name, title: setup.title, measure: (counts) => measure(setup, counts) };
}

/** This server with other settings than in the scenarios. */
export function bifrostSetup(title: string, settings: Partial<ServerSetup> = {}): ServerSetup {
  return { title, protocol: bifrost.protocol, command: bifrostCommand(), ...settings };
}
