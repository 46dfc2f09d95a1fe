/** The internal state of a `Random`: four unsigned 32-bit words, plain data that a checkpoint can hold. */
export type RandomState = readonly [number, number, number, number];

/**
 * Seeded pseudo-random numbers (sfc32 by Chris Doty-Humphrey, seeded by splitmix32): the same numbers on every
 * platform and engine. Not for cryptography.
 */
export class Random {
  private a = 0;
  private b = 0;
  private c = 0;
  private counter = 1;

  /** @param keys one or more integers, e.g. (seed, epoch, sample): equal keys give equal streams. */
  constructor(...keys: number[]) {
    let hash = 0x9e3779b9;
    const mix = (): number => {
      hash = (hash + 0x9e3779b9) | 0;
      let t = hash ^ (hash >>> 16);
      t = Math.imul(t, 0x21f0aaad);
      t ^= t >>> 15;
      t = Math.imul(t, 0x735a2d97);
      return (t ^ (t >>> 15)) >>> 0;
    };
    for (const key of keys) {
      hash ^= key >>> 0;
      const mixed = mix();
      const high = Math.floor(key / 2 ** 32);
      if (high !== 0) hash = (mixed ^ high) | 0;
      hash = mix() | 0;
    }
    this.a = mix();
    this.b = mix();
    this.c = mix();
    for (let i = 0; i < 12; i++) this.uint32();
  }

  get state(): RandomState {
    return [this.a, this.b, this.c, this.counter];
  }

  set state(state: RandomState) {
    [this.a, this.b, this.c, this.counter] = state;
  }

  /** Integer in [0, 2^32). */
  uint32(): number {
    const t = (this.a + this.b + this.counter) >>> 0;
    this.counter = (this.counter + 1) >>> 0;
    this.a = (this.b ^ (this.b >>> 9)) >>> 0;
    this.b = (this.c + (this.c << 3)) >>> 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + t) >>> 0;
    return t;
  }

  /** Number in [0, 1) with 53 random bits. */
  next(): number {
    return ((this.uint32() >>> 5) * 67108864 + (this.uint32() >>> 6)) / 9007199254740992;
  }

  /** Number in [low, high). */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** Integer in [0, count), without bias. */
  integer(count: number): number {
    const limit = Math.floor(2 ** 32 / count) * count;
    let value = this.uint32();
    while (value >= limit) value = this.uint32();
    return value % count;
  }

  /** Standard normal variate (Box-Muller, one of the pair). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /** Random order of 0..count-1 (Fisher-Yates). */
  permutation(count: number): Uint32Array {
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}
