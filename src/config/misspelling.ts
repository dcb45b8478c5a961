/**
 * The known name that `name`, which is not one of them, most likely misspells; undefined when none is close. A known
 * name may have one typo for every `lettersPerTypo` of its letters. A typo is one letter added, left out, replaced, or
 * swapped with the next. Case does not matter.
 */
export function correctSpelling(
  name: string,
  known: readonly string[],
  lettersPerTypo: number,
): string | undefined {
  const text = name.toUpperCase();
  let nearest: string | undefined;
  let leastTypos = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const allowed = Math.floor(candidate.length / lettersPerTypo);
    // Skips the quadratic comparison for most names of the environment, however long they are.
    if (Math.abs(candidate.length - text.length) > allowed) continue;
    const typos = editDistance(text, candidate.toUpperCase());
    if (typos > allowed || typos >= leastTypos) continue;
    nearest = candidate;
    leastTypos = typos;
  }
  return nearest;
}

/** How many typos turn one text into the other (optimal string alignment distance). */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const isSame = from[i - 1] === to[j - 1];
      let least = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) {
        least = Math.min(least, at(beforeLast, j - 2) + 1);
      }
      row.push(least);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, to.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
