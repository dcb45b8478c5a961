import { type Logger, pino } from 'pino';
import type { LineWriter } from './line-writer.ts';

export type Log = Logger;

export interface LogOptions {
  readonly level: string;
  /** For a terminal: coloured text instead of JSON, if pino-pretty is installed. */
  readonly pretty: boolean;
}

/** Writes one JSON object a line, or text if `pretty`. Reports how many lines `writer` has dropped once it recovers. */
export async function createLog({ level, pretty }: LogOptions, writer: LineWriter): Promise<Log> {
  const prettify = pretty ? await loadPrettifier() : undefined;
  const log = pino(
    { level },
    prettify ? { write: (line: string) => writer.write(prettify(line)) } : writer,
  );
  writer.onRecovered = (dropped) => {
    log.error({ dropped }, 'log lines dropped: the output was full or closed');
  };
  return log;
}

/** Undefined without pino-pretty, which is a development dependency. */
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
