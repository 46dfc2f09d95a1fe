/** Of the places for a difference of classes, the part kept for either side. */
export const KEPT_FOR_A_SIDE = 1 / 4;
/**
 * Concepts to show: those with the largest absolute contribution, falling, ties by number; for a difference of classes a
 * quarter of the places is kept for either sign. The same choice by tensor operations: `chooseConceptIds`.
 */
export function chooseShown(contributions, places, isDifference) {
    const bySize = Array.from(contributions, (_, concept) => concept).sort((a, b) => Math.abs(contributions[b]) - Math.abs(contributions[a]) || a - b);
    if (!isDifference)
        return bySize.slice(0, places);
    const kept = Math.floor(places * KEPT_FOR_A_SIDE);
    const ofSide = (sign) => bySize.filter((concept) => Math.sign(contributions[concept]) === sign).slice(0, kept);
    const sides = new Set([...ofSide(1), ...ofSide(-1)]);
    const others = bySize.filter((concept) => !sides.has(concept)).slice(0, places - sides.size);
    const chosen = new Set([...sides, ...others]);
    return bySize.filter((concept) => chosen.has(concept));
}
