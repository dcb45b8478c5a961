// Loaded into a server before its own code: at each SIGUSR2 it tells, in a line of JSON on stderr, how late the event
// loop has been since the last one.
import { monitorEventLoopDelay } from 'node:perf_hooks';

const NANOSECONDS_PER_MS = 1e6;

const histogram = monitorEventLoopDelay({ resolution: 1 });
histogram.enable();

process.on('SIGUSR2', () => {
  const delay = {
    p50Ms: histogram.percentile(50) / NANOSECONDS_PER_MS,
    p99Ms: histogram.percentile(99) / NANOSECONDS_PER_MS,
    maxMs: histogram.max / NANOSECONDS_PER_MS,
  };
  process.stderr.write(`${JSON.stringify(delay)}\n`);
  histogram.reset();
});
