/** The word that was probably meant. */

/** Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment distance). */
function distance(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= from.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const same = from[i - 1] === to[j - 1];
      let best = Math.min(
        (rows[i - 1]?.[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (rows[i - 1]?.[j - 1] ?? 0) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1])
        best = Math.min(best, (rows[i - 2]?.[j - 2] ?? 0) + 1);
      row.push(best);
    }
    rows.push(row);
  }
  return rows[from.length]?.[to.length] ?? 0;
}

/** The candidate closest to `word`, if one is close enough to be meant: a third of its letters at most, and at least one, may differ. */
export function suggestion(word: string, candidates: readonly string[]): string | undefined {
  // A long word is no typo, and the distance costs the product of both lengths.
  if (word.length > 40) return undefined;
  const plain = word.toLowerCase().replaceAll("_", "-");
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const d = distance(plain, candidate);
    if (d < least) [best, least] = [candidate, d];
  }
  return best;
}
