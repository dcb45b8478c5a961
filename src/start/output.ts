import { LineWriter } from '../telemetry/line-writer.ts';

/** How long lines that are not written yet may delay the exit. */
const FLUSH_TIMEOUT_MS = 1_000;

/** Standard output: the log and, on a terminal, what is said to the person there. */
export const output = new LineWriter(process.stdout);
/** Created with the first error. */
let errors: LineWriter | undefined;

export function writeError(text: string): void {
  errors ??= new LineWriter(process.stderr);
  errors.write(`${text}\n`);
}

process.once('exit', () => {
  const deadline = performance.now() + FLUSH_TIMEOUT_MS;
  output.finish(deadline);
  errors?.finish(deadline);
});
