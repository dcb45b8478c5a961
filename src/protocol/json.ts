/** A checked value, or what is wrong with it in the words the peer reads. Bad input is ordinary, so it is no exception. */
export type Parsed<T, Reason = string> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: Reason };

/**
 * The source text of a member of a JSON object, or undefined when it has none by that name; the last one
 * counts when there are several, as for `JSON.parse`. `json` must be the text of an object that `JSON.parse`
 * accepts. Parsing and re-serialising instead would reorder integer-like keys and lose big integers,
 * `1.0`, escapes and repeated keys.
 */
export function memberText(json: string, name: string): string | undefined {
  let found: string | undefined;
  let at = skipSpace(json, json.indexOf('{') + 1);

  while (json[at] === '"') {
    const keyEnd = stringEnd(json, at);
    const key = json.slice(at, keyEnd);
    const valueStart = skipSpace(json, json.indexOf(':', keyEnd) + 1);
    const valueEnd = skipValue(json, valueStart);

    // A key may be spelled with escapes: "\u006dessage" is "message".
    if ((key.includes('\\') ? JSON.parse(key) : key.slice(1, -1)) === name) {
      found = json.slice(valueStart, valueEnd);
    }

    at = skipSpace(json, valueEnd);
    if (json[at] === ',') at = skipSpace(json, at + 1);
  }
  return found;
}

/** The parsed text, or undefined when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a parsed JSON value is an object: not null, not an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const BACKSLASH = 0x5c;

/** The index of the first character at or after `at` that is not JSON white space (RFC 8259 §2). */
function skipSpace(json: string, at: number): number {
  for (;;) {
    const code = json.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at;
    at += 1;
  }
}

/** The index behind the string that starts at `at`. */
function stringEnd(json: string, at: number): number {
  let quote = json.indexOf('"', at + 1);
  // A quote is escaped when an odd number of backslashes stands before it.
  for (;;) {
    let backslashes = 0;
    while (json.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
    quote = json.indexOf('"', quote + 1);
  }
}

/** The index behind the value that starts at `at`. Counts brackets instead of recursing: nesting may be deep. */
function skipValue(json: string, at: number): number {
  let depth = 0;
  for (;;) {
    switch (json[at]) {
      case '"':
        at = stringEnd(json, at);
        if (depth === 0) return at;
        continue;
      case '{':
      case '[':
        depth += 1;
        break;
      case '}':
      case ']':
        if (depth === 0) return at;
        depth -= 1;
        if (depth === 0) return at + 1;
        break;
      case ',':
      case ' ':
      case '\n':
      case '\r':
      case '\t':
        if (depth === 0) return at;
        break;
    }
    at += 1;
  }
}
