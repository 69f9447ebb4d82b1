// Class logits to labels and probabilities, resized on the way; one output row at a time.
#include <algorithm>
#include <vector>

#include "arithmetic.h"
#include "check.h"
#include "octoview_native.h"
#include "pool.h"
#include "simd.h"

namespace octoview {

OCTOVIEW_SIMD void mix_rows(const float* __restrict a, const float* __restrict b, float weight,
                            int32_t width, float* __restrict out) {
  for (int32_t x = 0; x < width; ++x) out[x] = mix(a[x], b[x], weight);
}

OCTOVIEW_SIMD void spread(const float* __restrict in, const FloatTap* __restrict taps,
                          int32_t width, float* __restrict out) {
  for (int32_t x = 0; x < width; ++x) out[x] = mix(in[taps[x].low], in[taps[x].high], taps[x].weight);
}

OCTOVIEW_SIMD void keep_largest(const float* __restrict logits, int32_t label, int32_t width,
                                float* __restrict largest, int32_t* __restrict labels) {
  for (int32_t x = 0; x < width; ++x) {
    const bool larger = logits[x] > largest[x];
    largest[x] = larger ? logits[x] : largest[x];
    labels[x] = larger ? label : labels[x];
  }
}

OCTOVIEW_SIMD void exponentials(const float* __restrict logits, const float* __restrict largest,
                                int32_t width, float* __restrict out) {
  for (int32_t x = 0; x < width; ++x) out[x] = exponential(logits[x], largest[x]);
}

OCTOVIEW_SIMD void add(const float* __restrict in, int32_t width, float* __restrict sum) {
  for (int32_t x = 0; x < width; ++x) sum[x] += in[x];
}

OCTOVIEW_SIMD void divide(const float* __restrict sum, int32_t width, float* __restrict out) {
  for (int32_t x = 0; x < width; ++x) out[x] /= sum[x];
}

}  // namespace octoview

const char* octoview_scene(octoview_pool* pool, const float* logits, int32_t classes,
                           int32_t height, int32_t width, int32_t out_height, int32_t out_width,
                           uint8_t* labels, const uint32_t* groups, int32_t group_count,
                           float* probabilities) {
  using namespace octoview;
  if (const char* wrong = check_scene(classes, height, width, out_height, out_width)) return wrong;
  std::vector<FloatTap> across;
  for (int32_t x = 0; x < out_width; ++x) across.push_back(float_tap(x, width, out_width));
  const int32_t rows = 16;
  pool->run((out_height + rows - 1) / rows, [&](int32_t band) {
    std::vector<float> mixed(width), values(size_t(classes) * out_width), exponential(out_width);
    std::vector<float> largest(out_width), sum(out_width);
    std::vector<int32_t> label(out_width);
    for (int32_t y = band * rows; y < std::min((band + 1) * rows, out_height); ++y) {
      const FloatTap tap = float_tap(y, height, out_height);
      for (int32_t c = 0; c < classes; ++c) {
        const float* plane = logits + int64_t(c) * height * width;
        const float* upper = plane + int64_t(tap.low) * width;
        const float* lower = plane + int64_t(tap.high) * width;
        float* row = &values[size_t(c) * out_width];
        mix_rows(upper, lower, tap.weight, width, mixed.data());
        spread(mixed.data(), across.data(), out_width, row);
        if (c == 0) {
          std::copy_n(row, out_width, largest.data());
          std::fill(label.begin(), label.end(), 0);
        } else {
          keep_largest(row, c, out_width, largest.data(), label.data());
        }
      }
      std::copy(label.begin(), label.end(), labels + int64_t(y) * out_width);
      const auto probability = [&](int32_t g) {
        return probabilities + (int64_t(g) * out_height + y) * out_width;
      };
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (int32_t g = 0; g < group_count; ++g) std::fill_n(probability(g), out_width, 0.0f);
      for (int32_t c = 0; c < classes; ++c) {
        exponentials(&values[size_t(c) * out_width], largest.data(), out_width,
                     exponential.data());
        add(exponential.data(), out_width, sum.data());
        for (int32_t g = 0; g < group_count; ++g)
          if (groups[g] >> c & 1) add(exponential.data(), out_width, probability(g));
      }
      for (int32_t g = 0; g < group_count; ++g) divide(sum.data(), out_width, probability(g));
    }
  });
  return nullptr;
}
