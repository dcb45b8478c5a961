import { correctSpelling } from '../config/misspelling.ts';

/** Whoever types a command reads the answer at once: a wrong guess costs little. */
const LETTERS_PER_TYPO = 3;

/**
 * "; did you mean broadcast?" when the text is nearly one of the known names, or the beginning of one; else nothing.
 * `prefix` stands before the name.
 */
export function didYouMean(text: string, known: readonly string[], prefix = ''): string {
  const meant =
    correctSpelling(text, known, LETTERS_PER_TYPO) ??
    known.find((name) => text.length > 1 && name.startsWith(text));
  return meant === undefined ? '' : `; did you mean ${prefix}${meant}?`;
}
