/* Convolutions that keep every channel by itself: filter [ky, kx, channels], and sums over a window. */
#include "window.h"

/* First and past-the-last output place along an axis whose source place * stride + offset lies in [0, size). */
static void span(i32 size, i32 places, i32 stride, i32 offset, i32 *from, i32 *to) {
  *from = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  i32 last = size - 1 - offset;
  i32 end = last < 0 ? 0 : last / stride + 1;
  *to = end < places ? end : places;
}

static void multiply_add(f32 *to, const f32 *a, const f32 *b, i32 count) {
  i32 k = 0;
  for (; k + 4 <= count; k += 4)
    wasm_v128_store(to + k, wasm_f32x4_add(wasm_v128_load(to + k),
                                           wasm_f32x4_mul(wasm_v128_load(a + k), wasm_v128_load(b + k))));
  for (; k < count; k++) to[k] += a[k] * b[k];
}

static void add(f32 *to, const f32 *from, i32 count) {
  i32 k = 0;
  for (; k + 4 <= count; k += 4)
    wasm_v128_store(to + k, wasm_f32x4_add(wasm_v128_load(to + k), wasm_v128_load(from + k)));
  for (; k < count; k++) to[k] += from[k];
}

typedef enum { FORWARD, INPUT_GRAD, FILTER_GRAD } Direction;

/* The one walk that all three directions share: every (image, output row, tap) with the run of columns that meets the
 * image. `image` is x or dx, `out` y or dy; results must hold zeros. */
static void walk(const Window *w, f32 *image, f32 *filter, f32 *out, Direction direction) {
  i32 channels = w->channels;
  for (i32 n = 0; n < w->batch; n++)
    for (i32 p = 0; p < w->out_height; p++)
      for (i32 i = 0; i < w->kernel_y; i++) {
        i32 h = p * w->stride_y - w->pad_y + i * w->dilation_y;
        if (h < 0 || h >= w->height) continue;
        f32 *image_row = image + (n * w->height + h) * w->width * channels;
        f32 *out_row = out + (n * w->out_height + p) * w->out_width * channels;
        for (i32 j = 0; j < w->kernel_x; j++) {
          i32 offset = j * w->dilation_x - w->pad_x, from, to;
          span(w->width, w->out_width, w->stride_x, offset, &from, &to);
          f32 *f = filter + (i * w->kernel_x + j) * channels;
          if (direction == FILTER_GRAD) {
            /* sums over a row stay in registers, so that long sums are added up in blocks */
            i32 c = 0;
            for (; c + 4 <= channels; c += 4) {
              v128_t sum = wasm_f32x4_const(0, 0, 0, 0);
              for (i32 q = from; q < to; q++)
                sum = wasm_f32x4_add(
                    sum, wasm_f32x4_mul(wasm_v128_load(image_row + (q * w->stride_x + offset) * channels + c),
                                        wasm_v128_load(out_row + q * channels + c)));
              wasm_v128_store(f + c, wasm_f32x4_add(wasm_v128_load(f + c), sum));
            }
            for (; c < channels; c++) {
              f32 sum = 0;
              for (i32 q = from; q < to; q++)
                sum += image_row[(q * w->stride_x + offset) * channels + c] * out_row[q * channels + c];
              f[c] += sum;
            }
            continue;
          }
          for (i32 q = from; q < to; q++) {
            f32 *a = image_row + (q * w->stride_x + offset) * channels, *b = out_row + q * channels;
            if (direction == FORWARD) multiply_add(b, a, f, channels);
            else multiply_add(a, b, f, channels);
          }
        }
      }
}

__attribute__((export_name("depthwise"))) void depthwise(const Window *w, f32 *x, f32 *filter, f32 *y) {
  walk(w, x, filter, y, FORWARD);
}

__attribute__((export_name("depthwiseInputGrad"))) void depthwise_input_grad(const Window *w, f32 *dy, f32 *filter,
                                                                              f32 *dx) {
  walk(w, dx, filter, dy, INPUT_GRAD);
}

__attribute__((export_name("depthwiseFilterGrad"))) void depthwise_filter_grad(const Window *w, f32 *x, f32 *dy,
                                                                                f32 *df) {
  walk(w, x, df, dy, FILTER_GRAD);
}

/* One row of a window sum along x: short[q] (+)= sum over j of wide[q stride + j dilation - pad], or its transpose. */
static void along_x(const Window *w, f32 *wide, f32 *narrow, i32 transposed) {
  i32 channels = w->channels;
  for (i32 j = 0; j < w->kernel_x; j++) {
    i32 offset = j * w->dilation_x - w->pad_x, from, to;
    span(w->width, w->out_width, w->stride_x, offset, &from, &to);
    if (to <= from) continue;
    if (w->stride_x == 1) {
      f32 *a = wide + (from + offset) * channels, *b = narrow + from * channels;
      add(transposed ? a : b, transposed ? b : a, (to - from) * channels);
      continue;
    }
    for (i32 q = from; q < to; q++) {
      f32 *a = wide + (q * w->stride_x + offset) * channels, *b = narrow + q * channels;
      add(transposed ? a : b, transposed ? b : a, channels);
    }
  }
}

/* Window sum in two passes, rows then columns. y and `rows` (height * out_width * channels floats) must hold zeros. */
__attribute__((export_name("sumPool"))) void sum_pool(const Window *w, f32 *x, f32 *y, f32 *rows) {
  i32 line = w->out_width * w->channels;
  for (i32 n = 0; n < w->batch; n++) {
    __builtin_memset(rows, 0, (unsigned)(w->height * line) * sizeof(f32));
    for (i32 h = 0; h < w->height; h++)
      along_x(w, x + (n * w->height + h) * w->width * w->channels, rows + h * line, 0);
    for (i32 p = 0; p < w->out_height; p++)
      for (i32 i = 0; i < w->kernel_y; i++) {
        i32 h = p * w->stride_y - w->pad_y + i * w->dilation_y;
        if (h >= 0 && h < w->height) add(y + (n * w->out_height + p) * line, rows + h * line, line);
      }
  }
}

/* dx must hold zeros; `rows` as in sumPool. */
__attribute__((export_name("sumPoolGrad"))) void sum_pool_grad(const Window *w, f32 *dy, f32 *dx, f32 *rows) {
  i32 line = w->out_width * w->channels;
  for (i32 n = 0; n < w->batch; n++) {
    __builtin_memset(rows, 0, (unsigned)(w->height * line) * sizeof(f32));
    for (i32 p = 0; p < w->out_height; p++)
      for (i32 i = 0; i < w->kernel_y; i++) {
        i32 h = p * w->stride_y - w->pad_y + i * w->dilation_y;
        if (h >= 0 && h < w->height) add(rows + h * line, dy + (n * w->out_height + p) * line, line);
      }
    for (i32 h = 0; h < w->height; h++)
      along_x(w, dx + (n * w->height + h) * w->width * w->channels, rows + h * line, 1);
  }
}
