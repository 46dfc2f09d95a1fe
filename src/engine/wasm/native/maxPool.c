/* The gradient of max pooling. tfjs's own kernel leaves the pixels that win no window as it found the memory. */
#include "window.h"

/* dx (zeros) of the image's shape: each error of dy is added to the first largest pixel of its window; pixels outside
 * the image take no part. */
__attribute__((export_name("maxPoolGrad"))) void max_pool_grad(const Window *w, const f32 *x, const f32 *dy, f32 *dx) {
  i32 c = w->channels, plane = w->height * w->width * c;
  for (i32 n = 0; n < w->batch; n++, x += plane, dx += plane)
    for (i32 oy = 0; oy < w->out_height; oy++)
      for (i32 ox = 0; ox < w->out_width; ox++, dy += c)
        for (i32 k = 0; k < c; k++) {
          i32 best = -1;
          for (i32 i = 0; i < w->kernel_y; i++) {
            i32 y = oy * w->stride_y - w->pad_y + i * w->dilation_y;
            if (y < 0 || y >= w->height) continue;
            for (i32 j = 0; j < w->kernel_x; j++) {
              i32 column = ox * w->stride_x - w->pad_x + j * w->dilation_x;
              if (column < 0 || column >= w->width) continue;
              i32 at = (y * w->width + column) * c + k;
              if (best < 0 || x[at] > x[best]) best = at;
            }
          }
          if (best >= 0) dx[best] += dy[k];
        }
}
