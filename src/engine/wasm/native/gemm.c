#include "gemm.h"

static inline i32 least(i32 a, i32 b) { return a < b ? a : b; }

/* One tile: c[0..mr)[0..nr) (+)= sum over k of a[k][0..MR) b[k][0..NR). The twelve sums stay in registers. */
static void tile(i32 kc, const f32 *a, const f32 *b, f32 *const *rows, i32 mr, i32 nr, i32 add) {
  v128_t c0[MR], c1[MR];
#pragma clang loop unroll(full)
  for (i32 i = 0; i < MR; i++) c0[i] = c1[i] = wasm_f32x4_const(0, 0, 0, 0);
  for (i32 k = 0; k < kc; k++, a += MR, b += NR) {
    v128_t b0 = wasm_v128_load(b), b1 = wasm_v128_load(b + 4);
#pragma clang loop unroll(full)
    for (i32 i = 0; i < MR; i++) {
      v128_t x = wasm_v128_load32_splat(a + i);
      c0[i] = wasm_f32x4_add(c0[i], wasm_f32x4_mul(x, b0));
      c1[i] = wasm_f32x4_add(c1[i], wasm_f32x4_mul(x, b1));
    }
  }
  if (mr == MR && nr == NR) {
#pragma clang loop unroll(full)
    for (i32 i = 0; i < MR; i++) {
      f32 *p = rows[i];
      if (add) {
        c0[i] = wasm_f32x4_add(c0[i], wasm_v128_load(p));
        c1[i] = wasm_f32x4_add(c1[i], wasm_v128_load(p + 4));
      }
      wasm_v128_store(p, c0[i]);
      wasm_v128_store(p + 4, c1[i]);
    }
    return;
  }
  f32 edge[MR * NR];
#pragma clang loop unroll(full)
  for (i32 i = 0; i < MR; i++) {
    wasm_v128_store(edge + i * NR, c0[i]);
    wasm_v128_store(edge + i * NR + 4, c1[i]);
  }
  for (i32 i = 0; i < mr; i++)
    for (i32 j = 0; j < nr; j++) rows[i][j] = (add ? rows[i][j] : 0) + edge[i * NR + j];
}

/* Six streams of `count` floats, interleaved: d[k * 6 + q] = s[q][k]. */
static void interleave(f32 *d, const f32 *const *s, i32 count) {
  i32 k = 0;
  for (; k + 4 <= count; k += 4, d += 4 * MR) {
    v128_t r0 = wasm_v128_load(s[0] + k), r1 = wasm_v128_load(s[1] + k), r2 = wasm_v128_load(s[2] + k);
    v128_t r3 = wasm_v128_load(s[3] + k), r4 = wasm_v128_load(s[4] + k), r5 = wasm_v128_load(s[5] + k);
    v128_t a = wasm_i32x4_shuffle(r0, r1, 0, 4, 1, 5), b = wasm_i32x4_shuffle(r2, r3, 0, 4, 1, 5);
    v128_t c = wasm_i32x4_shuffle(r0, r1, 2, 6, 3, 7), e = wasm_i32x4_shuffle(r2, r3, 2, 6, 3, 7);
    v128_t p = wasm_i32x4_shuffle(r4, r5, 0, 4, 1, 5), q = wasm_i32x4_shuffle(r4, r5, 2, 6, 3, 7);
    wasm_v128_store(d, wasm_i64x2_shuffle(a, b, 0, 2));
    wasm_v128_store64_lane(d + 4, p, 0);
    wasm_v128_store(d + 6, wasm_i64x2_shuffle(a, b, 1, 3));
    wasm_v128_store64_lane(d + 10, p, 1);
    wasm_v128_store(d + 12, wasm_i64x2_shuffle(c, e, 0, 2));
    wasm_v128_store64_lane(d + 16, q, 0);
    wasm_v128_store(d + 18, wasm_i64x2_shuffle(c, e, 1, 3));
    wasm_v128_store64_lane(d + 22, q, 1);
  }
  for (; k < count; k++, d += MR)
    for (i32 q = 0; q < MR; q++) d[q] = s[q][k];
}

/* A[m0..m0+mc)[k0..k0+kc) of a plain matrix, in panels of MR rows. */
static void pack_strided(f32 *d, const Left *a, i32 m0, i32 mc, i32 k0, i32 kc, const f32 *zeros) {
  for (i32 i = 0; i < mc; i += MR, d += MR * kc) {
    i32 rows = least(MR, mc - i);
    const f32 *s = a->base + (m0 + i) * a->row + k0 * a->column;
    if (a->column == 1) {
      const f32 *streams[MR];
      for (i32 q = 0; q < MR; q++) streams[q] = q < rows ? s + q * a->row : zeros;
      interleave(d, streams, kc);
    } else if (a->row == 1 && rows == MR) {
      for (i32 k = 0; k < kc; k++, s += a->column) {
        wasm_v128_store(d + k * MR, wasm_v128_load(s));
        wasm_v128_store64_lane(d + k * MR + 4, wasm_v128_load64_zero(s + 4), 0);
      }
    } else {
      for (i32 k = 0; k < kc; k++, s += a->column)
        for (i32 q = 0; q < MR; q++) d[k * MR + q] = q < rows ? s[q * a->row] : 0;
    }
  }
}

typedef struct {
  const f32 *image;
  i32 y, x; /* source pixel of a tap at offset 0 */
} Place;

static Place place(const Patches *p, i32 row) {
  i32 area = p->rows_y * p->rows_x, image = row / area, rest = row - image * area;
  i32 y = rest / p->rows_x, x = rest - y * p->rows_x;
  Place at = {p->base + image * p->height * p->width * p->pixel, y * p->step_y, x * p->step_x};
  return at;
}

/* First channel of a tap at a place, or null outside the image. */
static inline const f32 *pixel_at(const Patches *p, const Place *at, i32 tap) {
  i32 y = at->y + p->tap_y[tap], x = at->x + p->tap_x[tap];
  if ((unsigned)y >= (unsigned)p->height || (unsigned)x >= (unsigned)p->width) return 0;
  return at->image + (y * p->width + x) * p->pixel;
}

/* Rows of A are places of the window, columns (tap, channel). */
static void pack_patches(f32 *d, const Left *a, i32 m0, i32 mc, i32 k0, i32 kc, const f32 *zeros) {
  const Patches *p = &a->patches;
  for (i32 i = 0; i < mc; i += MR) {
    Place at[MR];
    i32 rows = least(MR, mc - i);
    for (i32 q = 0; q < rows; q++) at[q] = place(p, m0 + i + q);
    i32 tap = k0 / p->channels, c = k0 - tap * p->channels;
    for (i32 left = kc; left > 0; tap++, c = 0) {
      i32 count = least(left, p->channels - c);
      const f32 *streams[MR];
      for (i32 q = 0; q < MR; q++) {
        const f32 *s = q < rows ? pixel_at(p, &at[q], tap) : 0;
        streams[q] = s ? s + c : zeros;
      }
      interleave(d, streams, count);
      d += count * MR;
      left -= count;
    }
  }
}

/* Rows of A are (tap, channel), columns places of the window. */
static void pack_patches_transposed(f32 *d, const Left *a, i32 m0, i32 mc, i32 k0, i32 kc) {
  const Patches *p = &a->patches;
  i32 panel = MR * kc;
  for (i32 k = 0; k < kc; k++) {
    Place at = place(p, k0 + k);
    f32 *to = d + k * MR;
    i32 tap = m0 / p->channels, c = m0 - tap * p->channels, q = 0;
    for (i32 left = mc; left > 0; tap++, c = 0) {
      i32 count = least(left, p->channels - c);
      const f32 *s = pixel_at(p, &at, tap);
      left -= count;
      if (s) s += c;
      while (count > 0) {
        if (q == 0 && count >= MR) {
          v128_t low = wasm_f32x4_const(0, 0, 0, 0), high = low;
          if (s) {
            low = wasm_v128_load(s);
            high = wasm_v128_load64_zero(s + 4);
            s += MR;
          }
          wasm_v128_store(to, low);
          wasm_v128_store64_lane(to + 4, high, 0);
          to += panel;
          count -= MR;
        } else {
          to[q] = s ? *s++ : 0;
          count--;
          if (++q == MR) {
            q = 0;
            to += panel;
          }
        }
      }
    }
    for (; q > 0 && q < MR; q++) to[q] = 0;
  }
}

/* B[k0..k0+kc)[n0..n0+nc) in panels of NR columns. */
static void pack_right(f32 *d, const Right *b, i32 n0, i32 nc, i32 k0, i32 kc) {
  for (i32 j = 0; j < nc; j += NR) {
    i32 columns = least(NR, nc - j);
    i32 tap = b->tap_offset ? k0 / b->channels : 0, c = k0 - tap * b->channels;
    for (i32 k = 0; k < kc; k++, d += NR) {
      i32 offset = b->tap_offset ? b->tap_offset[tap] : 0;
      const f32 *s = b->base + offset + c * b->row + (n0 + j) * b->column;
      if (columns == NR && b->column == 1) {
        wasm_v128_store(d, wasm_v128_load(s));
        wasm_v128_store(d + 4, wasm_v128_load(s + 4));
      } else {
        for (i32 q = 0; q < NR; q++) d[q] = q < columns ? s[q * b->column] : 0;
      }
      if (++c == b->channels && b->tap_offset) {
        c = 0;
        tap++;
      }
    }
  }
}

static f32 *out_row(const Out *c, i32 row) {
  if (c->rows_x == 0) return c->base + row * c->row;
  i32 area = c->rows_y * c->rows_x, image = row / area, rest = row - image * area;
  i32 y = rest / c->rows_x, x = rest - y * c->rows_x;
  y = y * c->step_y + c->off_y;
  x = x * c->step_x + c->off_x;
  return c->base + ((image * c->height + y) * c->width + x) * c->pixel;
}

void gemm(i32 m, i32 n, i32 k, const Left *a, const Right *b, const Out *c, f32 *scratch) {
  f32 *packed_b = scratch, *packed_a = scratch + KC * NC, *zeros = packed_a + KC * MC;
  f32 *rows[MC + MR];
  for (i32 i = 0; i < KC; i++) zeros[i] = 0;
  for (i32 n0 = 0; n0 < n; n0 += NC) {
    i32 nc = least(NC, n - n0);
    for (i32 k0 = 0; k0 < k; k0 += KC) {
      i32 kc = least(KC, k - k0);
      pack_right(packed_b, b, n0, nc, k0, kc);
      for (i32 m0 = 0; m0 < m; m0 += MC) {
        i32 mc = least(MC, m - m0);
        if (a->kind == STRIDED) pack_strided(packed_a, a, m0, mc, k0, kc, zeros);
        else if (a->kind == PATCHES) pack_patches(packed_a, a, m0, mc, k0, kc, zeros);
        else pack_patches_transposed(packed_a, a, m0, mc, k0, kc);
        for (i32 i = 0; i < mc; i++) rows[i] = out_row(c, m0 + i) + n0;
        for (i32 j = 0; j < nc; j += NR) {
          for (i32 i = 0; i < mc; i += MR)
            tile(kc, packed_a + i * kc, packed_b + j * kc, rows + i, least(MR, mc - i), least(NR, nc - j), k0 > 0);
          for (i32 i = 0; i < mc; i++) rows[i] += NR;
        }
      }
    }
  }
}

/* Batches of matrix products; a_batch and b_batch: floats from one matrix to the next, 0 repeats the same one. */
__attribute__((export_name("batchMatMul"))) void batch_mat_mul(i32 batch, i32 m, i32 n, i32 k, const f32 *a,
                                                                i32 a_batch, i32 a_row, i32 a_column, const f32 *b,
                                                                i32 b_batch, i32 b_row, i32 b_column, f32 *c,
                                                                f32 *scratch) {
  for (i32 i = 0; i < batch; i++) {
    Left left = {.kind = STRIDED, .base = a + i * a_batch, .row = a_row, .column = a_column};
    Right right = {.base = b + i * b_batch, .channels = k, .row = b_row, .column = b_column, .tap_offset = 0};
    Out out = {.base = c + i * m * n, .row = n};
    gemm(m, n, k, &left, &right, &out, scratch);
  }
}

__attribute__((export_name("scratchFloats"))) i32 scratch_floats(void) { return SCRATCH_FLOATS; }
