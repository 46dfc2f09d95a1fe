/* Moves along the last axis and between rows. A result of -1 means done, else the place of a bad index. */
#include "gemm.h"

/* out (zeros) [rows, depth]: out[row, indices[row, j]] = values[row, j]. */
__attribute__((export_name("scatterLast"))) i32 scatter_last(i32 rows, i32 k, i32 depth, const f32 *values,
                                                              const i32 *indices, f32 *out) {
  for (i32 r = 0; r < rows; r++)
    for (i32 j = 0; j < k; j++) {
      i32 index = indices[r * k + j];
      if ((unsigned)index >= (unsigned)depth) return r * k + j;
      out[r * depth + index] = values[r * k + j];
    }
  return -1;
}

/* out[row, j] = x[row, indices[row, j]]. */
__attribute__((export_name("gatherLast"))) i32 gather_last(i32 rows, i32 k, i32 depth, const f32 *x, const i32 *indices,
                                                            f32 *out) {
  for (i32 r = 0; r < rows; r++)
    for (i32 j = 0; j < k; j++) {
      i32 index = indices[r * k + j];
      if ((unsigned)index >= (unsigned)depth) return r * k + j;
      out[r * k + j] = x[r * depth + index];
    }
  return -1;
}

/* out (zeros) [segments, size]: out[ids[i]] += x[i]; rows with an id outside [0, segments) are left out, as in tfjs. */
__attribute__((export_name("segmentSum"))) void segment_sum(i32 rows, i32 size, i32 segments, const f32 *x,
                                                             const i32 *ids, f32 *out) {
  for (i32 i = 0; i < rows; i++) {
    if ((unsigned)ids[i] >= (unsigned)segments) continue;
    f32 *to = out + ids[i] * size;
    for (i32 j = 0; j < size; j++) to[j] += x[i * size + j];
  }
}

enum { BLOCK = 64 };

/* out[outer, inner] = scale * sum over `count` of x[outer, count, inner]. Sums are added up in blocks: `block` is room
 * for inner floats. */
__attribute__((export_name("sumMiddle"))) void sum_middle(i32 outer, i32 count, i32 inner, f32 scale, const f32 *x,
                                                           f32 *out, f32 *block) {
  for (i32 o = 0; o < outer; o++, x += count * inner, out += inner) {
    for (i32 j = 0; j < inner; j++) out[j] = 0;
    for (i32 from = 0; from < count; from += BLOCK) {
      i32 to = from + BLOCK < count ? from + BLOCK : count;
      for (i32 j = 0; j < inner; j++) block[j] = 0;
      for (i32 r = from; r < to; r++) {
        const f32 *row = x + r * inner;
        i32 j = 0;
        for (; j + 4 <= inner; j += 4)
          wasm_v128_store(block + j, wasm_f32x4_add(wasm_v128_load(block + j), wasm_v128_load(row + j)));
        for (; j < inner; j++) block[j] += row[j];
      }
      for (i32 j = 0; j < inner; j++) out[j] += block[j];
    }
    for (i32 j = 0; j < inner; j++) out[j] *= scale;
  }
}
