import { isObject, parseJson } from '../protocol/json.ts';
import { parsePosition } from '../protocol/position.ts';

/** What a server says. */
export type Frame =
  | {
      readonly type: 'message';
      /** Undefined in a plain frame, which does not name its channel. */
      readonly channel: string | undefined;
      readonly position: string | undefined;
      /** The message as it was signed. */
      readonly text: string;
      readonly message: Readonly<Record<string, unknown>>;
    }
  | ({ readonly type: 'subscribed' } & Confirmation)
  | { readonly type: 'pong'; readonly position: string | undefined };

export interface Confirmation {
  readonly channel: string;
  /** Undefined when the server gives no verdict. */
  readonly recovered?: boolean;
  /** How many replays follow on this channel. */
  readonly missed?: number;
  /** On the last confirmation of a token, if the server knows positions. */
  readonly position?: string | undefined;
}

/** No spaces, these members, this order: nothing else is an envelope. */
const ENVELOPE =
  /^\{"event":"message","channel":("(?:[^"\\]|\\.)*"),(?:"position":"([\w.]*)",)?"data":(.*)\}$/s;

/** Undefined for what is no position: a server without them may broadcast anything. */
const checkPosition = (position: string | undefined): string | undefined =>
  position && parsePosition(position) ? position : undefined;

/**
 * Reads a frame; undefined if it is none that this client knows. `isConfirmed` tells whether a channel is confirmed on
 * this connection: a message of a server without envelopes may look like one, but hardly with such a channel.
 */
export const parseFrame = (
  text: string,
  isConfirmed: (channel: string) => boolean,
): Frame | undefined => {
  const [, name = '', position, inner = ''] = ENVELOPE.exec(text) ?? [];
  const channel = parseJson(name) as string;
  const enveloped = isConfirmed(channel) && parseJson(inner);
  if (isObject(enveloped) && position === checkPosition(position)) {
    return { type: 'message', channel, position, text: inner, message: enveloped };
  }

  const message = parseJson(text);
  if (!isObject(message)) return undefined;
  const { event, data } = message;
  if (event === 'subscribed' || event === 'pong') {
    const details = parseJson(data as string);
    const known = (isObject(details) ? details : {}) as Partial<Confirmation>;
    const { channel, position } = { ...known, position: checkPosition(known.position) };
    if (event === 'pong') return { type: event, position };
    if (channel !== undefined) return { ...known, type: event, channel, position };
  }
  return { type: 'message', channel: undefined, position: undefined, text, message };
};
