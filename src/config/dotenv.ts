import { lstatSync, readFileSync } from 'node:fs';
import { parse } from 'dotenv';

/** The content of a `.env` file and its problems. A problem names line numbers and never shows a line. */
export interface Dotenv {
  readonly variables: Readonly<Record<string, string>>;
  readonly problems: readonly string[];
}

/**
 * An assignment as dotenv recognises it. A quoted value may span several lines.
 * dotenv silently skips everything else, so we look for what it skips.
 */
const ASSIGNMENT =
  /^\s*(?:export\s+)?[\w.-]+(?:\s*=\s*?|:\s+?)(?:\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\n]+)?\s*(?:#.*)?$/gm;

const MAX_LINES_NAMED = 10;

/** Reads the `.env` file at `path`. A missing file has neither variables nor problems. */
export function readDotenv(path: string): Dotenv {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (isMissing(path, error)) return { variables: {}, problems: [] };
    return { variables: {}, problems: [`${path} cannot be read: ${(error as Error).message}`] };
  }

  const text = decode(bytes)?.replaceAll(/\r\n?/g, '\n');
  if (text === undefined) {
    return { variables: {}, problems: [`${path} must be UTF-8 text without NUL bytes`] };
  }
  const skipped = skippedLines(text);
  const problems = skipped.length === 0 ? [] : [`${path} ${describeSkipped(skipped)}`];
  return { variables: parse(text), problems };
}

/** A dangling link does not count as missing: its target may be a volume that is mounted later. */
function isMissing(path: string, error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' && lstatSync(path, { throwIfNoEntry: false }) === undefined;
}

function decode(bytes: Buffer): string | undefined {
  // UTF-16, which Windows calls "Unicode", has a NUL byte in every ASCII character.
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The numbers, from 1, of the lines that are neither an assignment nor a comment nor empty. */
function skippedLines(text: string): number[] {
  // Keeps the line breaks, so that the remaining lines keep their numbers.
  const rest = text.replaceAll(ASSIGNMENT, (assignment) => assignment.replaceAll(/[^\n]/g, ''));
  return rest.split('\n').flatMap((line, index) => (/^\s*(#|$)/.test(line) ? [] : [index + 1]));
}

function describeSkipped(lines: readonly number[]): string {
  const named = lines.slice(0, MAX_LINES_NAMED).join(', ');
  const more = lines.length - MAX_LINES_NAMED;
  const others = more > 0 ? ` and ${more} more` : '';
  return `has lines that are neither NAME=value nor a comment: ${named}${others}`;
}
