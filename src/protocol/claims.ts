import { type Channel, type ChannelFault, parseChannel } from './channel.ts';
import type { Parsed } from './json.ts';

/** The claims of a verified token and the JSON text that they were signed as. */
export interface SignedClaims {
  readonly claims: Readonly<Record<string, unknown>>;
  readonly json: string;
}

/**
 * Parses the claims of a subscription token: its channels in their order, repetitions included.
 * All or nothing: one name at fault refuses them all. `maxChannelLength` is in UTF-16 units.
 */
export function parseSubscription(
  signed: SignedClaims,
  maxChannelLength: number,
): Parsed<readonly Channel[], ChannelFault> {
  const names = signed.claims['channels'];
  if (!Array.isArray(names)) return { ok: false, reason: 'type' };

  const channels: Channel[] = [];
  let fault: ChannelFault | undefined;
  for (const name of names) {
    const channel = parseChannel(name, maxChannelLength);
    if (channel.ok) channels.push(channel.value);
    // A list that is no list of strings is malformed, whatever else is wrong with it.
    else if (channel.reason === 'type') return channel;
    else fault ??= channel.reason;
  }
  return fault === undefined ? { ok: true, value: channels } : { ok: false, reason: fault };
}
