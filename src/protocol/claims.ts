import { type Channel, type ChannelFault, channelFaultText, parseChannel } from './channel.ts';
import { isObject, memberText, type Parsed, parseJson } from './json.ts';

/** The claims of a verified token and the JSON text that they were signed as. */
export interface SignedClaims {
  readonly claims: Readonly<Record<string, unknown>>;
  readonly json: string;
}

/** What a broadcast token asks for. */
export interface Publication {
  readonly channel: Channel;
  /** The JSON text that subscribers receive, exactly as it was signed. */
  readonly message: string;
}

/** Parses the claims of a broadcast token. `maxChannelLength` is in UTF-16 units. */
export function parsePublication(
  signed: SignedClaims,
  maxChannelLength: number,
): Parsed<Publication> {
  const channel = parseChannel(signed.claims['channel'], maxChannelLength);
  if (!channel.ok) {
    return { ok: false, reason: channelFaultText(channel.reason, maxChannelLength) };
  }

  const message = parseMessage(signed);
  if (message === undefined) return { ok: false, reason: 'message must be a JSON object' };
  return { ok: true, value: { channel: channel.value, message } };
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

function parseMessage({ claims, json }: SignedClaims): string | undefined {
  const message = claims['message'];
  if (isObject(message)) return memberText(json, 'message');

  if (typeof message !== 'string' || !isObject(parseJson(message))) return undefined;
  // UTF-8 cannot carry a lone surrogate; inside a JSON string, the only place for one, its escape means the same.
  return message.isWellFormed()
    ? message
    : message.replace(/\p{Surrogate}/gu, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`);
}
