/** A checked value, or what is wrong with it in the words the peer reads. Bad input is ordinary, so it is no exception. */
export type Parsed<T, Reason = string> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: Reason };

/** Where a value stands in a text. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * The source text of a member of a JSON object, or undefined when it has none by that name; the last one
 * counts when there are several, as for `JSON.parse`. `json` must be the text of an object that `JSON.parse`
 * accepts. Parsing and re-serialising instead would reorder integer-like keys and lose big integers,
 * `1.0`, escapes and repeated keys.
 */
export function memberText(json: string, name: string): string | undefined {
  const { member } = scanObject(json, skipSpace(json, 0), name);
  return member && json.slice(member.start, member.end);
}

/**
 * The source texts of `member` in the objects of the array `list`, in their order, as `memberText` finds them. `json`
 * must be the text of an object that `JSON.parse` accepts and whose last `list` is an array of objects. Reads the text
 * twice, however many objects there are.
 */
export function memberTexts(json: string, list: string, member: string): (string | undefined)[] {
  const texts: (string | undefined)[] = [];
  const array = scanObject(json, skipSpace(json, 0), list).member;
  if (array === undefined) return texts;

  let at = skipSpace(json, array.start + 1);
  while (json.charCodeAt(at) === OPEN_BRACE) {
    const object = scanObject(json, at, member);
    texts.push(object.member && json.slice(object.member.start, object.member.end));
    at = skipSpace(json, object.end);
    if (json.charCodeAt(at) === COMMA) at = skipSpace(json, at + 1);
  }
  return texts;
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

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Finds the last member called `name` of the object that starts at `at`, and the index behind the object. */
function scanObject(
  json: string,
  at: number,
  name: string,
): { readonly member: Range | undefined; readonly end: number } {
  let member: Range | undefined;
  at = skipSpace(json, at + 1);
  while (json.charCodeAt(at) === QUOTE) {
    const keyEnd = stringEnd(json, at);
    const start = skipSpace(json, json.indexOf(':', keyEnd) + 1);
    const end = skipValue(json, start);
    if (isKey(json, at, keyEnd, name)) member = { start, end };
    at = skipSpace(json, end);
    if (json.charCodeAt(at) === COMMA) at = skipSpace(json, at + 1);
  }
  return { member, end: at + 1 };
}

/** Whether the string from `start` to `end` spells `name`, maybe with escapes: "\u006dessage" is "message". */
function isKey(json: string, start: number, end: number, name: string): boolean {
  const key = json.slice(start, end);
  return (key.includes('\\') ? JSON.parse(key) : key.slice(1, -1)) === name;
}

/** The index of the first character at or after `at` that is not JSON white space (RFC 8259 §2). */
function skipSpace(json: string, at: number): number {
  while (isSpace(json.charCodeAt(at))) at += 1;
  return at;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
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
    const code = json.charCodeAt(at);
    if (code === QUOTE) {
      at = stringEnd(json, at);
      if (depth === 0) return at;
      continue;
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      if (depth === 0) return at;
      depth -= 1;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (code === COMMA || isSpace(code))) return at;
    at += 1;
  }
}
