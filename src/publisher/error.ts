/**
 * Why a call failed:
 *
 * - `INVALID`: an argument is wrong; the message names it. Nothing was sent.
 * - `REFUSED`: the server, or a proxy before it, gave an answer that another attempt would not change.
 * - `UNAVAILABLE`: no good answer came, in spite of every attempt that was safe.
 * - `ABORTED`: the `signal` of the call was aborted; its reason is the `cause`.
 */
export type BifrostErrorCode = 'INVALID' | 'REFUSED' | 'UNAVAILABLE' | 'ABORTED';

export interface BifrostErrorDetails {
  readonly code: BifrostErrorCode;
  /** False if no subscriber can have received the message. Otherwise publishing it anew may deliver it twice. */
  readonly mayHaveBeenDelivered: boolean;
  /** The HTTP status of the last answer; undefined when there was none. */
  readonly status?: number | undefined;
  /** What `fetch` threw, or the reason of the `signal`. */
  readonly cause?: unknown;
}

/** Every error of the publisher. Neither the secret nor a token nor a message is in it. */
export class BifrostError extends Error implements BifrostErrorDetails {
  declare readonly name: 'BifrostError';
  declare readonly code: BifrostErrorCode;
  declare readonly mayHaveBeenDelivered: boolean;
  declare readonly status?: number | undefined;

  constructor(message: string, details: BifrostErrorDetails) {
    super(message, details);
    Object.assign(this, { name: 'BifrostError' }, details);
  }
}

/** Throws unless the argument of this name is right. */
export const check = (isRight: unknown, name: string): void => {
  if (!isRight) {
    throw new BifrostError(`invalid ${name}`, { code: 'INVALID', mayHaveBeenDelivered: false });
  }
};
