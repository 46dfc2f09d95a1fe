/* A window over an NHWC image and the convolution built on it, as the caller writes them: 32-bit whole numbers. */
#pragma once
#include "gemm.h"

typedef struct {
  i32 batch, height, width, channels;
  i32 out_height, out_width, filters;
  i32 kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups;
} Window;
