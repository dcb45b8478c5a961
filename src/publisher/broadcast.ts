import { check } from './error.ts';
import { MAX_BYTES, MIN_WEIGHT } from './limits.ts';
import { utf8 } from './sign.ts';

/**
 * What subscribers receive: an object, sent as `JSON.stringify` writes it, or the JSON text of an object, sent as it
 * is. Text keeps what JavaScript's numbers cannot, such as `{"id":9007199254740993}`.
 */
export type Message = object | string;

/** One message to one channel or to several. */
export type Broadcast = {
  readonly message: Message;
  /** False keeps the message out of the server's history: typing notices, cursors, secrets. */
  readonly history?: boolean | undefined;
} & (
  | { readonly channel: string; readonly channels?: undefined }
  | {
      readonly channel?: undefined;
      /** 1 to 1,000 names; one that is repeated gets the message again. With `batch: false` only one. */
      readonly channels: readonly string[];
    }
);

/** A broadcast that has been checked. */
export interface EncodedBroadcast {
  readonly channels: readonly string[];
  /** It as a JSON object. */
  readonly text: string;
  /** The share of a request that it fills; above 1 if it is larger than a request should be. */
  readonly weight: number;
  /** When it was called for, in milliseconds since 1970. */
  readonly at: number;
}

export type Encode = (broadcast: Broadcast) => EncodedBroadcast;

/** Makes what checks broadcasts and encodes them as they are at this moment. It throws a `BifrostError`. */
export const createEncoder =
  (maxLength: number | undefined, maxPairs: number): Encode =>
  ({ channel, channels: list, message, history }) => {
    const channels = checkChannels(channel ?? list, maxLength, maxPairs);
    check([channel, list].includes(undefined), 'channels');
    check([undefined, true, false].includes(history), 'history');

    let json = message;
    try {
      if (typeof message === 'string') JSON.parse(message);
      else json = JSON.stringify(message);
    } catch {
      json = '';
    }
    // JSON that starts with a brace is an object; what toJSON() returned may be something else.
    check(/^\s*{/.test(json as string) && (json as string).isWellFormed(), 'message');

    const text = `{"message":${json},${JSON.stringify(
      maxPairs > 1 ? { channels, history } : { channel: channels[0], history },
    ).slice(1)}`;
    return {
      channels,
      text,
      weight: Math.max(MIN_WEIGHT, channels.length / maxPairs, utf8(text).length / MAX_BYTES),
      at: Date.now(),
    };
  };

/** A copy of the list, whose owner may change it later; throws a `BifrostError` if it cannot be right. */
export const checkChannels = (
  list: unknown,
  maxLength: number | undefined,
  maxCount?: number,
): string[] => {
  const channels = [list].flat();
  check(
    channels.length &&
      !(channels.length > (maxCount as number)) &&
      channels.every(
        (name) =>
          typeof name === 'string' &&
          !(name.length > (maxLength as number)) &&
          // In UTF-8 every lone surrogate becomes U+FFFD, so two names would be one.
          name.isWellFormed(),
      ),
    'channels',
  );
  return channels as string[];
};
