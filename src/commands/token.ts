import { isObject, parseJson } from '../protocol/json.ts';
import { parseArguments } from './arguments.ts';
import { CHANNEL_OPTION, type Command, UsageError } from './command.ts';
import { DEFAULT_EXPIRY_SECONDS, signBroadcast, signSubscription } from './sign.ts';
import { loadEnvironment, requireSecret } from './target.ts';

export const token: Command = {
  summary: 'print a token to subscribe with, or to broadcast with',
  help: `bifrost token CHANNEL [CHANNEL …] [--expires TIME]
bifrost token --broadcast CHANNEL MESSAGE [--expires TIME]

Prints a token with which a websocket may subscribe to these channels, or a token that POST /broadcast takes: it sends
MESSAGE, the text of a JSON object, to CHANNEL, as often as it is posted until it expires.

  -c, --channel NAME  a channel, beside CHANNEL or instead of it; may be repeated
  -b, --broadcast     for a broadcast
  -e, --expires TIME  how long it lives: a number and s, m, h or d, such as 90s or 1h (default: 60s)

curl http://localhost:3000/broadcast --json "{\\"token\\":\\"$(bifrost token --broadcast user:1 '{"event":"tick"}')\\"}"`,
  run(args) {
    const { values, positionals } = parseArguments(args, {
      channel: CHANNEL_OPTION,
      broadcast: { type: 'boolean', short: 'b' },
      expires: { type: 'string', short: 'e' },
    });
    const { channel: named = [], broadcast, expires } = values;
    const seconds = expires === undefined ? DEFAULT_EXPIRY_SECONDS : parseDuration(expires);
    if (broadcast) {
      const message = positionals.at(-1);
      const [channel, ...others] = [...positionals.slice(0, -1), ...named];
      if (channel === undefined || message === undefined || others.length > 0) {
        throw new UsageError('--broadcast takes one channel and a message, in quotes');
      }
      if (!isObject(parseJson(message))) {
        throw new UsageError('the message, its last argument, must be a JSON object');
      }
      console.log(signBroadcast(channel, message, requireSecret(loadEnvironment()), seconds));
      return;
    }
    const channels = [...positionals, ...named];
    if (channels.length === 0) throw new UsageError('takes at least one channel');
    if (positionals.some((text) => isObject(parseJson(text)))) {
      throw new UsageError('takes a message only with --broadcast');
    }
    console.log(signSubscription(channels, requireSecret(loadEnvironment()), seconds));
  },
};

/** "90s" → 90. */
function parseDuration(text: string): number {
  const [, amount, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const seconds = Number(amount) * ({ s: 1, m: 60, h: 3_600, d: 86_400 }[unit ?? ''] ?? Number.NaN);
  if (seconds > 0) return seconds;
  throw new UsageError('--expires must be a number and s, m, h or d, such as 90s or 1h');
}
