import { isObject, parseJson } from '../protocol/json.ts';
import {
  type Command,
  loadEnvironment,
  parseArguments,
  URL_OPTION,
  UsageError,
} from './command.ts';
import { failureText } from './one-line.ts';
import { signBroadcast } from './sign.ts';
import { findTarget, type Target } from './target.ts';

export const broadcast: Command = {
  summary: 'send a message to a channel',
  help: `bifrost broadcast CHANNEL MESSAGE [--url URL]

Sends MESSAGE, the text of a JSON object, as it stands, and prints how many sockets it was handed to.

  -u, --url URL  the server (default: this machine, by PORT)

bifrost broadcast user:1 '{"event":"new_item","data":"{}"}'`,
  async run(args) {
    const { values, positionals } = parseArguments(args, { url: URL_OPTION });
    const [channel, message, ...others] = positionals;
    if (channel === undefined || message === undefined || others.length > 0) {
      throw new UsageError('takes a channel and a message, in quotes');
    }
    if (!isObject(parseJson(message))) throw new UsageError('the message must be a JSON object');

    const target = findTarget(loadEnvironment(), values.url);
    const { deliveries, partial } = await postBroadcast(target, channel, message);
    console.log(deliveries);
    if (partial) console.error('A server did not confirm in time: there may be more.');
  },
};

/** The server's reply to a broadcast. */
interface BroadcastReply {
  readonly deliveries: number;
  /** True if one server of several did not confirm in time. */
  readonly partial: boolean;
}

const REQUEST_TIMEOUT_MS = 10_000;

/** Posts the text of a JSON object as it stands. Rejects with the server's reason when it is refused. */
async function postBroadcast(
  { secret, url }: Target,
  channel: string,
  messageText: string,
): Promise<BroadcastReply> {
  let status: number;
  let text: string;
  try {
    const response = await fetch(`${url}/broadcast`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token: signBroadcast(channel, messageText, secret) }),
      // `fetch` follows a 301 or 302 to a POST with a GET.
      redirect: 'manual',
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    status = response.status;
    text = await response.text();
  } catch (error) {
    throw new Error(`cannot reach ${url}: ${failureText(error)}`);
  }

  const answer = parseJson(text);
  const { deliveries, error, partial } = isObject(answer) ? answer : {};
  if (status === 200 && typeof deliveries === 'number') {
    return { deliveries, partial: partial === true };
  }
  const why = typeof error === 'string' ? `: ${error}` : '';
  throw new Error(`${url}/broadcast answered ${status}${why}`);
}
