/* OctoView's native kernels on the CPU: everything that a loop in C or C++ needs.
 *
 * Every function that can refuse its arguments returns NULL, or one line that says what is wrong.
 * Nothing is written then. Results do not depend on the number of threads or on the processor.
 */
#ifndef OCTOVIEW_NATIVE_H
#define OCTOVIEW_NATIVE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 8 bits per sample. Chroma of NV12 and YUYV is BT.601 with limited range, as OpenCV reads it. */
typedef enum { OCTOVIEW_BGR, OCTOVIEW_RGB, OCTOVIEW_NV12, OCTOVIEW_YUYV } octoview_layout;
typedef enum { OCTOVIEW_FLOAT32, OCTOVIEW_FLOAT16, OCTOVIEW_UINT8 } octoview_dtype;

/* What a camera delivered. Strides: bytes from one row to the next, any that hold a row. `chroma`
 * is NV12's second plane and NULL elsewhere. To crop, point `data` inside a larger image. */
typedef struct {
  octoview_layout layout;
  int32_t width, height; /* pixels; NV12: both even, YUYV: width even */
  const uint8_t* data;
  int64_t stride;
  const uint8_t* chroma;
  int64_t chroma_stride;
} octoview_image;

/* One camera's way into the tensor, either one of
 *   `map` NULL: the image is resized to width x height and placed at left, top (a letterbox);
 *   `map`: for every pixel of the tensor the x, y of the image that it shows, in 1/32 pixel, pixel
 *          centres at integers (undistortion, crop, rotation). Where that lies outside, padding.
 * `output` holds 3 contiguous planes, red first. */
typedef struct {
  octoview_image image;
  int32_t left, top, width, height;
  const int32_t* map;
  void* output;
} octoview_camera;

/* What the network wants. Of an 8-bit value v, channel c becomes v * scale[c] - offset[c]
 * (scale = 1 / (255 std), offset = mean / std), or v itself for UINT8. Padding is the mean: zero,
 * or round(255 mean) for UINT8. */
typedef struct {
  int32_t width, height;
  octoview_dtype dtype;
  float scale[3], offset[3];
} octoview_tensor;

/* Threads that wait for work. One caller at a time. */
typedef struct octoview_pool octoview_pool;
octoview_pool* octoview_pool_create(int32_t threads); /* at least 1, the caller's own included */
void octoview_pool_destroy(octoview_pool*);

/* All cameras of a batch in one pass each: colour, bilinear resize or map, normalise, planar. */
const char* octoview_preprocess(octoview_pool*, const octoview_camera*, int32_t cameras,
                                const octoview_tensor*);

/* Class logits (classes, height, width), at most 32 classes, resized with bilinear interpolation
 * to (out_height, out_width): `labels` the most likely class, and for each of `groups` (bit c set:
 * class c belongs) one plane of `probabilities` with the softmax summed over it. */
const char* octoview_scene(octoview_pool*, const float* logits, int32_t classes, int32_t height,
                           int32_t width, int32_t out_height, int32_t out_width, uint8_t* labels,
                           const uint32_t* groups, int32_t group_count, float* probabilities);

#ifdef __cplusplus
}
#endif
#endif
