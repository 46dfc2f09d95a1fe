/* Matrix product for WebAssembly SIMD: C[M,N] (+)= A[M,K] B[K,N], float32.
 *
 * Blocks of B and then of A are copied ("packed") into the order in which the innermost loop reads them, so the
 * operands may lie in memory in any way: transposed, or as the patches of an image that are never written out.
 * No static data and no library: all memory is the caller's. */
#pragma once
#include <wasm_simd128.h>

typedef float f32;
typedef int i32;

enum { MR = 6, NR = 8, KC = 256, NC = 512, MC = 96 };
/* Floats of scratch that gemm needs: one block of B, one block of A, KC zeros. */
enum { SCRATCH_FLOATS = KC * NC + KC * MC + KC };

/* The pixels that a sliding window touches. Row r = (image, y, x) of a grid; column = (tap, channel). Its element is
 * base[image, y * step_y + tap_y[tap], x * step_x + tap_x[tap], channel], or zero outside the image. */
typedef struct {
  const f32 *base;
  i32 height, width, pixel; /* pixel: floats from one pixel to the next */
  i32 rows_y, rows_x, step_y, step_x;
  i32 channels;
  const i32 *tap_y, *tap_x;
} Patches;

typedef enum { STRIDED, PATCHES, PATCHES_TRANSPOSED } Kind;

typedef struct {
  Kind kind;
  const f32 *base;
  i32 row, column; /* STRIDED: floats from one row (column) to the next */
  Patches patches;
} Left;

/* B: element (k, n) with k = (tap, c): base[tap_offset[tap] + c * row + n * column]; a plain matrix has one tap. */
typedef struct {
  const f32 *base;
  i32 channels, row, column;
  const i32 *tap_offset; /* null: plain */
} Right;

/* C: row r starts at base + r * row, or, with rows_x > 0, at pixel (image, y * step_y + off_y, x * step_x + off_x). */
typedef struct {
  f32 *base;
  i32 row;
  i32 height, width, pixel, rows_y, rows_x, step_y, step_x, off_y, off_x;
} Out;

void gemm(i32 m, i32 n, i32 k, const Left *a, const Right *b, const Out *c, f32 *scratch);
