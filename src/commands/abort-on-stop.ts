/** Aborted by the first SIGINT or SIGTERM, and when standard output is closed. A second Ctrl-C ends the process. */
export function abortOnStop(): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort();
  process.once('SIGINT', abort);
  process.once('SIGTERM', abort);
  process.stdout.once('error', abort);
  return controller.signal;
}
