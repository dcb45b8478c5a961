import type { Channel } from '../protocol/channel.ts';
import { parseSubscription } from '../protocol/claims.ts';
import { type Disconnect, disconnects } from '../protocol/close-codes.ts';
import type { Parsed } from '../protocol/json.ts';
import type { TokenVerifier } from './token-verifier.ts';

/** What a valid token asks for. */
export interface Grant {
  readonly channels: readonly Channel[];
  /** Its `exp` in milliseconds since 1970; infinity without `exp`. */
  readonly expiresAt: number;
}

/** Why a token is refused: as a websocket is told, and as the metrics count it. */
export interface Refusal {
  readonly disconnect: Disconnect;
  readonly failure: 'token' | 'channels' | 'limits';
}

const REFUSED_TOKEN: Refusal = { disconnect: disconnects.notAuthorized, failure: 'token' };

const CHANNEL_FAULTS = {
  type: { disconnect: disconnects.invalidChannels, failure: 'channels' },
  length: { disconnect: disconnects.channelTooLong, failure: 'limits' },
  unicode: { disconnect: disconnects.malformedChannel, failure: 'channels' },
} as const satisfies Record<string, Refusal>;

export const TOO_MANY_CHANNELS: Refusal = {
  disconnect: disconnects.tooManyChannels,
  failure: 'limits',
};

/** Verifies a token that subscribes; undefined if the client sent none. */
export function parseGrant(
  token: string | undefined,
  tokens: TokenVerifier,
  maxChannelLength: number,
): Parsed<Grant, Refusal> {
  const signed = token === undefined ? undefined : tokens.verify(token);
  if (!signed?.ok) return { ok: false, reason: REFUSED_TOKEN };

  const channels = parseSubscription(signed.value, maxChannelLength);
  if (!channels.ok) return { ok: false, reason: CHANNEL_FAULTS[channels.reason] };
  const exp = signed.value.claims['exp'];
  const expiresAt = typeof exp === 'number' ? exp * 1_000 : Number.POSITIVE_INFINITY;
  return { ok: true, value: { channels: channels.value, expiresAt } };
}
