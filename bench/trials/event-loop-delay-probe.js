// Loaded into a server before its own code. At each SIGUSR2 it writes the event loop delay since the last one to stderr,
// as a line of JSON. Nothing is measured before the first.
import { monitorEventLoopDelay } from 'node:perf_hooks';

const NANOSECONDS_PER_MS = 1e6;

const histogram = monitorEventLoopDelay({ resolution: 1 });

process.on('SIGUSR2', () => {
  const delay = {
    p50Ms: histogram.percentile(50) / NANOSECONDS_PER_MS,
    p99Ms: histogram.percentile(99) / NANOSECONDS_PER_MS,
    maxMs: histogram.max / NANOSECONDS_PER_MS,
  };
  process.stderr.write(`${JSON.stringify(delay)}\n`);
  histogram.reset();
  histogram.enable();
});
