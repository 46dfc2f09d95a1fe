/** 1 / (1 + exp(-logit)). */
export function sigmoid(logit) {
    return 1 / (1 + Math.exp(-logit));
}
