import type { HonestReport } from './honest.ts';
import type { Memory } from './server-process.ts';
import type { Outcome } from './tally.ts';

/** One attack of one round. */
export interface Line {
  readonly round: number;
  readonly name: string;
  readonly outcome: Outcome;
  readonly before: Memory;
  readonly after: Memory;
  readonly seconds: number;
  /** Undefined of what runs beside others. */
  readonly peakRss?: number;
  readonly honest?: HonestReport;
}

const MEBIBYTE = 1_024 * 1_024;

export function mebibytes(bytes: number): string {
  return (bytes / MEBIBYTE).toFixed(1);
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

function span(before: number, after: number): string {
  return `${mebibytes(before)} → ${mebibytes(after)}`;
}

export function describeLine(line: Line): string {
  const { round, name, outcome, before, after, peakRss, seconds, honest } = line;
  const parts = [
    `${round}. ${name.padEnd(24)}`,
    `tried ${count(outcome.tried).padStart(7)}, as promised ${count(outcome.asPromised).padStart(7)}`,
    `heap ${span(before.heap, after.heap)} MiB`,
    `RSS ${span(before.rss, after.rss)}${peakRss === undefined ? '' : ` (peak ${mebibytes(peakRss)})`}`,
  ];
  if (honest !== undefined) {
    parts.push(`honest ${count(honest.deliveries)}, slowest ${Math.round(honest.slowestMs)} ms`);
  }
  return [...parts, `${seconds.toFixed(1)} s`].join('  ');
}

/** The lines of both rounds, an attack a row. */
export function markdown(lines: readonly Line[]): string {
  const rows = [...new Set(lines.map(({ name }) => name))].map((name) => {
    const own = lines.filter((line) => line.name === name);
    const total = (of: (line: Line) => number) => own.reduce((sum, line) => sum + of(line), 0);
    const last = own.at(-1) as Line;
    const cells = [
      name,
      count(total(({ outcome }) => outcome.tried)),
      count(total(({ outcome }) => outcome.asPromised)),
      span(last.before.heap, last.after.heap),
      span(last.before.rss, last.after.rss),
      largest(own.map(({ peakRss }) => peakRss && Number(mebibytes(peakRss)))),
      largest(own.map(({ honest }) => honest && Math.round(honest.slowestMs))),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '| attack | tried | as promised | heap, MiB | RSS, MiB | peak RSS | slowest honest message, ms |',
    '|---|--:|--:|--:|--:|--:|--:|',
    ...rows,
  ].join('\n');
}

function largest(values: readonly (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? '–' : String(Math.max(...known));
}
