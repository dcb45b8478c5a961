import type { Writable } from 'node:stream';
import type { PostedBroadcast, TestBifrost, TestSettings } from '../testing.ts';
import { abortOnStop } from './abort-on-stop.ts';
import { parseOptions } from './arguments.ts';
import { type Command, UsageError } from './command.ts';
import { toLine } from './one-line.ts';
import { exitWithoutReader, writeLine } from './output.ts';

export const testServer: Command = {
  summary: 'run a server for tests, and print what is posted to it',
  help: `bifrost test-server [--port PORT] [--json] [--set NAME=VALUE …]

Runs a server for the tests of an app in any language, until SIGTERM, Ctrl-C or the end of its standard output. It listens
on 127.0.0.1 and makes a secret. It prints where it is and its secret, and then every message that is posted to it, each
on a line. A reader that falls more than 10,000 messages behind gets only the newest 10,000. It reads neither the
environment nor .env.

  -p, --port PORT       the port; 0 is a free one (default: 0)
  -j, --json            prints JSON, an object on each line: first {"url":…,"subscribeUrl":…,"secret":…}, then
                        {"channel":…,"message":…,"deliveries":…} for every message
  -s, --set NAME=VALUE  a setting of the server, such as JWT_SECRET or HISTORY_MESSAGES; may be repeated. With LOG_LEVEL
                        it logs to standard error`,
  async run(args) {
    const { json, port, set } = parseOptions(args, {
      json: { type: 'boolean', short: 'j' },
      port: { type: 'string', short: 'p', default: '0' },
      set: { type: 'string', short: 's', multiple: true, default: [] },
    });
    const settings = { ...parseSettings(set), PORT: port };
    const signal = abortOnStop();
    // Loaded on demand: the other commands need no server.
    const { startBifrost } = await import('../testing.ts');
    const bifrost = await startBifrost(settings);
    try {
      await printAll(bifrost, json ? JSON_LINES : TEXT_LINES, process.stdout, signal);
    } finally {
      await bifrost.close();
      exitWithoutReader();
    }
  },
};

/** How a server and what is posted to it are printed. */
interface Format {
  address(bifrost: TestBifrost): string;
  broadcast(broadcast: PostedBroadcast): string;
}

const JSON_LINES: Format = {
  address: ({ url, subscribeUrl, secret }) => JSON.stringify({ url, subscribeUrl, secret }),
  broadcast: (broadcast) => JSON.stringify(broadcast),
};

const TEXT_LINES: Format = {
  // In the form of a shell and of `.env`.
  address: ({ url, secret }) => `BIFROST_URL=${url}\nJWT_SECRET=${secret}`,
  broadcast: ({ channel, message, deliveries }) =>
    `${toLine(channel)} ${JSON.stringify(message)} → ${deliveries}`,
};

/** Takes the next broadcast only when the last is written. Those that wait are bounded: the server keeps the newest. */
async function printAll(
  bifrost: TestBifrost,
  format: Format,
  output: Writable,
  signal: AbortSignal,
): Promise<void> {
  await writeLine(output, format.address(bifrost), signal);
  while (!signal.aborted) {
    const broadcast = await bifrost.nextBroadcast({ signal }).catch(() => undefined);
    if (broadcast !== undefined) await writeLine(output, format.broadcast(broadcast), signal);
  }
}

/** "NAME=VALUE" of each → the settings. */
function parseSettings(assignments: readonly string[]): TestSettings {
  const settings = assignments.map((text) => {
    const [, name, value] = /^([A-Z_]+)=(.*)$/s.exec(text) ?? [];
    if (name === undefined) throw new UsageError('--set must be like HISTORY_MESSAGES=1');
    return [name, value];
  });
  return Object.fromEntries(settings);
}
