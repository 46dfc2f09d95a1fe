/** Colours of the two directions of a contribution, the same in pictures and pages. */
export const FOR_COLOUR = '#b2182b';
export const AGAINST_COLOUR = '#2166ac';
