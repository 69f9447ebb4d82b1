// The arithmetic that CPU and GPU share. It is OpenCV's own for 8-bit images, step by step, so that
// the kernels give the bytes of the reference and not merely values close to them.
#pragma once

#include <cmath>
#include <cstdint>

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

}  // namespace octoview
