// One pixel of an image, wherever it lies; and how an image is resized.
#pragma once

#include "arithmetic.h"
#include "octoview_native.h"

namespace octoview {

OCTOVIEW_BOTH inline void pixel(const octoview_image& image, int32_t x, int32_t y,
                                uint8_t rgb[3]) {
  const uint8_t* row = image.data + y * image.stride;
  switch (image.layout) {
    case OCTOVIEW_BGR:
      for (int c = 0; c < 3; ++c) rgb[c] = row[3 * x + 2 - c];
      return;
    case OCTOVIEW_RGB:
      for (int c = 0; c < 3; ++c) rgb[c] = row[3 * x + c];
      return;
    case OCTOVIEW_NV12: {
      const uint8_t* uv = image.chroma + y / 2 * image.chroma_stride + x / 2 * 2;
      return yuv_to_rgb(row[x], uv[0], uv[1], rgb[0], rgb[1], rgb[2]);
    }
    case OCTOVIEW_YUYV: {
      const uint8_t* pair = row + x / 2 * 4;
      return yuv_to_rgb(row[2 * x], pair[1], pair[3], rgb[0], rgb[1], rgb[2]);
    }
  }
}

// `place`: x, y in 1/32 pixel.
OCTOVIEW_BOTH inline bool shows_image(const octoview_image& image, const int32_t* place) {
  return place[0] >= 0 && place[1] >= 0 && place[0] <= (image.width - 1) * 32 &&
         place[1] <= (image.height - 1) * 32;
}

// Only where shows_image is true. At the last row and column the fraction is 0.
OCTOVIEW_BOTH inline void mapped_pixel(const octoview_image& image, const int32_t* place,
                                       uint8_t rgb[3]) {
  const int32_t x = place[0] >> 5, y = place[1] >> 5, fx = place[0] & 31, fy = place[1] & 31;
  const int32_t right = fx ? x + 1 : x, below = fy ? y + 1 : y;
  uint8_t a[3] = {}, b[3] = {}, c[3] = {}, d[3] = {};
  pixel(image, x, y, a);
  pixel(image, right, y, b);
  pixel(image, x, below, c);
  pixel(image, right, below, d);
  for (int i = 0; i < 3; ++i) rgb[i] = blend_map(a[i], b[i], c[i], d[i], fx, fy);
}

// Padding of a channel in 8 bits.
inline uint8_t mean_byte(const octoview_tensor& tensor, int c) {
  return clamp_byte(int32_t(std::lrint(tensor.offset[c] / tensor.scale[c])));
}

// How an image comes to its size in the tensor: as it is, halved, or between two taps.
struct Resize {
  bool same, half;
  double step_x, step_y;
};

inline Resize plan_resize(const octoview_camera& camera) {
  const octoview_image& image = camera.image;
  Resize plan{};
  if (camera.map) return plan;
  plan.same = camera.width == image.width && camera.height == image.height;
  plan.half = camera.width * 2 == image.width && camera.height * 2 == image.height;
  plan.step_x = source_step(image.width, camera.width);
  plan.step_y = source_step(image.height, camera.height);
  return plan;
}

}  // namespace octoview
