import type { Config } from '../config/config.ts';
import type { Environment } from '../config/environment.ts';
import { DrainProgress } from './drain-progress.ts';
import { greetingText } from './greeting.ts';
import { output } from './output.ts';

/** The variables from which the commands know where the server is; without them it is where it is by default. */
const TARGET_VARIABLES = ['PORT', 'HOST', 'TLS_CERT_FILE', 'BIFROST_URL'];

/** What the greeting needs of the start. */
export interface TerminalOptions {
  readonly config: Config;
  readonly env: Environment['variables'];
  /** What opens the playground; undefined in development, where nothing is needed. */
  readonly playgroundKey: string | undefined;
  /** Where a secret was kept that this start has made. */
  readonly secretFile: string | undefined;
}

/** Talks to the person who has started the server on a terminal. Warnings and errors go to the log as everywhere. */
export class Terminal {
  readonly #options: TerminalOptions;
  readonly #progress: DrainProgress;
  #hasGreeted = false;

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.#progress = new DrainProgress(options.config.drainMs, (line) => output.write(`${line}\n`));
  }

  /** To be called when the server listens. Only the first call greets: workers are replaced. */
  greet(port: number): void {
    if (this.#hasGreeted) return;
    this.#hasGreeted = true;
    const { config, env, playgroundKey, secretFile } = this.#options;
    const text = greetingText({
      tls: config.tls !== undefined,
      host: config.host,
      port,
      playgroundPath: playgroundKey === undefined ? '/test' : `/test?key=${playgroundKey}`,
      isFoundByCommands: TARGET_VARIABLES.every((name) => !env[name]),
      secretFile,
    });
    output.write(text);
  }

  /** To be called again and again while the server drains. */
  reportConnectionsLeft(count: number): void {
    this.#progress.report(count);
  }
}
