// Camera bytes to network tensor in one pass: a band of output rows at a time, with every
// intermediate row in the cache. Loops over a row are written for the compiler to vectorise.
#include <algorithm>
#include <cstring>
#include <vector>

#include "arithmetic.h"
#include "check.h"
#include "half.h"
#include "pixel.h"
#include "pool.h"
#include "simd.h"

namespace octoview {

// ---- one row, any layout, to planes red, green, blue

OCTOVIEW_SIMD void split_bgr(const uint8_t* __restrict in, int32_t width, uint8_t* __restrict first,
                             uint8_t* __restrict second, uint8_t* __restrict third) {
  for (int32_t x = 0; x < width; ++x) {
    first[x] = in[3 * x];
    second[x] = in[3 * x + 1];
    third[x] = in[3 * x + 2];
  }
}

OCTOVIEW_SIMD void split_nv12(const uint8_t* __restrict luma, const uint8_t* __restrict chroma,
                              int32_t width, uint8_t* __restrict red, uint8_t* __restrict green,
                              uint8_t* __restrict blue) {
  for (int32_t x = 0; x < width; x += 2) {
    const int32_t u = chroma[x], v = chroma[x + 1];
    yuv_to_rgb(luma[x], u, v, red[x], green[x], blue[x]);
    yuv_to_rgb(luma[x + 1], u, v, red[x + 1], green[x + 1], blue[x + 1]);
  }
}

OCTOVIEW_SIMD void split_yuyv(const uint8_t* __restrict in, int32_t width, uint8_t* __restrict red,
                              uint8_t* __restrict green, uint8_t* __restrict blue) {
  for (int32_t x = 0; x < width; x += 2) {
    const int32_t u = in[2 * x + 1], v = in[2 * x + 3];
    yuv_to_rgb(in[2 * x], u, v, red[x], green[x], blue[x]);
    yuv_to_rgb(in[2 * x + 2], u, v, red[x + 1], green[x + 1], blue[x + 1]);
  }
}

// `rgb`: 3 rows of `width` bytes.
void split_row(const octoview_image& image, int32_t y, uint8_t* rgb) {
  const uint8_t* row = image.data + y * image.stride;
  uint8_t *red = rgb, *green = rgb + image.width, *blue = green + image.width;
  switch (image.layout) {
    case OCTOVIEW_BGR: return split_bgr(row, image.width, blue, green, red);
    case OCTOVIEW_RGB: return split_bgr(row, image.width, red, green, blue);
    case OCTOVIEW_NV12:
      return split_nv12(row, image.chroma + y / 2 * image.chroma_stride, image.width, red, green,
                        blue);
    case OCTOVIEW_YUYV: return split_yuyv(row, image.width, red, green, blue);
  }
}

// ---- resize

OCTOVIEW_SIMD void halve(const uint8_t* __restrict upper, const uint8_t* __restrict lower,
                         int32_t width, uint8_t* __restrict out) {
  for (int32_t x = 0; x < width; ++x)
    out[x] = average(upper[2 * x], upper[2 * x + 1], lower[2 * x], lower[2 * x + 1]);
}

OCTOVIEW_SIMD void resize_x(const uint8_t* __restrict in, const Tap* __restrict taps, int32_t width,
                            int16_t* __restrict out) {
  for (int32_t x = 0; x < width; ++x)
    out[x] = blend_x(in[taps[x].low], in[taps[x].high], taps[x].weight_low, taps[x].weight_high);
}

OCTOVIEW_SIMD void resize_y(const int16_t* __restrict upper, const int16_t* __restrict lower,
                            int16_t weight_low, int16_t weight_high, int32_t width,
                            uint8_t* __restrict out) {
  for (int32_t x = 0; x < width; ++x)
    out[x] = blend_y(upper[x], lower[x], weight_low, weight_high);
}

// ---- to the tensor's type

OCTOVIEW_SIMD void normalise(const uint8_t* __restrict in, int32_t width, float scale, float offset,
                             float* __restrict out) {
  for (int32_t x = 0; x < width; ++x) out[x] = normalised(in[x], scale, offset);
}

// A value of one channel by table, for the types that are no plain arithmetic.
template <typename T>
void look_up(const uint8_t* in, int32_t width, const T* table, T* out) {
  for (int32_t x = 0; x < width; ++x) out[x] = table[in[x]];
}

// Rows of one channel of one camera, in the tensor's type.
class Writer {
 public:
  explicit Writer(const octoview_tensor& tensor) : tensor_(tensor) {
    for (int c = 0; c < 3; ++c) {
      mean_[c] = mean_byte(tensor, c);
      for (int v = 0; v < 256; ++v)
        half_[c][v] = to_half(normalised(uint8_t(v), tensor.scale[c], tensor.offset[c]));
    }
  }

  // `width` pixels from `left`; `in` holds as many.
  void store(void* output, int c, int32_t y, int32_t left, int32_t width, const uint8_t* in) const {
    const int64_t at = first(c, y) + left;
    switch (tensor_.dtype) {
      case OCTOVIEW_FLOAT32:
        return normalise(in, width, tensor_.scale[c], tensor_.offset[c],
                         static_cast<float*>(output) + at);
      case OCTOVIEW_FLOAT16:
        return look_up(in, width, half_[c], static_cast<uint16_t*>(output) + at);
      case OCTOVIEW_UINT8: std::memcpy(static_cast<uint8_t*>(output) + at, in, width);
    }
  }

  void pad(void* output, int c, int32_t y, int32_t left, int32_t width) const {
    const int64_t at = first(c, y) + left;
    switch (tensor_.dtype) {
      case OCTOVIEW_FLOAT32:
        return void(std::fill_n(static_cast<float*>(output) + at, width, 0.0f));
      case OCTOVIEW_FLOAT16:
        return void(std::fill_n(static_cast<uint16_t*>(output) + at, width, uint16_t(0)));
      case OCTOVIEW_UINT8:
        return void(std::fill_n(static_cast<uint8_t*>(output) + at, width, mean_[c]));
    }
  }

 private:
  int64_t first(int c, int32_t y) const {
    return (int64_t(c) * tensor_.height + y) * tensor_.width;
  }

  octoview_tensor tensor_;
  uint8_t mean_[3];
  uint16_t half_[3][256];
};

// ---- one camera

// Source rows by number, the last two kept: neighbours in the output share them.
template <typename T>
class TwoRows {
 public:
  explicit TwoRows(int32_t size) : rows_{std::vector<T>(size), std::vector<T>(size)} {}

  // The row `y`, made by make(y, memory) unless it is here; the row `keep` stays.
  template <typename Make>
  const T* get(int32_t y, int32_t keep, const Make& make) {
    for (int i = 0; i < 2; ++i)
      if (number_[i] == y) return rows_[i].data();
    const int i = number_[0] == keep ? 1 : 0;
    make(y, rows_[i].data());
    number_[i] = y;
    return rows_[i].data();
  }

 private:
  std::vector<T> rows_[2];
  int32_t number_[2] = {-1, -1};
};

// What is the same for all bands of one camera.
struct Plan {
  explicit Plan(const octoview_camera& camera) : camera(camera), resize(plan_resize(camera)) {
    if (camera.map || resize.same || resize.half) return;
    for (int32_t x = 0; x < camera.width; ++x)
      across.push_back(axis_tap(x, camera.image.width, resize.step_x, false));
  }

  const octoview_camera& camera;
  const Resize resize;
  std::vector<Tap> across;
};

// Rows [begin, end) of the tensor, from an image that is resized.
void resize_band(const Plan& plan, const octoview_tensor& tensor, const Writer& writer,
                 int32_t begin, int32_t end) {
  const octoview_camera& camera = plan.camera;
  const octoview_image& image = camera.image;
  const int32_t width = camera.width;
  std::vector<uint8_t> split(3 * size_t(image.width)), lower(3 * size_t(image.width));
  std::vector<uint8_t> out(3 * size_t(width));
  TwoRows<int16_t> resized(3 * width);
  const auto across = [&](int32_t y, int16_t* memory) {
    split_row(image, y, split.data());
    for (int c = 0; c < 3; ++c)
      resize_x(&split[size_t(c) * image.width], plan.across.data(), width, memory + c * width);
  };

  for (int32_t row = begin; row < end; ++row) {
    const int32_t y = row - camera.top;
    const bool inside = y >= 0 && y < camera.height;
    const uint8_t* pixels = out.data();
    if (!inside) {
      for (int c = 0; c < 3; ++c) writer.pad(camera.output, c, row, 0, tensor.width);
      continue;
    }
    if (plan.resize.same) {
      split_row(image, y, split.data());
      pixels = split.data();
    } else if (plan.resize.half) {
      split_row(image, 2 * y, split.data());
      split_row(image, 2 * y + 1, lower.data());
      for (int c = 0; c < 3; ++c)
        halve(&split[size_t(c) * image.width], &lower[size_t(c) * image.width], width,
              &out[size_t(c) * width]);
    } else {
      const Tap tap = axis_tap(y, image.height, plan.resize.step_y, true);
      const int16_t* high = resized.get(tap.high, tap.low, across);
      const int16_t* low = resized.get(tap.low, tap.high, across);
      resize_y(low, high, tap.weight_low, tap.weight_high, 3 * width, out.data());
    }
    const int32_t right = camera.left + width;
    for (int c = 0; c < 3; ++c) {
      writer.pad(camera.output, c, row, 0, camera.left);
      writer.store(camera.output, c, row, camera.left, width, pixels + size_t(c) * width);
      writer.pad(camera.output, c, row, right, tensor.width - right);
    }
  }
}

// Rows [begin, end) of the tensor, each pixel taken from where the map says.
void map_band(const octoview_camera& camera, const octoview_tensor& tensor, const Writer& writer,
              int32_t begin, int32_t end) {
  const int32_t width = tensor.width;
  std::vector<uint8_t> out(3 * size_t(width));
  for (int32_t row = begin; row < end; ++row) {
    const int32_t* places = camera.map + 2 * int64_t(row) * width;
    for (int32_t x = 0; x < width; ++x) {
      uint8_t rgb[3] = {};
      if (shows_image(camera.image, places + 2 * x)) mapped_pixel(camera.image, places + 2 * x, rgb);
      for (int c = 0; c < 3; ++c) out[size_t(c) * width + x] = rgb[c];
    }
    for (int c = 0; c < 3; ++c) {
      writer.store(camera.output, c, row, 0, width, &out[size_t(c) * width]);
      for (int32_t x = 0; x < width; ++x)
        if (!shows_image(camera.image, places + 2 * x)) writer.pad(camera.output, c, row, x, 1);
    }
  }
}

}  // namespace octoview

octoview_pool* octoview_pool_create(int32_t threads) { return new octoview_pool(threads); }

void octoview_pool_destroy(octoview_pool* pool) { delete pool; }

const char* octoview_preprocess(octoview_pool* pool, const octoview_camera* cameras, int32_t count,
                                const octoview_tensor* tensor) {
  using namespace octoview;
  if (const char* wrong = check(*tensor)) return wrong;
  for (int32_t i = 0; i < count; ++i)
    if (const char* wrong = check(cameras[i], *tensor)) return wrong;
  const std::vector<Plan> plans(cameras, cameras + count);
  const Writer writer(*tensor);
  // Small enough to balance the threads, large enough that rows made twice at a seam are few.
  const int32_t rows = 32;
  const int32_t bands = (tensor->height + rows - 1) / rows;
  pool->run(count * bands, [&](int32_t task) {
    const Plan& plan = plans[task / bands];
    const int32_t begin = task % bands * rows;
    const int32_t end = std::min(begin + rows, tensor->height);
    if (plan.camera.map)
      map_band(plan.camera, *tensor, writer, begin, end);
    else
      resize_band(plan, *tensor, writer, begin, end);
  });
  return nullptr;
}
