// Class logits to labels and probabilities, resized on the way; one output row at a time.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "octoview_native.h"
#include "pool.h"
#include "simd.h"

namespace octoview {

// Two neighbours along one axis and the second one's weight; pixel centres at half integers.
struct FloatTap {
  int32_t low, high;
  float weight;
};

static FloatTap float_tap(int32_t position, int32_t source, int32_t resized) {
  const double at = (position + 0.5) * source / resized - 0.5;
  const double inside = std::min(std::max(at, 0.0), source - 1.0);
  const int32_t low = int32_t(inside);
  return {low, std::min(low + 1, source - 1), float(inside - low)};
}

OCTOVIEW_SIMD void mix(const float* __restrict a, const float* __restrict b, float weight,
                       int32_t width, float* __restrict out) {
  for (int32_t x = 0; x < width; ++x) out[x] = a[x] + (b[x] - a[x]) * weight;
}

OCTOVIEW_SIMD void spread(const float* __restrict in, const FloatTap* __restrict taps,
                          int32_t width, float* __restrict out) {
  for (int32_t x = 0; x < width; ++x) {
    const float low = in[taps[x].low];
    out[x] = low + (in[taps[x].high] - low) * taps[x].weight;
  }
}

OCTOVIEW_SIMD void keep_largest(const float* __restrict logits, int32_t label, int32_t width,
                                float* __restrict largest, int32_t* __restrict labels) {
  for (int32_t x = 0; x < width; ++x) {
    const bool larger = logits[x] > largest[x];
    largest[x] = larger ? logits[x] : largest[x];
    labels[x] = larger ? label : labels[x];
  }
}

// exp(x - largest), at most 1. Cephes' expf without its special cases: 2^n e^r, |r| <= ln(2) / 2.
OCTOVIEW_SIMD void exponentials(const float* __restrict logits, const float* __restrict largest,
                                int32_t width, float* __restrict out) {
  for (int32_t x = 0; x < width; ++x) {
    float v = logits[x] - largest[x];
    v = v > -87.0f ? v : -87.0f;
    const float shifted = v * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: rounds to an integer
    const float n = shifted - 12582912.0f;
    const float r = (v - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const int32_t power = (int32_t(n) + 127) << 23;
    float two_to_n;
    std::memcpy(&two_to_n, &power, sizeof power);
    out[x] = p * two_to_n;
  }
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
  if (classes < 1 || classes > 32) return "scene: 1 to 32 classes";
  if (height < 1 || width < 1 || out_height < 1 || out_width < 1)
    return "scene: every side must be at least 1 pixel";
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
        mix(upper, lower, tap.weight, width, mixed.data());
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
