// JSON as text: where it is wrong, and how it reads well. Numbers are never parsed, which would change large ones.
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}:,]|[^[\]{}:,"\s]+/g;
const SPACE = /[ \t\r\n]*/y;
const SCALAR = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[\dA-Fa-f]{4})/y;
/** Deeper levels are not indented further: the spaces alone would take more memory than the text. */
const MAX_INDENT = 40;

/** The JSON text, a member to a line; anything else as it is. */
export function pretty(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let depth = 0;
  let last = '';
  let lines = '';
  const newLine = () => `\n${'  '.repeat(Math.min(depth, MAX_INDENT))}`;
  for (const [token] of text.matchAll(TOKENS)) {
    const isEnd = token === '}' || token === ']';
    const follows = last === '{' || last === '[' || last === ',';
    if (isEnd) depth -= 1;
    // Empty objects and arrays stay on their line.
    if (isEnd ? !follows : follows) lines += newLine();
    lines += last === ':' ? ` ${token}` : token;
    if (token === '{' || token === '[') depth += 1;
    last = token;
  }
  return lines;
}

/**
 * What keeps the text from being a JSON object, in words, and where: `{ at, line, column, problem }`, counted from 1 but
 * for `at`. Undefined if it is one.
 */
export function faultOf(text) {
  const scan = { text, at: 0, expected: '' };
  try {
    const value = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return undefined;
    skip(scan, SPACE);
    scan.problem = 'A message is an object, in braces: {"event":"greeting"}.';
  } catch {
    findFault(scan);
  }
  const { at, problem } = scan;
  const lines = text.slice(0, at).split('\n');
  return { at, line: lines.length, column: lines.at(-1).length + 1, problem };
}

/** Moves on over what matches here. False if nothing does. */
function skip(scan, pattern) {
  pattern.lastIndex = scan.at;
  if (!pattern.test(scan.text)) return false;
  scan.at = pattern.lastIndex;
  return true;
}

/** Reads until the first fault and leaves its place and problem in `scan`. */
function findFault(scan) {
  // What is open, as the characters that close it.
  const open = [];
  let expects = 'value';
  while (scan.problem === undefined) {
    skip(scan, SPACE);
    const character = scan.text[scan.at];
    if (open.length > 0 && character === open.at(-1) && mayClose(expects)) {
      scan.at += 1;
      open.pop();
      expects = 'next';
    } else if (expects === 'next') {
      expects = readSeparator(scan, open.at(-1));
    } else if (expects === 'colon') {
      if (character === ':') scan.at += 1;
      else scan.problem = missing(scan, 'A colon');
      expects = 'value';
    } else if (expects.includes('name')) {
      if (character === '"') readString(scan);
      else scan.problem = missing(scan, 'A name in double quotes');
      expects = 'colon';
    } else if (character === '{' || character === '[') {
      scan.at += 1;
      open.push(character === '{' ? '}' : ']');
      expects = character === '{' ? 'first name' : 'first value';
    } else {
      if (character === '"') readString(scan);
      else if (!skip(scan, SCALAR)) scan.problem = missing(scan, 'A value');
      expects = 'next';
    }
  }
}

function mayClose(expects) {
  return expects === 'next' || expects.startsWith('first');
}

/** Reads what stands between two values, and says what has to follow. */
function readSeparator(scan, closing) {
  if (closing === undefined) {
    scan.problem = `The object has ended, but there is more: ${shown(scan)}.`;
  } else if (scan.text[scan.at] === ',') {
    scan.at += 1;
  } else {
    scan.problem = missing(scan, `A comma or ${closing}`);
  }
  return closing === '}' ? 'name' : 'value';
}

function readString(scan) {
  const start = scan.at;
  for (scan.at += 1; ; ) {
    const character = scan.text[scan.at];
    if (character === '"') break;
    if (character === undefined) {
      scan.at = start;
      scan.problem = 'This string has no closing double quote.';
      return;
    }
    if (character < ' ') {
      scan.problem = 'A string must not have a line break or tab in it: write \\n or \\t.';
      return;
    }
    if (character !== '\\') {
      scan.at += 1;
    } else if (!skip(scan, ESCAPE)) {
      scan.problem = 'Nothing in JSON is written with this backslash; for itself write two.';
      return;
    }
  }
  scan.at += 1;
}

function missing(scan, what) {
  if (scan.at >= scan.text.length) return `${what} is missing at the end.`;
  const hint = scan.text[scan.at] === "'" ? ' Strings need double quotes.' : '';
  return `${what} is missing before ${shown(scan)}.${hint}`;
}

/** The word or character at this place. */
function shown({ text, at }) {
  return /^(?:[\w.+-]{1,20}|.)/su.exec(text.slice(at, at + 20))?.[0] ?? 'the end';
}
