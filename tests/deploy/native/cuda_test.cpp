// The CUDA kernels against the CPU's, byte for byte: `host` runs what a GPU thread does on the CPU,
// `device` runs it on the GPU, within a CUDA graph, and ends with 77 where there is none.
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "gpu_pixel.h"
#include "picture.h"

#ifdef OCTOVIEW_CUDA
#include <cuda_runtime.h>
#endif

using namespace octoview;
using Bytes = std::vector<uint8_t>;

struct Case {
  std::vector<Picture> pictures;
  std::vector<std::vector<int32_t>> maps;
  std::vector<octoview_camera> cameras;  // pointers into the above; no output yet
  octoview_tensor tensor;
  size_t slot;  // bytes of one camera's output
};

// Cameras that differ in all that may differ: layout, size, stride, map or placement.
static Case random_case() {
  Case made;
  made.tensor = tensor(2 * pick(1, 45), 2 * pick(1, 45), octoview_dtype(pick(0, 2)));
  const octoview_tensor& want = made.tensor;
  const int bytes = want.dtype == OCTOVIEW_FLOAT32 ? 4 : want.dtype == OCTOVIEW_FLOAT16 ? 2 : 1;
  made.slot = size_t(3) * want.width * want.height * bytes;
  const int count = pick(1, 5);
  for (int i = 0; i < count; ++i) {
    octoview_camera camera{};
    int width = 2 * pick(1, 60), height = 2 * pick(1, 60);
    camera.width = pick(1, want.width), camera.height = pick(1, want.height);
    const int way = pick(0, 3);
    if (way == 0) width = want.width, height = want.height;
    if (way == 1) width = 2 * want.width, height = 2 * want.height;
    if (way <= 1) camera.width = want.width, camera.height = want.height;
    camera.left = pick(0, want.width - camera.width);
    camera.top = pick(0, want.height - camera.height);
    made.pictures.emplace_back(octoview_layout(pick(0, 3)), width, height, pick(0, 9));
    std::vector<int32_t> map(way == 2 ? size_t(2) * want.width * want.height : 0);
    for (size_t k = 0; k < map.size(); ++k)
      map[k] = pick(0, 9) ? pick(-40, 32 * (k % 2 ? height : width)) : pick(INT32_MIN, INT32_MAX);
    made.maps.push_back(map);
    made.cameras.push_back(camera);
  }
  for (int i = 0; i < count; ++i) {
    made.cameras[i].image = made.pictures[i].image;
    made.cameras[i].map = made.maps[i].empty() ? nullptr : made.maps[i].data();
  }
  return made;
}

static Bytes on_cpu(octoview_pool* pool, Case& made) {
  Bytes out(made.slot * made.cameras.size(), 0xee);
  for (size_t i = 0; i < made.cameras.size(); ++i)
    made.cameras[i].output = out.data() + i * made.slot;
  EXPECT(!octoview_preprocess(pool, made.cameras.data(), int32_t(made.cameras.size()),
                              &made.tensor));
  return out;
}

static Bytes by_pixel(Case& made) {
  Bytes out(made.slot * made.cameras.size(), 0x11);
  for (size_t i = 0; i < made.cameras.size(); ++i)
    made.cameras[i].output = out.data() + i * made.slot;
  const Bucket bucket =
      make_bucket(made.cameras.data(), int32_t(made.cameras.size()), made.tensor);
  for (int32_t i = 0; i < int32_t(made.cameras.size()); ++i)
    for (int32_t y = 0; y < made.tensor.height; ++y)
      for (int32_t x = 0; x < made.tensor.width; ++x)
        preprocess_pixel(bucket, i, x, y, column_tap(bucket.slots[i], x),
                         row_tap(bucket.slots[i], y));
  return out;
}

struct SceneCase {
  SceneCase() {
    logits.resize(size_t(images) * classes * height * width);
    for (float& logit : logits) logit = std::normal_distribution<float>(0, 8)(random_bits);
    for (uint32_t& group : groups) group = uint32_t(random_bits());
  }
  size_t size() const { return size_t(out_width) * out_height; }
  const int images = pick(1, 3), classes = pick(1, 32), width = pick(1, 30), height = pick(1, 30);
  const int out_width = pick(1, 90), out_height = pick(1, 90);
  const int group_count = pick(0, OCTOVIEW_CUDA_GROUPS);
  std::vector<float> logits;
  uint32_t groups[OCTOVIEW_CUDA_GROUPS];
};

// Labels, then the probabilities' bytes.
static Bytes joined(const Bytes& labels, const std::vector<float>& probabilities) {
  Bytes all = labels;
  all.resize(labels.size() + 4 * probabilities.size());
  if (!probabilities.empty())
    std::memcpy(&all[labels.size()], probabilities.data(), 4 * probabilities.size());
  return all;
}

static Bytes on_cpu(octoview_pool* pool, const SceneCase& made) {
  Bytes labels(made.images * made.size());
  std::vector<float> probabilities(labels.size() * made.group_count);
  for (int i = 0; i < made.images; ++i)
    EXPECT(!octoview_scene(
        pool, made.logits.data() + size_t(i) * made.classes * made.height * made.width,
        made.classes, made.height, made.width, made.out_height, made.out_width,
        labels.data() + i * made.size(), made.groups, made.group_count,
        probabilities.data() + i * made.group_count * made.size()));
  return joined(labels, probabilities);
}

static Bytes by_pixel(const SceneCase& made) {
  Bytes labels(made.images * made.size());
  std::vector<float> probabilities(labels.size() * made.group_count);
  Scene scene{made.logits.data(), made.classes,    made.height,   made.width,
              made.out_height,    made.out_width,  labels.data(), {},
              made.group_count,   probabilities.data()};
  std::memcpy(scene.groups, made.groups, sizeof scene.groups);
  for (int32_t i = 0; i < made.images; ++i)
    for (int32_t y = 0; y < made.out_height; ++y)
      for (int32_t x = 0; x < made.out_width; ++x)
        scene_pixel(scene, i, x, y, float_tap(x, made.width, made.out_width),
                    float_tap(y, made.height, made.out_height));
  return joined(labels, probabilities);
}

// Every case by `preprocess` and `scene` and by the CPU's kernels. What is compared notices a byte.
static void compare(const std::function<Bytes(Case&)>& preprocess,
                    const std::function<Bytes(const SceneCase&)>& scene) {
  octoview_pool* pool = octoview_pool_create(2);
  for (int round = 0; round < 200; ++round) {
    Case made = random_case();
    const Bytes expected = on_cpu(pool, made);
    EXPECT(preprocess(made) == expected);
    const SceneCase seen;
    EXPECT(scene(seen) == on_cpu(pool, seen));
  }
  Case made = random_case();
  const Bytes before = on_cpu(pool, made);
  std::swap(made.tensor.scale[0], made.tensor.offset[0]);
  if (made.tensor.dtype != OCTOVIEW_UINT8) EXPECT(preprocess(made) != before);
  octoview_pool_destroy(pool);
}

#ifdef OCTOVIEW_CUDA

static void check_cuda(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::printf("%s\n", cudaGetErrorString(error));
  std::exit(1);
}

// Memory of the GPU, filled from here and read back.
struct OnGpu {
  OnGpu(const void* from, size_t size) : size(size) {
    check_cuda(cudaMalloc(&data, size ? size : 1));
    check_cuda(cudaMemcpy(data, from, size, cudaMemcpyHostToDevice));
  }
  OnGpu(OnGpu&& other) : data(other.data), size(other.size) { other.data = nullptr; }
  ~OnGpu() { cudaFree(data); }
  void read(void* to) const { check_cuda(cudaMemcpy(to, data, size, cudaMemcpyDeviceToHost)); }
  void* data = nullptr;
  size_t size;
};

// Captured once, replayed twice.
static void in_a_graph(const std::function<const char*(cudaStream_t)>& launch) {
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t ready;
  check_cuda(cudaStreamCreate(&stream));
  check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  const char* wrong = launch(stream);
  check_cuda(cudaStreamEndCapture(stream, &graph));
  EXPECT(wrong == nullptr);
  check_cuda(cudaGraphInstantiate(&ready, graph, 0));
  for (int i = 0; i < 2; ++i) check_cuda(cudaGraphLaunch(ready, stream));
  check_cuda(cudaStreamSynchronize(stream));
  check_cuda(cudaGraphExecDestroy(ready));
  check_cuda(cudaGraphDestroy(graph));
  check_cuda(cudaStreamDestroy(stream));
}

static Bytes on_gpu(Case& made) {
  Bytes out(made.slot * made.cameras.size(), 0x11);
  const OnGpu output(out.data(), out.size());
  std::vector<OnGpu> kept;
  std::vector<octoview_camera> cameras = made.cameras;
  const auto upload = [&](const void* from, size_t size) {
    kept.emplace_back(from, size);
    return kept.back().data;
  };
  for (size_t i = 0; i < cameras.size(); ++i) {
    const Picture& picture = made.pictures[i];
    octoview_image& image = cameras[i].image;
    image.data = static_cast<uint8_t*>(upload(picture.bytes.data(), picture.bytes.size()));
    if (image.chroma)
      image.chroma = static_cast<uint8_t*>(upload(picture.chroma.data(), picture.chroma.size()));
    if (cameras[i].map)
      cameras[i].map = static_cast<int32_t*>(upload(made.maps[i].data(), 4 * made.maps[i].size()));
    cameras[i].output = static_cast<uint8_t*>(output.data) + i * made.slot;
  }
  in_a_graph([&](cudaStream_t stream) {
    return octoview_cuda_preprocess(cameras.data(), int32_t(cameras.size()), &made.tensor, stream);
  });
  output.read(out.data());
  return out;
}

static Bytes on_gpu(const SceneCase& made) {
  Bytes labels(made.images * made.size());
  std::vector<float> probabilities(labels.size() * made.group_count);
  const OnGpu logits(made.logits.data(), 4 * made.logits.size());
  const OnGpu gpu_labels(labels.data(), labels.size());
  const OnGpu gpu_probabilities(probabilities.data(), 4 * probabilities.size());
  in_a_graph([&](cudaStream_t stream) {
    return octoview_cuda_scene(static_cast<float*>(logits.data), made.images, made.classes,
                               made.height, made.width, made.out_height, made.out_width,
                               static_cast<uint8_t*>(gpu_labels.data), made.groups,
                               made.group_count, static_cast<float*>(gpu_probabilities.data),
                               stream);
  });
  gpu_labels.read(labels.data());
  gpu_probabilities.read(probabilities.data());
  return joined(labels, probabilities);
}

// What is refused is refused before the GPU is asked.
static void refusals() {
  Case made = random_case();
  const octoview_camera camera = made.cameras[0];
  const std::vector<octoview_camera> many(OCTOVIEW_CUDA_CAMERAS + 1, camera);
  const char* wrong =
      octoview_cuda_preprocess(many.data(), OCTOVIEW_CUDA_CAMERAS + 1, &made.tensor, nullptr);
  EXPECT(wrong && std::strstr(wrong, "1 to 16 cameras"));
  wrong = octoview_cuda_preprocess(&camera, 1, &made.tensor, nullptr);
  EXPECT(wrong && std::strstr(wrong, "no memory given"));
  wrong = octoview_cuda_scene(nullptr, 1, 33, 4, 4, 4, 4, nullptr, nullptr, 0, nullptr, nullptr);
  EXPECT(wrong && std::strstr(wrong, "1 to 32 classes"));
}

static int device() {
  refusals();
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    std::printf("no GPU: %s\n", cudaGetErrorString(error));
    return 77;
  }
  compare([](Case& made) { return on_gpu(made); },
          [](const SceneCase& made) { return on_gpu(made); });
  return 0;
}

#endif

int main(int count, char** arguments) {
  const std::string name = count == 2 ? arguments[1] : "";
  if (name == "host") {
    compare([](Case& made) { return by_pixel(made); },
            [](const SceneCase& made) { return by_pixel(made); });
    return 0;
  }
#ifdef OCTOVIEW_CUDA
  if (name == "device") return device();
#endif
  return 2;
}
