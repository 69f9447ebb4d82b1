// Random images in memory cut to size, for the test programs.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "octoview_native.h"

#define EXPECT(condition)                                                    \
  do {                                                                       \
    if (!(condition)) {                                                      \
      std::printf("%s:%d: %s is false\n", __FILE__, __LINE__, #condition);   \
      std::exit(1);                                                          \
    }                                                                        \
  } while (false)

static std::mt19937 random_bits(7);
static inline int pick(int low, int high) {
  return std::uniform_int_distribution<>(low, high)(random_bits);
}

// An image in memory that ends with its last pixel.
struct Picture {
  Picture(octoview_layout layout, int width, int height, int gap) {
    const int samples = layout == OCTOVIEW_NV12 ? 1 : layout == OCTOVIEW_YUYV ? 2 : 3;
    const int stride = width * samples + gap;
    bytes.resize(size_t(stride) * (height - 1) + width * samples);
    for (uint8_t& byte : bytes) byte = uint8_t(pick(0, 255));
    image = {layout, width, height, bytes.data(), stride, nullptr, 0};
    if (layout != OCTOVIEW_NV12) return;
    chroma.resize(size_t(stride) * (height / 2 - 1) + width, 90);
    image.chroma = chroma.data();
    image.chroma_stride = stride;
  }
  std::vector<uint8_t> bytes, chroma;
  octoview_image image;
};

static inline octoview_tensor tensor(int width, int height, octoview_dtype dtype) {
  return {width, height, dtype, {0.02f, 0.02f, 0.02f}, {2.0f, 2.0f, 2.0f}};
}
