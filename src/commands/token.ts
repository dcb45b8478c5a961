import { isObject, parseJson } from '../protocol/json.ts';
import { CHANNEL_OPTION, type Command, parseArguments, UsageError } from './command.ts';
import { DEFAULT_EXPIRY_SECONDS, signBroadcast, signSubscription } from './sign.ts';
import { loadEnvironment, requireSecret } from './target.ts';

export const token: Command = {
  summary: 'print a token to subscribe with, or to broadcast with',
  help: `bifrost token --channel NAME [--channel NAME …] [--expires TIME]
bifrost token --broadcast CHANNEL MESSAGE [--expires TIME]

Prints a token with which a websocket may subscribe to these channels, or a token that POST /broadcast takes: it sends
MESSAGE, the text of a JSON object, to CHANNEL, as often as it is posted until it expires.

  -c, --channel NAME  a channel; may be repeated
  -b, --broadcast     for a broadcast
  -e, --expires TIME  how long it lives: a number and s, m, h or d, such as 90s or 1h (default: 60s)

curl http://localhost:3000/broadcast --json "{\\"token\\":\\"$(bifrost token --broadcast user:1 '{"event":"tick"}')\\"}"`,
  run(args) {
    const { values, positionals } = parseArguments(args, {
      channel: CHANNEL_OPTION,
      broadcast: { type: 'boolean', short: 'b' },
      expires: { type: 'string', short: 'e' },
    });
    const { channel: channels = [], broadcast, expires } = values;
    const seconds = expires === undefined ? DEFAULT_EXPIRY_SECONDS : parseDuration(expires);
    if (broadcast) {
      const [channel, message, ...others] = positionals;
      if (channel === undefined || message === undefined || others.length + channels.length > 0) {
        throw new UsageError('--broadcast takes a channel and a message, in quotes');
      }
      if (!isObject(parseJson(message))) throw new UsageError('the message must be a JSON object');
      console.log(signBroadcast(channel, message, requireSecret(loadEnvironment()), seconds));
      return;
    }
    if (positionals.length > 0) throw new UsageError(`does not know "${positionals[0]}"`);
    if (channels.length === 0) throw new UsageError('--channel is missing');
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
