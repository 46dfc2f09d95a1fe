/* Moves of 32-bit values between layouts. */
#include "gemm.h"

static void copy_run(f32 *to, const f32 *from, i32 count) {
  if (count >= 32) {
    __builtin_memcpy(to, from, (unsigned)count * sizeof(f32));
    return;
  }
  for (i32 i = 0; i < count; i++) to[i] = from[i];
}

/* Rows of `count` values, `from_row` and `to_row` values apart: one input of a concatenation. */
__attribute__((export_name("copyRows"))) void copy_rows(i32 rows, i32 count, const f32 *from, i32 from_row, f32 *to,
                                                         i32 to_row) {
  for (i32 r = 0; r < rows; r++, from += from_row, to += to_row) copy_run(to, from, count);
}

/* y[outer, repeats, block] = x[outer, block]: tiling along one axis. */
__attribute__((export_name("repeatBlocks"))) void repeat_blocks(i32 outer, i32 repeats, i32 block, const f32 *x,
                                                                 f32 *y) {
  for (i32 o = 0; o < outer; o++, x += block)
    for (i32 r = 0; r < repeats; r++, y += block) copy_run(y, x, block);
}

/* y[batch, outer, i, slice] = x[batch, outer, indices[batch, i], slice]; returns -1, or the place of a bad index. */
__attribute__((export_name("gather"))) i32 gather(i32 batch, i32 outer, i32 size, i32 slice, i32 count, const f32 *x,
                                                   const i32 *indices, f32 *y) {
  for (i32 b = 0; b < batch; b++, indices += count)
    for (i32 o = 0; o < outer; o++, x += size * slice)
      for (i32 i = 0; i < count; i++, y += slice) {
        if ((unsigned)indices[i] >= (unsigned)size) return b * count + i;
        copy_run(y, x + indices[i] * slice, slice);
      }
  return -1;
}
