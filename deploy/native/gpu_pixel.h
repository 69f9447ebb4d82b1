// All that one thread of the GPU does: one pixel of the tensor, or of the scene. Plain C++, so that
// the CPU can run it too and tests hold it to the CPU kernels, byte for byte, without a GPU.
#pragma once

#include "arithmetic.h"
#include "half.h"
#include "octoview_cuda.h"
#include "pixel.h"

namespace octoview {

// What all pixels of one camera share.
struct Slot {
  octoview_camera camera;
  Resize resize;
};

// A kernel's whole argument, by value: nothing has to be copied to the GPU beforehand, and a CUDA
// graph keeps it.
struct Bucket {
  Slot slots[OCTOVIEW_CUDA_CAMERAS];
  octoview_tensor tensor;
  uint8_t mean[3];
};

inline Bucket make_bucket(const octoview_camera* cameras, int32_t count,
                          const octoview_tensor& tensor) {
  Bucket bucket{};
  for (int32_t i = 0; i < count; ++i) bucket.slots[i] = {cameras[i], plan_resize(cameras[i])};
  bucket.tensor = tensor;
  for (int c = 0; c < 3; ++c) bucket.mean[c] = mean_byte(tensor, c);
  return bucket;
}

// Where a column or row of the tensor lies in the image; the same for a whole column or row.
OCTOVIEW_BOTH inline Tap column_tap(const Slot& slot, int32_t x) {
  return axis_tap(x - slot.camera.left, slot.camera.image.width, slot.resize.step_x, false);
}

OCTOVIEW_BOTH inline Tap row_tap(const Slot& slot, int32_t y) {
  return axis_tap(y - slot.camera.top, slot.camera.image.height, slot.resize.step_y, true);
}

// Red, green, blue of the pixel x, y of the tensor; false where it shows no image.
OCTOVIEW_BOTH inline bool shown(const Slot& slot, int32_t tensor_width, int32_t x, int32_t y,
                                const Tap& column, const Tap& row, uint8_t rgb[3]) {
  const octoview_camera& camera = slot.camera;
  if (camera.map) {
    const int32_t* place = camera.map + 2 * (int64_t(y) * tensor_width + x);
    if (!shows_image(camera.image, place)) return false;
    mapped_pixel(camera.image, place, rgb);
    return true;
  }
  x -= camera.left;
  y -= camera.top;
  if (x < 0 || y < 0 || x >= camera.width || y >= camera.height) return false;
  if (slot.resize.same) {
    pixel(camera.image, x, y, rgb);
    return true;
  }
  const bool half = slot.resize.half;
  const int32_t left = half ? 2 * x : column.low, right = half ? 2 * x + 1 : column.high;
  const int32_t upper = half ? 2 * y : row.low, lower = half ? 2 * y + 1 : row.high;
  uint8_t a[3] = {}, b[3] = {}, c[3] = {}, d[3] = {};
  pixel(camera.image, left, upper, a);
  pixel(camera.image, right, upper, b);
  pixel(camera.image, left, lower, c);
  pixel(camera.image, right, lower, d);
  for (int i = 0; i < 3; ++i)
    rgb[i] = half ? average(a[i], b[i], c[i], d[i])
                  : blend_y(blend_x(a[i], b[i], column.weight_low, column.weight_high),
                            blend_x(c[i], d[i], column.weight_low, column.weight_high),
                            row.weight_low, row.weight_high);
  return true;
}

// Write the pixel x, y of a camera's three planes.
OCTOVIEW_BOTH inline void preprocess_pixel(const Bucket& bucket, int32_t camera, int32_t x,
                                           int32_t y, const Tap& column, const Tap& row) {
  const octoview_tensor& tensor = bucket.tensor;
  void* output = bucket.slots[camera].camera.output;
  uint8_t rgb[3] = {};
  const bool inside = shown(bucket.slots[camera], tensor.width, x, y, column, row, rgb);
  for (int c = 0; c < 3; ++c) {
    const int64_t at = (int64_t(c) * tensor.height + y) * tensor.width + x;
    const float value = inside ? normalised(rgb[c], tensor.scale[c], tensor.offset[c]) : 0.0f;
    switch (tensor.dtype) {
      case OCTOVIEW_FLOAT32: static_cast<float*>(output)[at] = value; break;
      case OCTOVIEW_FLOAT16: static_cast<uint16_t*>(output)[at] = to_half(value); break;
      case OCTOVIEW_UINT8:
        static_cast<uint8_t*>(output)[at] = inside ? rgb[c] : bucket.mean[c];
        break;
    }
  }
}

// As octoview_cuda_scene has it.
struct Scene {
  const float* logits;
  int32_t classes, height, width, out_height, out_width;
  uint8_t* labels;
  uint32_t groups[OCTOVIEW_CUDA_GROUPS];
  int32_t group_count;
  float* probabilities;
};

// Write the pixel x, y of an image's labels and probabilities.
OCTOVIEW_BOTH inline void scene_pixel(const Scene& scene, int32_t image, int32_t x, int32_t y,
                                      const FloatTap& column, const FloatTap& row) {
  const int64_t plane = int64_t(scene.height) * scene.width;
  const float* first = scene.logits + image * scene.classes * plane;
  // Made anew for the second pass: 32 values would not fit the registers.
  const auto logit = [&](int32_t c) {
    const float* upper = first + c * plane + int64_t(row.low) * scene.width;
    const float* lower = first + c * plane + int64_t(row.high) * scene.width;
    return mix(mix(upper[column.low], lower[column.low], row.weight),
               mix(upper[column.high], lower[column.high], row.weight), column.weight);
  };
  float largest = logit(0);
  int32_t label = 0;
  for (int32_t c = 1; c < scene.classes; ++c) {
    const float value = logit(c);
    if (value > largest) {
      largest = value;
      label = c;
    }
  }
  const int64_t size = int64_t(scene.out_height) * scene.out_width;
  const int64_t at = int64_t(y) * scene.out_width + x;
  scene.labels[image * size + at] = uint8_t(label);
  if (scene.group_count == 0) return;
  float sum = 0, grouped[OCTOVIEW_CUDA_GROUPS] = {};
  for (int32_t c = 0; c < scene.classes; ++c) {
    const float value = exponential(logit(c), largest);
    sum += value;
    for (int32_t g = 0; g < OCTOVIEW_CUDA_GROUPS; ++g)
      if (scene.groups[g] >> c & 1) grouped[g] += value;
  }
  for (int32_t g = 0; g < OCTOVIEW_CUDA_GROUPS; ++g)
    if (g < scene.group_count)
      scene.probabilities[(int64_t(image) * scene.group_count + g) * size + at] = grouped[g] / sum;
}

}  // namespace octoview
