import { type Command, loadEnvironment, parseOptions, UsageError } from './command.ts';
import { DEFAULT_EXPIRY_SECONDS, signSubscription } from './sign.ts';
import { requireSecret } from './target.ts';

export const token: Command = {
  summary: 'print a token to subscribe with',
  help: `bifrost token --channel NAME [--channel NAME …] [--expires TIME]

Prints a token with which a websocket may subscribe to these channels.

  -c, --channel NAME  a channel; may be repeated
  -e, --expires TIME  how long it lives: a number and s, m, h or d, such as 90s or 1h (default: 60s)`,
  run(args) {
    const { channel: channels = [], expires } = parseOptions(args, {
      channel: { type: 'string', short: 'c', multiple: true },
      expires: { type: 'string', short: 'e' },
    });
    if (channels.length === 0) throw new UsageError('--channel is missing');
    const seconds = expires === undefined ? DEFAULT_EXPIRY_SECONDS : parseDuration(expires);
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
