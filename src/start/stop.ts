/** A Ctrl-C may arrive twice: from the terminal, and passed on by npm (where `sh` is bash) or `tsx watch`. */
const ECHO_MS = 200;

/** When this process stops. */
export interface Stop {
  /** Aborted by the first SIGTERM or SIGINT, or by `abort`. */
  readonly signal: AbortSignal;
  abort(): void;
  /** Called before a second Ctrl-C ends this process at once. */
  beforeEnd: (() => void) | undefined;
}

/**
 * Must be called before anything is awaited: a platform may send a signal at any moment, and several times. A second
 * SIGTERM changes nothing. A second Ctrl-C ends the process at once, by Node's default.
 */
export function listenForStop(): Stop {
  const controller = new AbortController();
  const stop: Stop = {
    signal: controller.signal,
    abort: () => controller.abort(),
    beforeEnd: undefined,
  };
  let isInterrupted = false;
  const onInterrupt = () => {
    if (isInterrupted) return;
    isInterrupted = true;
    stop.abort();
    setTimeout(() => {
      if (stop.beforeEnd !== undefined) process.once('SIGINT', () => endAtOnce(stop));
      process.off('SIGINT', onInterrupt);
    }, ECHO_MS).unref();
  };
  process.on('SIGTERM', stop.abort);
  process.on('SIGINT', onInterrupt);
  return stop;
}

function endAtOnce({ beforeEnd }: Stop): void {
  beforeEnd?.();
  process.kill(process.pid, 'SIGINT');
}
