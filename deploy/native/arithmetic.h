// The arithmetic that CPU and GPU share. It is OpenCV's own for 8-bit images, step by step, so that
// the kernels give the bytes of the reference and not merely values close to them.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define OCTOVIEW_BOTH __host__ __device__
#else
#define OCTOVIEW_BOTH
#endif

namespace octoview {

// Two neighbours along one axis, with weights in 1/2048.
struct Tap {
  int32_t low, high;
  int16_t weight_low, weight_high;
};

// Source pixels per resized pixel, rounded as cv::resize rounds it.
inline double source_step(int32_t source, int32_t resized) {
  return 1.0 / (double(resized) / double(source));
}

// cv::resize, INTER_LINEAR. Beyond the border it drops the fraction of x, but keeps that of y and
// takes the border row twice, which rounds differently.
OCTOVIEW_BOTH inline Tap axis_tap(int32_t position, int32_t source, double step, bool vertical) {
  float at = float((position + 0.5) * step - 0.5);
  int32_t low = int32_t(floorf(at));
  float fraction = at - float(low);
  if (!vertical && (low < 0 || low >= source - 1)) fraction = 0;
  const int32_t last = source - 1;
  const int32_t high = low + 1;
  Tap tap;
  tap.low = low < 0 ? 0 : low > last ? last : low;
  tap.high = high < 0 ? 0 : high > last ? last : high;
  tap.weight_low = int16_t(rintf((1.0f - fraction) * 2048.0f));
  tap.weight_high = int16_t(rintf(fraction * 2048.0f));
  return tap;
}

// Along x, then 4 bits dropped so that the sum fits 16 bits (at most 255 * 2048 / 16 = 32640).
OCTOVIEW_BOTH inline int16_t blend_x(int32_t low, int32_t high, int32_t weight_low,
                                     int32_t weight_high) {
  return int16_t((low * weight_low + high * weight_high) >> 4);
}

OCTOVIEW_BOTH inline uint8_t blend_y(int16_t low, int16_t high, int16_t weight_low,
                                     int16_t weight_high) {
  const int32_t sum = ((int32_t(low) * weight_low) >> 16) + ((int32_t(high) * weight_high) >> 16);
  return uint8_t((sum + 2) >> 2);
}

// Exactly half the size: cv::resize averages four pixels.
OCTOVIEW_BOTH inline uint8_t average(int32_t a, int32_t b, int32_t c, int32_t d) {
  return uint8_t((a + b + c + d + 2) >> 2);
}

// cv::remap with fixed-point maps: fractions in 1/32.
OCTOVIEW_BOTH inline uint8_t blend_map(int32_t a, int32_t b, int32_t c, int32_t d, int32_t fx,
                                       int32_t fy) {
  const int32_t top = a * (32 - fx) + b * fx;
  const int32_t bottom = c * (32 - fx) + d * fx;
  return uint8_t((top * (32 - fy) + bottom * fy + 512) >> 10);
}

OCTOVIEW_BOTH inline uint8_t clamp_byte(int32_t value) {
  return uint8_t(value < 0 ? 0 : value > 255 ? 255 : value);
}

// BT.601, limited range, in 1/2^20 as cv::cvtColor has it.
OCTOVIEW_BOTH inline void yuv_to_rgb(int32_t y, int32_t u, int32_t v, uint8_t& red, uint8_t& green,
                                     uint8_t& blue) {
  const int32_t half = 1 << 19;
  const int32_t luma = (y < 16 ? 0 : y - 16) * 1220542;
  u -= 128;
  v -= 128;
  red = clamp_byte((luma + half + 1673527 * v) >> 20);
  green = clamp_byte((luma + half - 852492 * v - 409993 * u) >> 20);
  blue = clamp_byte((luma + half + 2116026 * u) >> 20);
}

OCTOVIEW_BOTH inline float normalised(uint8_t value, float scale, float offset) {
  return float(value) * scale - offset;
}

// Two neighbours along one axis and the second one's weight; pixel centres at half integers.
struct FloatTap {
  int32_t low, high;
  float weight;
};

OCTOVIEW_BOTH inline FloatTap float_tap(int32_t position, int32_t source, int32_t resized) {
  const double at = (position + 0.5) * source / resized - 0.5;
  const double last = source - 1.0;
  const double inside = at < 0.0 ? 0.0 : at > last ? last : at;
  FloatTap tap;
  tap.low = int32_t(inside);
  tap.high = tap.low + 1 < source ? tap.low + 1 : source - 1;
  tap.weight = float(inside - tap.low);
  return tap;
}

OCTOVIEW_BOTH inline float mix(float a, float b, float weight) { return a + (b - a) * weight; }

// exp(logit - largest), at most 1. Cephes' expf without its special cases: 2^n e^r,
// |r| <= ln(2) / 2.
OCTOVIEW_BOTH inline float exponential(float logit, float largest) {
  float v = logit - largest;
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
  return p * two_to_n;
}

}  // namespace octoview
