import { type Channel, channelFaultText, parseChannel } from './channel.ts';
import type { SignedClaims } from './claims.ts';
import { isObject, memberText, memberTexts, type Parsed, parseJson } from './json.ts';

/** One message on its way to one channel. */
export interface Publication {
  readonly channel: Channel;
  /** The JSON text that subscribers receive, exactly as it was signed. */
  readonly message: string;
  /** False for the claim `"history":false`: it is not kept, and clients are told no position. */
  readonly isKept?: boolean;
  /** Its place in the one order, when that was given by another process. */
  readonly position?: string | undefined;
}

/** The claim `broadcasts`: what one request publishes together. */
export interface PublicationBatch {
  /** One for each pair of channel and message, in their order. Those of one entry share their text. */
  readonly publications: readonly Publication[];
  /** How many of the publications each entry of `broadcasts` has. */
  readonly entrySizes: readonly number[];
  /** Names the request, so that a retry is not delivered again. */
  readonly jti: string | undefined;
}

/** Pairs of channel and message in one request. */
const MAX_BATCH_PAIRS = 1_000;

/** In UTF-16 units. */
const MAX_JTI_LENGTH = 128;

/**
 * Parses the claims of a publishing token: a single publication, or a batch. The reason names the first fault: the top
 * level, the entries in turn, the total, `jti`. `maxChannelLength` is in UTF-16 units.
 */
export function parsePublishing(
  signed: SignedClaims,
  maxChannelLength: number,
): Parsed<Publication | PublicationBatch> {
  return Object.hasOwn(signed.claims, 'broadcasts')
    ? parseBatch(signed, maxChannelLength)
    : parsePublication(signed, maxChannelLength);
}

function parsePublication(
  { claims, json }: SignedClaims,
  maxChannelLength: number,
): Parsed<Publication> {
  const channel = parseChannel(claims['channel'], maxChannelLength);
  if (!channel.ok) return fault(channelFaultText(channel.reason, maxChannelLength));
  const message = isObject(claims['message'])
    ? memberText(json, 'message')
    : parseMessageString(claims['message']);
  const contentFault = findContentFault(claims, message);
  if (message === undefined || contentFault !== undefined) return fault(contentFault ?? '');
  return {
    ok: true,
    value: { channel: channel.value, message, isKept: claims['history'] !== false },
  };
}

function parseBatch(
  { claims, json }: SignedClaims,
  maxChannelLength: number,
): Parsed<PublicationBatch> {
  if (['channel', 'channels', 'message'].some((name) => Object.hasOwn(claims, name))) {
    return fault('A token has either broadcasts or channel and message');
  }
  const { broadcasts, jti } = claims;
  if (!Array.isArray(broadcasts) || broadcasts.length === 0) {
    return fault('broadcasts must be an array of objects');
  }

  const publications: Publication[] = [];
  const entrySizes: number[] = [];
  // Read once for all entries, and only if one of them needs it.
  let sources: readonly (string | undefined)[] | undefined;
  let pairs = 0;
  for (const [index, entry] of broadcasts.entries()) {
    const place = `broadcasts[${index}]`;
    if (!isObject(entry)) return fault(`${place} must be an object`);
    const channels = parseEntryChannels(entry, maxChannelLength);
    if (!channels.ok) return fault(place + channels.reason);

    let message: string | undefined;
    if (isObject(entry['message'])) {
      sources ??= memberTexts(json, 'broadcasts', 'message');
      message = sources[index];
    } else {
      message = parseMessageString(entry['message']);
    }
    const contentFault = findContentFault(entry, message);
    if (message === undefined || contentFault !== undefined)
      return fault(`${place}.${contentFault}`);

    entrySizes.push(channels.value.length);
    pairs += channels.value.length;
    // Above the limit the rest is still looked at for faults, which come before it, but no more is collected.
    if (pairs > MAX_BATCH_PAIRS) continue;
    const isKept = entry['history'] !== false;
    for (const channel of channels.value) publications.push({ channel, message, isKept });
  }
  if (pairs > MAX_BATCH_PAIRS) {
    return fault(`broadcasts must have at most ${MAX_BATCH_PAIRS} channels in all`);
  }
  if (!Object.hasOwn(claims, 'jti')) {
    return { ok: true, value: { publications, entrySizes, jti: undefined } };
  }
  if (!isJti(jti)) return fault(`jti must be a string of 1 to ${MAX_JTI_LENGTH} characters`);
  return { ok: true, value: { publications, entrySizes, jti } };
}

/** The channels of one entry of a batch. The reason is the text that follows the entry's place. */
function parseEntryChannels(
  entry: Readonly<Record<string, unknown>>,
  maxChannelLength: number,
): Parsed<readonly Channel[]> {
  const hasList = Object.hasOwn(entry, 'channels');
  if (hasList === Object.hasOwn(entry, 'channel')) {
    return fault(' must have either channel or channels');
  }
  const names = hasList ? entry['channels'] : [entry['channel']];
  const isList = Array.isArray(names) && names.length > 0;
  if (!isList || (hasList && names.some((name) => typeof name !== 'string'))) {
    return fault('.channels must be an array of strings');
  }
  const channels: Channel[] = [];
  for (const name of names) {
    const channel = parseChannel(name, maxChannelLength);
    if (!channel.ok) return fault(`.${channelFaultText(channel.reason, maxChannelLength)}`);
    channels.push(channel.value);
  }
  return { ok: true, value: channels };
}

/** What is wrong with message or history of a single broadcast, or of an entry. */
function findContentFault(
  claims: Readonly<Record<string, unknown>>,
  message: string | undefined,
): string | undefined {
  if (message === undefined) return 'message must be a JSON object';
  const isHistoryValid =
    !Object.hasOwn(claims, 'history') || typeof claims['history'] === 'boolean';
  return isHistoryValid ? undefined : 'history must be true or false';
}

/** A message signed as a string that holds the JSON text of an object; undefined for anything else. */
function parseMessageString(message: unknown): string | undefined {
  if (typeof message !== 'string' || !isObject(parseJson(message))) return undefined;
  // UTF-8 cannot carry a lone surrogate; inside a JSON string, the only place for one, its escape means the same.
  return message.isWellFormed()
    ? message
    : message.replace(/\p{Surrogate}/gu, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`);
}

function isJti(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length >= 1 &&
    value.length <= MAX_JTI_LENGTH &&
    value.isWellFormed()
  );
}

function fault(reason: string): Parsed<never> {
  return { ok: false, reason };
}
