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

const POSITION = /^([0-9A-Za-z]{8})\.([0-9]{1,16})$/;

/** Undefined for a text that is no position. */
export function parsePosition(text: string): Position | undefined {
  const [, epoch, digits] = POSITION.exec(text) ?? [];
  return epoch === undefined ? undefined : { epoch, number: Number(digits) };
}

/** `epoch.number`, as clients keep it. */
export function encodePosition({ epoch, number }: Position): string {
  return `${epoch}.${number}`;
}
