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
