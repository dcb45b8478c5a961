/** A subcommand of `bifrost`. */
export interface Command {
  /** Stands beside its name in `bifrost --help`. */
  readonly summary: string;
  /** What its own `--help` prints; the first line is how it is called. */
  readonly help: string;
  /** Throws to fail: a `UsageError` when it was called wrongly, any other error when it went wrong. */
  readonly run: (args: string[]) => void | Promise<void>;
}

/** The arguments of a command are wrong. The message completes the sentence "bifrost x: …". */
export class UsageError extends Error {}

/** The option of the commands that talk to a server. */
export const URL_OPTION = { type: 'string', short: 'u' } as const;

/** The option that names channels beside the arguments, which name them too. */
export const CHANNEL_OPTION = { type: 'string', short: 'c', multiple: true } as const;
