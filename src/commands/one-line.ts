/** Text from outside on one line, without control characters that could steer a terminal. */
export function toLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
}

/** The message of the innermost cause, on one line: the outer ones of `fetch` say only that it failed. */
export function failureText(error: unknown): string {
  let deepest = error as NodeJS.ErrnoException;
  while (deepest.cause instanceof Error) deepest = deepest.cause;
  // Node reports failed attempts over IPv6 and IPv4 as one AggregateError with an empty message.
  return toLine(deepest.message || deepest.code || deepest.name);
}
