import { subscribe } from 'node:diagnostics_channel';
import { isObject, parseJson } from '../protocol/json.ts';
import { BifrostPublisher, type PublishedBroadcast } from '../publisher/index.ts';
import { parseArguments } from './arguments.ts';
import { ProgressLine } from './broadcast/progress-line.ts';
import { publishFailureText } from './broadcast/publish-failure.ts';
import { publishLines } from './broadcast/publish-lines.ts';
import { readText } from './broadcast/standard-input.ts';
import { CHANNEL_OPTION, type Command, URL_OPTION, UsageError } from './command.ts';
import { findTarget, loadEnvironment, type Target } from './target.ts';

export const broadcast: Command = {
  summary: 'send a message to a channel, or many messages',
  help: `bifrost broadcast CHANNEL [CHANNEL …] MESSAGE [--url URL]
bifrost broadcast --lines - [--url URL]

Sends MESSAGE, the text of a JSON object, as it stands, and prints how many sockets it was handed to. If MESSAGE is -, it
is read from standard input.

With --lines, standard input has a message on each line, such as {"channel":"user:1","message":{"event":"tick"}}, or with
"channels":["a","b"]. They are sent in batches, those to one channel in their order; what fails for want of an answer is
tried again for half a minute. The first line at fault ends it: its number is printed, and no more is read.

  -c, --channel NAME  a channel, beside CHANNEL or instead of it; may be repeated
  -l, --lines         sends each line of standard input
  -u, --url URL       the server (default: BIFROST_URL, else this machine, by PORT)

bifrost broadcast user:1 '{"event":"new_item","data":"{}"}'`,
  async run(args) {
    const { values, positionals } = parseArguments(args, {
      channel: CHANNEL_OPTION,
      lines: { type: 'boolean', short: 'l' },
      url: URL_OPTION,
    });
    const { channel: channels = [], lines, url } = values;
    if (lines) {
      if (channels.length > 0 || positionals.length !== 1 || positionals[0] !== '-') {
        throw new UsageError('--lines takes nothing but -, since every line has its channel');
      }
      return broadcastLines(findTarget(loadEnvironment(), url));
    }

    const message = positionals.at(-1);
    const all = [...positionals.slice(0, -1), ...channels];
    if (message === undefined || all.length === 0) {
      throw new UsageError('takes a channel and a message, in quotes');
    }
    const text = message === '-' ? await readText(process.stdin) : message;
    if (!isObject(parseJson(text))) {
      throw new UsageError('the message, its last argument, must be a JSON object');
    }
    await broadcastMessage(findTarget(loadEnvironment(), url), all, text);
  },
};

async function broadcastMessage(
  { secret, url }: Target,
  channels: readonly string[],
  message: string,
): Promise<void> {
  // The form for one channel is the one that every server knows, the Crystal original too.
  const { publishAll } = new BifrostPublisher({ secret, url, batch: channels.length > 1 });
  const controller = new AbortController();
  // Whoever waits for one message is told at once that nobody listens there. The publisher would try on.
  subscribe('undici:client:connectError', (failure) => {
    controller.abort((failure as { readonly error: Error }).error);
  });
  try {
    const [published] = await publishAll([{ channels, message }], { signal: controller.signal });
    print(published as PublishedBroadcast);
  } catch (error) {
    throw new Error(publishFailureText(error, url));
  }
}

async function broadcastLines({ secret, url }: Target): Promise<void> {
  const { publishAll } = new BifrostPublisher({ secret, url });
  const progress = new ProgressLine(process.stderr);
  try {
    const published = await publishLines(process.stdin, {
      publish: async (line) => (await publishAll([line]))[0] as PublishedBroadcast,
      describe: (error) => publishFailureText(error, url),
      onSent: (sent) => progress.show(`${sent} lines sent`),
    });
    progress.end();
    print(published);
  } catch (error) {
    progress.end();
    throw error;
  }
}

function print({
  deliveries,
  partial,
}: {
  readonly deliveries: number | undefined;
  readonly partial?: boolean;
}): void {
  // Undefined if only a repetition was answered: it was delivered, but the number is lost.
  console.log(deliveries ?? 0);
  if (partial) console.error('A server did not confirm in time: there may be more.');
}
