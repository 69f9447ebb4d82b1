// The kernels for Python. Arrays are read and written in place.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <tuple>
#include <vector>

#include "octoview_native.h"
#include "pool.h"

namespace nb = nanobind;
using Image = nb::ndarray<const uint8_t, nb::device::cpu>;
using Map = nb::ndarray<const int32_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Output = nb::ndarray<nb::ndim<3>, nb::c_contig, nb::device::cpu>;

static void refuse(const char* wrong) {
  if (wrong) throw std::invalid_argument(wrong);
}

// One camera's arguments, kept alive with their arrays.
struct Camera {
  Camera(Image image, Output output, octoview_layout layout,
         std::optional<std::tuple<int, int, int, int>> placement, std::optional<Map> map,
         std::optional<Image> chroma)
      : image(image), output(output), map(map), chroma(chroma) {
    const int64_t samples = layout == OCTOVIEW_NV12 ? 1 : layout == OCTOVIEW_YUYV ? 2 : 3;
    const bool flat = samples == 1 && image.ndim() == 2 && image.stride(1) == 1;
    const bool packed = image.ndim() == 3 && int64_t(image.shape(2)) == samples &&
                        image.stride(2) == 1 && image.stride(1) == samples;
    if (!flat && !packed)
      refuse("image: uint8 (H, W, 3) for BGR and RGB, (H, W, 2) for YUYV, (H, W) for NV12, each "
             "row without gaps");
    if (image.stride(0) < 0) refuse("image: rows must go down in memory; copy it first");
    camera.image.layout = layout;
    camera.image.width = int32_t(image.shape(1));
    camera.image.height = int32_t(image.shape(0));
    camera.image.data = image.data();
    camera.image.stride = image.stride(0);
    if (chroma) {
      if (chroma->ndim() != 2 || chroma->shape(0) * 2 < image.shape(0) ||
          chroma->shape(1) < image.shape(1) || chroma->stride(1) != 1 || chroma->stride(0) < 0)
        refuse("chroma: uint8 (H / 2, W), each row without gaps");
      camera.image.chroma = chroma->data();
      camera.image.chroma_stride = chroma->stride(0);
    }
    if (output.shape(0) != 3) refuse("output: three planes (3, height, width)");
    camera.output = output.data();
    if (map.has_value() == placement.has_value()) refuse("give a placement or a map");
    if (placement) std::tie(camera.left, camera.top, camera.width, camera.height) = *placement;
    if (map) {
      if (map->shape(0) != output.shape(1) || map->shape(1) != output.shape(2) ||
          map->shape(2) != 2)
        refuse("map: int32 (height, width, 2) of the output's size");
      camera.map = map->data();
    }
  }

  octoview_dtype dtype() const {
    if (output.dtype() == nb::dtype<float>()) return OCTOVIEW_FLOAT32;
    if (output.dtype() == nb::dtype<uint8_t>()) return OCTOVIEW_UINT8;
    if (output.dtype().code == uint8_t(nb::dlpack::dtype_code::Float) &&
        output.dtype().bits == 16)
      return OCTOVIEW_FLOAT16;
    refuse("output: float32, float16 or uint8");
    return OCTOVIEW_FLOAT32;
  }

  octoview_camera camera{};
  Image image;
  Output output;
  std::optional<Map> map;
  std::optional<Image> chroma;
};

static void preprocess(octoview_pool& pool, const std::vector<const Camera*>& cameras,
                       std::tuple<float, float, float> scale,
                       std::tuple<float, float, float> offset) {
  if (cameras.empty()) return;
  const auto [s0, s1, s2] = scale;
  const auto [o0, o1, o2] = offset;
  const Camera& first = *cameras.front();
  const octoview_tensor tensor{int32_t(first.output.shape(2)), int32_t(first.output.shape(1)),
                               first.dtype(), {s0, s1, s2}, {o0, o1, o2}};
  std::vector<octoview_camera> plain;
  for (const Camera* camera : cameras) {
    if (int32_t(camera->output.shape(2)) != tensor.width ||
        int32_t(camera->output.shape(1)) != tensor.height || camera->dtype() != tensor.dtype)
      refuse("outputs of one call must have one size and type");
    plain.push_back(camera->camera);
  }
  nb::gil_scoped_release release;
  refuse(octoview_preprocess(&pool, plain.data(), int32_t(plain.size()), &tensor));
}

static void scene(octoview_pool& pool,
                  nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu> logits,
                  const std::vector<uint32_t>& groups,
                  nb::ndarray<uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu> labels,
                  nb::ndarray<float, nb::ndim<3>, nb::c_contig, nb::device::cpu> probabilities) {
  if (probabilities.shape(0) != groups.size() || probabilities.shape(1) != labels.shape(0) ||
      probabilities.shape(2) != labels.shape(1))
    refuse("probabilities: float32 (groups, height, width) of the labels' size");
  nb::gil_scoped_release release;
  refuse(octoview_scene(&pool, logits.data(), int32_t(logits.shape(0)), int32_t(logits.shape(1)),
                        int32_t(logits.shape(2)), int32_t(labels.shape(0)),
                        int32_t(labels.shape(1)), labels.data(), groups.data(),
                        int32_t(groups.size()), probabilities.data()));
}

NB_MODULE(_native, module) {
  nb::enum_<octoview_layout>(module, "Layout")
      .value("BGR", OCTOVIEW_BGR)
      .value("RGB", OCTOVIEW_RGB)
      .value("NV12", OCTOVIEW_NV12)
      .value("YUYV", OCTOVIEW_YUYV);
  nb::class_<octoview_pool>(module, "Pool")
      .def("__init__",
           [](octoview_pool* self, int32_t threads) {
             if (threads < 1) refuse("a pool needs at least 1 thread");
             new (self) octoview_pool(threads);
           },
           nb::arg("threads"));
  nb::class_<Camera>(module, "Camera")
      .def(nb::init<Image, Output, octoview_layout,
                    std::optional<std::tuple<int, int, int, int>>, std::optional<Map>,
                    std::optional<Image>>(),
           nb::arg("image"), nb::arg("output").noconvert(), nb::arg("layout") = OCTOVIEW_BGR,
           nb::arg("placement") = nb::none(), nb::arg("map") = nb::none(),
           nb::arg("chroma") = nb::none());
  module.def("preprocess", &preprocess, nb::arg("pool"), nb::arg("cameras"), nb::arg("scale"),
             nb::arg("offset"));
  module.def("scene", &scene, nb::arg("pool"), nb::arg("logits"), nb::arg("groups"),
             nb::arg("labels").noconvert(), nb::arg("probabilities").noconvert());
}
