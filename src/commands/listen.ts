import { setTimeout as sleep } from 'node:timers/promises';
import { disconnects, protocolErrors } from '../protocol/close-codes.ts';
import { abortOnStop } from './abort-on-stop.ts';
import { type Command, parseArguments, URL_OPTION, UsageError } from './command.ts';
import { ListenConnection, type ListenOptions } from './listen-connection.ts';
import { signSubscription } from './sign.ts';
import { findTarget, loadEnvironment } from './target.ts';

export const listen: Command = {
  summary: 'print the messages of channels as they come',
  help: `bifrost listen CHANNEL [CHANNEL …] [--url URL]

Prints every message of the channels, each on a line, until Ctrl-C. What happens to the connection goes to standard
error. When it breaks, it is made again, unless the server says that there is no point.

  -u, --url URL  the server (default: BIFROST_URL, else this machine, by PORT)`,
  async run(args) {
    const { values, positionals: channels } = parseArguments(args, { url: URL_OPTION });
    if (channels.length === 0) throw new UsageError('takes at least one channel');
    const { secret, url } = findTarget(loadEnvironment(), values.url);
    await keepListening({
      url,
      channels,
      signToken: () => signSubscription(channels, secret),
      onMessage: (line) => console.log(line),
      onState: (line) => console.error(line),
      signal: abortOnStop(),
    });
  },
};

/**
 * Listens until `signal` is aborted, and reconnects whenever the connection breaks.
 * Rejects when the server refuses in a way that another attempt would not change.
 */
export async function keepListening(options: ListenOptions): Promise<void> {
  const { signal, onState } = options;
  for (let failures = 0; ; failures += 1) {
    const { reason, subscribed, refused, code } = await new ListenConnection(options).ended;
    if (signal.aborted) return;
    if (refused || !shouldReconnect(code)) throw new Error(reason);

    if (subscribed) failures = 0;
    const delayMs = backoffMs(failures, Math.random());
    onState(`${reason}; again in ${(delayMs / 1_000).toFixed(1)} s`);
    await sleep(delayMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
  }
}

const FINAL_CODES: ReadonlySet<number> = new Set(
  Object.values({ ...disconnects, ...protocolErrors })
    .filter(({ retry }) => retry === 'never')
    .map(({ code }) => code),
);

/** True if a client that changes nothing but its token should connect again after this close code. */
export function shouldReconnect(code: number): boolean {
  return !FINAL_CODES.has(code);
}

const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;

/**
 * The delay before the next attempt after `failures` attempts in a row that failed. It doubles with each failure.
 * `random`, from 0 to 1, takes off up to half of it, so that clients of one lost server do not come back all at once.
 */
export function backoffMs(failures: number, random: number): number {
  const longest = Math.min(FIRST_DELAY_MS * 2 ** failures, MAX_DELAY_MS);
  return Math.round((longest * (1 + random)) / 2);
}
