// IEEE 754 binary16 for compilers that do not have it.
#pragma once

#include <cstdint>
#include <cstring>

#include "arithmetic.h"

namespace octoview {

// Rounded to nearest, ties to even, as NumPy does. For finite values below 65520.
OCTOVIEW_BOTH inline uint16_t to_half(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint16_t sign = uint16_t(bits >> 16 & 0x8000);
  bits &= 0x7fffffff;
  if (bits < 0x38800000) {  // below 2^-14: subnormal, in steps of 2^-24
    float magnitude;
    std::memcpy(&magnitude, &bits, sizeof magnitude);
    magnitude += 0.5f;  // whose last bit is 2^-24, so the addition itself rounds
    std::memcpy(&bits, &magnitude, sizeof bits);
    return uint16_t(sign | (bits - 0x3f000000));
  }
  bits += 0xfff + (bits >> 13 & 1);
  return uint16_t(sign | ((bits - 0x38000000) >> 13));
}

}  // namespace octoview
