// Long work shows on a terminal what it does, how far it is and how long it will take.

/** A part of the work. */
export interface Step {
  readonly title: string;
  /** Steps of the same kind take about the same time. Each is of a kind of its own unless given. */
  readonly kind?: string;
  /** How long it takes, as far as is known beforehand. */
  readonly seconds: number;
}

/** What the progress is written to. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** Stderr unless given: stdout is for results. */
  readonly stream?: ProgressStream;
  /** Whether each step is announced with a line where there is no terminal. True unless given. */
  readonly plainLines?: boolean;
}

const REDRAW_INTERVAL_MS = 1_000;
const DEFAULT_COLUMNS = 80;
/** Returns to the start of the line and clears it (ECMA-48 §8.3.41, EL). */
const CLEAR_LINE = '\r\u001b[K';

/**
 * About how many seconds are left, when the first steps took `taken` seconds each and the one behind them runs for
 * `elapsed` seconds. A step takes as long as those of its kind took. What has not been seen yet takes as long as was
 * declared, multiplied by how wrong that was so far.
 */
export function estimateSecondsLeft(
  steps: readonly Step[],
  taken: readonly number[],
  elapsed: number,
): number {
  const done = steps.slice(0, taken.length);
  const declared = sum(done.map(({ seconds }) => seconds));
  const factor = declared > 0 ? sum(taken) / declared : 1;
  const [current = 0, ...rest] = steps.slice(taken.length).map(({ kind, seconds }) => {
    const seen = taken.filter((_, index) => kind !== undefined && done[index]?.kind === kind);
    return seen.length > 0 ? sum(seen) / seen.length : seconds * factor;
  });
  return Math.max(0, current - elapsed) + sum(rest);
}

/** Such as `40 s`, `12 min` or `1 h 05 min`: no finer than an estimate is. */
export function formatDuration(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** The line for a step, in at most so many columns: the end of the title is left out where there is no room. */
export function formatProgress(
  { title, number, total, elapsed, left }: ProgressState,
  columns: number,
): string {
  const start = `[${number}/${total}] `;
  const end = ` · ${formatDuration(elapsed)}, about ${formatDuration(left)} left`;
  const room = columns - start.length - end.length;
  const shown = title.length <= room ? title : `${title.slice(0, Math.max(0, room - 1))}…`;
  return `${start}${shown}${end}`.slice(0, columns);
}

/** How far the work is. Times are in seconds. */
export interface ProgressState {
  readonly title: string;
  /** Of the step, from 1 on. */
  readonly number: number;
  readonly total: number;
  /** Since the step has begun. */
  readonly elapsed: number;
  /** Until the end of the last step. */
  readonly left: number;
}

/** Which one is drawn: `printLine` must not write behind it. */
let drawn: Progress | undefined;

/** Shows how far the work is: in one line of a terminal that is written over. Elsewhere each step is a line. */
export class Progress {
  readonly #steps: readonly Step[];
  readonly #stream: ProgressStream;
  readonly #plainLines: boolean;
  /** How long the steps took that have ended, in seconds. */
  readonly #taken: number[] = [];
  #startedAt = 0;
  #isRunning = false;
  #timer: NodeJS.Timeout | undefined;

  /** `steps` come in this order. */
  constructor(steps: readonly Step[], options: ProgressOptions = {}) {
    this.#steps = steps;
    this.#stream = options.stream ?? process.stderr;
    this.#plainLines = options.plainLines ?? true;
  }

  /** The next step begins, and the one before it has ended. */
  next(): void {
    this.#endStep();
    this.#isRunning = true;
    this.#startedAt = performance.now();
    if (this.#stream.isTTY === true) {
      this.#timer ??= setInterval(() => this.#draw(), REDRAW_INTERVAL_MS).unref();
      this.#draw();
    } else if (this.#plainLines) {
      this.#stream.write(`${this.#steps[this.#taken.length]?.title}\n`);
    }
  }

  /** Nothing is shown any more. Safe to call twice. */
  end(): void {
    this.#endStep();
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.clear();
  }

  /** Takes the line away until it is drawn again, within a second. */
  clear(): void {
    if (drawn !== this) return;
    drawn = undefined;
    this.#stream.write(CLEAR_LINE);
  }

  #endStep(): void {
    if (this.#isRunning) this.#taken.push((performance.now() - this.#startedAt) / 1_000);
    this.#isRunning = false;
  }

  #draw(): void {
    const elapsed = (performance.now() - this.#startedAt) / 1_000;
    const state = {
      title: this.#steps[this.#taken.length]?.title ?? '',
      number: this.#taken.length + 1,
      total: this.#steps.length,
      elapsed,
      left: estimateSecondsLeft(this.#steps, this.#taken, elapsed),
    };
    drawn = this;
    // A terminal wraps a line that fills it, and what is wrapped cannot be written over. Some do not know their width: 0.
    const columns = (this.#stream.columns || DEFAULT_COLUMNS) - 1;
    this.#stream.write(`${CLEAR_LINE}${formatProgress(state, columns)}`);
  }
}

/** Writes a line to stdout. A progress line that is on the same terminal makes room for it. */
export function printLine(text: string): void {
  drawn?.clear();
  console.log(text);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
