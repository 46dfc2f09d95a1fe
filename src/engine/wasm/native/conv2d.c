/* Convolution and its two gradients as matrix products whose left side is the patches of an image, read in place. */
#include "window.h"

/* `taps` has room for 3 * kernel_y * kernel_x numbers. */
static void fill_taps(const Window *c, i32 *tap_y, i32 *tap_x) {
  for (i32 i = 0; i < c->kernel_y; i++)
    for (i32 j = 0; j < c->kernel_x; j++) {
      tap_y[i * c->kernel_x + j] = i * c->dilation_y - c->pad_y;
      tap_x[i * c->kernel_x + j] = j * c->dilation_x - c->pad_x;
    }
}

static Patches image_patches(const Window *c, const f32 *x, i32 group, const i32 *tap_y, const i32 *tap_x) {
  i32 channels = c->channels / c->groups;
  Patches p = {.base = x + group * channels,
               .height = c->height,
               .width = c->width,
               .pixel = c->channels,
               .rows_y = c->out_height,
               .rows_x = c->out_width,
               .step_y = c->stride_y,
               .step_x = c->stride_x,
               .channels = channels,
               .tap_y = tap_y,
               .tap_x = tap_x};
  return p;
}

__attribute__((export_name("conv2d"))) void conv2d(const Window *c, const f32 *x, const f32 *filter, f32 *y, i32 *taps,
                                                    f32 *scratch) {
  i32 count = c->kernel_y * c->kernel_x, channels = c->channels / c->groups, filters = c->filters / c->groups;
  i32 *tap_y = taps, *tap_x = taps + count;
  fill_taps(c, tap_y, tap_x);
  for (i32 g = 0; g < c->groups; g++) {
    Left left = {.kind = PATCHES, .patches = image_patches(c, x, g, tap_y, tap_x)};
    Right right = {.base = filter + g * filters, .channels = count * channels, .row = c->filters, .column = 1};
    Out out = {.base = y + g * filters, .row = c->filters};
    gemm(c->batch * c->out_height * c->out_width, filters, count * channels, &left, &right, &out, scratch);
  }
}

__attribute__((export_name("conv2dFilterGrad"))) void conv2d_filter_grad(const Window *c, const f32 *x, const f32 *dy,
                                                                          f32 *df, i32 *taps, f32 *scratch) {
  i32 count = c->kernel_y * c->kernel_x, channels = c->channels / c->groups, filters = c->filters / c->groups;
  i32 places = c->batch * c->out_height * c->out_width;
  i32 *tap_y = taps, *tap_x = taps + count;
  fill_taps(c, tap_y, tap_x);
  for (i32 g = 0; g < c->groups; g++) {
    Left left = {.kind = PATCHES_TRANSPOSED, .patches = image_patches(c, x, g, tap_y, tap_x)};
    Right right = {.base = dy + g * filters, .channels = places, .row = c->filters, .column = 1};
    Out out = {.base = df + g * filters, .row = c->filters};
    gemm(count * channels, filters, places, &left, &right, &out, scratch);
  }
}

static i32 ceil_div(i32 a, i32 b) { return (a + b - 1) / b; }

static i32 floor_div(i32 a, i32 b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

/* dx must hold zeros. The pixels of an image fall into stride_y * stride_x phases; those of one phase see the same
 * taps: pixel u s + a meets tap i where s divides a + pad - i dilation, at the output u + (a + pad - i dilation) / s. */
__attribute__((export_name("conv2dInputGrad"))) void conv2d_input_grad(const Window *c, const f32 *dy, const f32 *filter,
                                                                        f32 *dx, i32 *taps, f32 *scratch) {
  i32 most = c->kernel_y * c->kernel_x, channels = c->channels / c->groups, filters = c->filters / c->groups;
  i32 *tap_y = taps, *tap_x = taps + most, *offset = taps + 2 * most;
  for (i32 a = 0; a < c->stride_y && a < c->height; a++)
    for (i32 b = 0; b < c->stride_x && b < c->width; b++) {
      i32 count = 0;
      for (i32 i = 0; i < c->kernel_y; i++) {
        i32 y = a + c->pad_y - i * c->dilation_y;
        if (floor_div(y, c->stride_y) * c->stride_y != y) continue;
        for (i32 j = 0; j < c->kernel_x; j++) {
          i32 x = b + c->pad_x - j * c->dilation_x;
          if (floor_div(x, c->stride_x) * c->stride_x != x) continue;
          tap_y[count] = floor_div(y, c->stride_y);
          tap_x[count] = floor_div(x, c->stride_x);
          offset[count++] = (i * c->kernel_x + j) * channels * c->filters;
        }
      }
      if (count == 0) continue;
      i32 rows_y = ceil_div(c->height - a, c->stride_y), rows_x = ceil_div(c->width - b, c->stride_x);
      for (i32 g = 0; g < c->groups; g++) {
        Patches patches = {.base = dy + g * filters,
                           .height = c->out_height,
                           .width = c->out_width,
                           .pixel = c->filters,
                           .rows_y = rows_y,
                           .rows_x = rows_x,
                           .step_y = 1,
                           .step_x = 1,
                           .channels = filters,
                           .tap_y = tap_y,
                           .tap_x = tap_x};
        Left left = {.kind = PATCHES, .patches = patches};
        Right right = {.base = filter + g * filters,
                       .channels = filters,
                       .row = 1,
                       .column = c->filters,
                       .tap_offset = offset};
        Out out = {.base = dx + g * channels,
                   .height = c->height,
                   .width = c->width,
                   .pixel = c->channels,
                   .rows_y = rows_y,
                   .rows_x = rows_x,
                   .step_y = c->stride_y,
                   .step_x = c->stride_x,
                   .off_y = a,
                   .off_x = b};
        gemm(c->batch * rows_y * rows_x, channels, count * filters, &left, &right, &out, scratch);
      }
    }
}
