/** Number of rows whose largest entry is at the label; of equal entries the first counts, NaN never. */
export function countCorrect(
  logits: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: number,
  k = 1,
): number {
  let correct = 0;
  for (let i = 0; i < labels.length; i++) {
    const own = logits[i * classes + labels[i]];
    let before = Number.isNaN(own) ? Number.POSITIVE_INFINITY : 0;
    for (let c = 0; c < classes && before < k; c++) {
      const other = logits[i * classes + c];
      if (other > own || (other === own && c < labels[i])) before++;
    }
    if (before < k) correct++;
  }
  return correct;
}
