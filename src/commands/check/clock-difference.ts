/** A `Date` header has whole seconds (RFC 9110 §5.6.7): what is behind them is cut off. */
const RESOLUTION_MS = 1_000;

/**
 * By how many seconds a server's clock is at least ahead of ours, negative when it is behind. `date` is the `Date` of an
 * answer whose request was sent at `sentMs` and which came at `receivedMs`, by our clock. Undefined when it is no date.
 */
export function clockDifference(
  date: string,
  sentMs: number,
  receivedMs: number,
): number | undefined {
  const earliest = Date.parse(date);
  if (Number.isNaN(earliest)) return undefined;
  const ahead = Math.max(0, earliest - receivedMs);
  const behind = Math.max(0, sentMs - (earliest + RESOLUTION_MS));
  return (ahead - behind) / 1_000;
}
