/**
 * A point in the one order of all broadcasts, on all channels and nodes. Positions of one epoch can be compared; a new
 * epoch means that what was before it is not known any more.
 */
export interface Position {
  /** 8 letters and digits. */
  readonly epoch: string;
  /** Microseconds of the server's clock since 1970, made to rise. */
  readonly number: number;
}

/** Finds a position in a text. A literal, which a bundler can leave out. */
export const POSITION_PATTERN = /[0-9A-Za-z]{8}\.[0-9]{1,16}/;

/** Undefined for a text that is no position. */
export function parsePosition(text: string): Position | undefined {
  if (POSITION_PATTERN.exec(text)?.[0] !== text) return undefined;
  const [epoch = '', digits] = text.split('.');
  return { epoch, number: Number(digits) };
}

/** `epoch.number`, as clients keep it. */
export function encodePosition({ epoch, number }: Position): string {
  return `${epoch}.${number}`;
}
