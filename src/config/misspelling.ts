/** One slip for every so many letters: PORT and HOST have too many neighbours that mean something else. */
const LETTERS_PER_SLIP = 7;

/**
 * The variable that was most likely meant by `name`, which nobody reads; undefined when none is near.
 * A slip is a letter too many, too few, wrong or swapped with the next one; upper and lower case are the same.
 */
export function findMeant(name: string, known: readonly string[]): string | undefined {
  const text = name.toUpperCase();
  return known.find((candidate) => {
    const slips = Math.floor(candidate.length / LETTERS_PER_SLIP);
    // Spares most of the environment the table, however long its names are.
    if (Math.abs(candidate.length - text.length) > slips) return false;
    return distance(text, candidate) <= slips;
  });
}

/** How many slips turn one text into the other (optimal string alignment). */
function distance(from: string, to: string): number {
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
