// What the kernels demand of their arguments, on the CPU and on the GPU. NULL, or what is wrong.
#pragma once

#include "octoview_native.h"

namespace octoview {

inline const char* check(const octoview_camera& camera, const octoview_tensor& tensor) {
  const octoview_image& image = camera.image;
  if (image.layout < OCTOVIEW_BGR || image.layout > OCTOVIEW_YUYV)
    return "image: unknown layout; use BGR, RGB, NV12 or YUYV";
  if (!image.data) return "image: no data";
  if (!camera.output) return "output: no memory given";
  // OpenCV's fixed-point maps and this kernel's arithmetic hold to here.
  if (image.width < 1 || image.height < 1 || image.width > 32767 || image.height > 32767)
    return "image: both sides must be 1 to 32767 pixels";
  const bool nv12 = image.layout == OCTOVIEW_NV12, yuyv = image.layout == OCTOVIEW_YUYV;
  if ((nv12 || yuyv) && image.width % 2) return "image: NV12 and YUYV need an even width";
  if (nv12 && image.height % 2) return "image: NV12 needs an even height";
  if (nv12 != (image.chroma != nullptr)) return "image: a chroma plane belongs to NV12, and only there";
  if (nv12 && image.chroma_stride < image.width) return "image: chroma stride is shorter than a row";
  const int64_t row = int64_t(image.width) * (nv12 ? 1 : yuyv ? 2 : 3);
  if (image.stride < row) return "image: stride is shorter than a row";
  if (camera.map) return nullptr;
  if (camera.width < 1 || camera.height < 1) return "placement: both sides must be at least 1 pixel";
  if (camera.left < 0 || camera.top < 0 || camera.left > tensor.width - camera.width ||
      camera.top > tensor.height - camera.height)
    return "placement: the resized image must lie inside the tensor";
  return nullptr;
}

inline const char* check(const octoview_tensor& tensor) {
  if (tensor.dtype < OCTOVIEW_FLOAT32 || tensor.dtype > OCTOVIEW_UINT8)
    return "tensor: unknown type; use FLOAT32, FLOAT16 or UINT8";
  if (tensor.width < 1 || tensor.height < 1 || tensor.width > 32767 || tensor.height > 32767)
    return "tensor: both sides must be 1 to 32767 pixels";
  return nullptr;
}

inline const char* check_scene(int32_t classes, int32_t height, int32_t width, int32_t out_height,
                               int32_t out_width) {
  if (classes < 1 || classes > 32) return "scene: 1 to 32 classes";
  if (height < 1 || width < 1 || out_height < 1 || out_width < 1)
    return "scene: every side must be at least 1 pixel";
  return nullptr;
}

}  // namespace octoview
