import { type Logger, pino } from 'pino';

export type Log = Logger;

export interface LogOptions {
  readonly level: string;
  /** Whether a person reads along: lines are then coloured, where pino-pretty is installed. */
  readonly pretty: boolean;
}

/** Writes to standard output, one JSON object a line unless a person reads along. */
export async function createLog({ level, pretty }: LogOptions): Promise<Log> {
  return pino({ level }, pretty ? await prettyStream() : undefined);
}

/** pino-pretty is a development dependency; without it lines stay JSON. */
async function prettyStream() {
  try {
    const { default: makePretty } = await import('pino-pretty');
    return makePretty({ sync: true, singleLine: true, ignore: 'pid,hostname' });
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
