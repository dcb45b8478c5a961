import type { ControlReport } from './control-deliveries.ts';
import type { Outcome } from './result-collector.ts';
import type { Memory } from './server-under-test.ts';

/** One attack of one round. */
export interface AttackResult {
  readonly round: number;
  readonly name: string;
  readonly outcome: Outcome;
  readonly before: Memory;
  readonly after: Memory;
  readonly seconds: number;
  /** Undefined for an attack that runs beside others. */
  readonly peakRss?: number;
  /** Undefined for an attack that runs beside others. */
  readonly control?: ControlReport;
}

export const MEBIBYTE = 1_024 * 1_024;

export function mebibytes(bytes: number): string {
  return (bytes / MEBIBYTE).toFixed(1);
}

export function formatCount(value: number): string {
  return value.toLocaleString('en-US');
}

function formatChange(before: number, after: number): string {
  return `${mebibytes(before)} → ${mebibytes(after)}`;
}

export function describeAttack(result: AttackResult): string {
  const { round, name, outcome, before, after, peakRss, seconds, control } = result;
  const peak = peakRss === undefined ? '' : ` (peak ${mebibytes(peakRss)})`;
  const parts = [
    `${round}. ${name.padEnd(24)}`,
    `inputs ${formatCount(outcome.inputs).padStart(7)}`,
    `conforming ${formatCount(outcome.conforming).padStart(7)}`,
    `heap ${formatChange(before.heap, after.heap)} MiB`,
    `RSS ${formatChange(before.rss, after.rss)}${peak}`,
  ];
  if (control !== undefined) {
    const slowest = Math.round(control.slowestMs);
    parts.push(`control ${formatCount(control.deliveries)}, slowest ${slowest} ms`);
  }
  return [...parts, `${seconds.toFixed(1)} s`].join('  ');
}

/** A table with one row per attack: totals of both rounds, memory of the last one. */
export function markdown(results: readonly AttackResult[]): string {
  const rows = [...new Set(results.map(({ name }) => name))].map((name) =>
    attackRow(
      name,
      results.filter((result) => result.name === name),
    ),
  );
  return [
    '| attack | inputs | conforming | heap, MiB | RSS, MiB | peak RSS | slowest control message, ms |',
    '|---|--:|--:|--:|--:|--:|--:|',
    ...rows,
  ].join('\n');
}

function attackRow(name: string, rounds: readonly AttackResult[]): string {
  const total = (of: (outcome: Outcome) => number) =>
    formatCount(rounds.reduce((sum, { outcome }) => sum + of(outcome), 0));
  const last = rounds.at(-1) as AttackResult;
  const cells = [
    name,
    total(({ inputs }) => inputs),
    total(({ conforming }) => conforming),
    formatChange(last.before.heap, last.after.heap),
    formatChange(last.before.rss, last.after.rss),
    largest(rounds.map(({ peakRss }) => peakRss && Number(mebibytes(peakRss)))),
    largest(rounds.map(({ control }) => control && Math.round(control.slowestMs))),
  ];
  return `| ${cells.join(' | ')} |`;
}

function largest(values: readonly (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? '–' : String(Math.max(...known));
}
