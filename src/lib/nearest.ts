/** The known word that a mistyped one was probably meant to be. */

/**
 * The candidate with the smallest edit distance to `word`, if that is small enough to be a slip: at most a third of the
 * longer word. A word may also stand for the last dotted part of a candidate, which ranks as one edit more.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .flatMap((candidate) => {
      const last = candidate.slice(candidate.lastIndexOf(".") + 1);
      return [
        { candidate, form: candidate, distance: editDistance(word, candidate), extra: 0 },
        { candidate, form: last, distance: editDistance(word, last), extra: 1 },
      ];
    })
    .filter(({ form, distance }) => distance <= Math.max(word.length, form.length) / 3)
    .sort((a, b) => a.distance + a.extra - b.distance - b.extra);
  return ranked[0]?.candidate;
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment) that make `a` into `b`. */
function editDistance(a: string, b: string): number {
  let [before, previous] = [[] as number[], Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(before, j - 2) + 1 : Infinity;
      row.push(Math.min(at(previous, j) + 1, at(row, j - 1) + 1, at(previous, j - 1) + same, swapped));
    }
    [before, previous] = [previous, row];
  }
  return at(previous, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
