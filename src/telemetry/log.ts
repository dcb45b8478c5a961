import { type Logger, pino } from 'pino';
import type { LineWriter } from './line-writer.ts';

export type Log = Logger;

export interface LogOptions {
  readonly level: string;
  /** Whether a person reads along: lines are then coloured, where pino-pretty is installed. */
  readonly pretty: boolean;
}

/** One JSON object a line, unless a person reads along. Says how many lines `writer` has dropped when it recovers. */
export async function createLog({ level, pretty }: LogOptions, writer: LineWriter): Promise<Log> {
  const prettify = pretty ? await loadPrettifier() : undefined;
  const log = pino(
    { level },
    prettify ? { write: (line: string) => writer.write(prettify(line)) } : writer,
  );
  writer.onRecovered = (dropped) => {
    log.error({ dropped }, 'lines of this log were dropped: they could not be written');
  };
  return log;
}

/** pino-pretty is a development dependency; without it lines stay JSON. */
async function loadPrettifier(): Promise<((line: string) => string) | undefined> {
  try {
    const { prettyFactory } = await import('pino-pretty');
    return prettyFactory({ singleLine: true, ignore: 'pid,hostname' });
  } catch {
    return undefined;
  }
}

/** Wraps a function so that it runs at most once in `intervalMs`; calls in between are dropped. */
export function rateLimited<Args extends unknown[]>(
  intervalMs: number,
  run: (...args: Args) => void,
): (...args: Args) => void {
  let next = Number.NEGATIVE_INFINITY;
  return (...args) => {
    const now = performance.now();
    if (now < next) return;
    next = now + intervalMs;
    run(...args);
  };
}
