// The kernels from C++, on memory cut to size: the sanitizers see every byte read or written beyond
// it. Values are held to OpenCV in test_native.py; here to what needs no second implementation.
#include <cstring>
#include <string>
#include <vector>

#include "octoview_native.h"
#include "picture.h"

// Random sizes, strides, layouts, types, placements and maps; one thread equals four.
static void preprocess() {
  octoview_pool* one = octoview_pool_create(1);
  octoview_pool* four = octoview_pool_create(4);
  for (int round = 0; round < 300; ++round) {
    const auto layout = octoview_layout(round % 4);
    const auto dtype = octoview_dtype(pick(0, 2));
    const int width = 2 * pick(1, 40), height = 2 * pick(1, 40);
    const Picture picture(layout, width, height, pick(0, 9));
    const octoview_tensor want = tensor(pick(1, 90), pick(1, 90), dtype);
    const int bytes = dtype == OCTOVIEW_FLOAT32 ? 4 : dtype == OCTOVIEW_FLOAT16 ? 2 : 1;
    std::vector<uint8_t> outputs[2];
    octoview_camera camera{};
    camera.image = picture.image;
    camera.width = pick(1, want.width), camera.height = pick(1, want.height);
    camera.left = pick(0, want.width - camera.width);
    camera.top = pick(0, want.height - camera.height);
    std::vector<int32_t> map(size_t(2) * want.width * want.height);
    for (size_t i = 0; i < map.size(); ++i)
      map[i] = pick(0, 9) ? pick(-40, 32 * (i % 2 ? height : width)) : pick(INT32_MIN, INT32_MAX);
    if (round % 3 == 0) camera.map = map.data();
    for (int i = 0; i < 2; ++i) {
      outputs[i].assign(size_t(3) * want.width * want.height * bytes, uint8_t(i));
      camera.output = outputs[i].data();
      EXPECT(octoview_preprocess(i ? four : one, &camera, 1, &want) == nullptr);
    }
    EXPECT(outputs[0] == outputs[1]);  // so every byte was written, too
  }
  octoview_pool_destroy(one);
  octoview_pool_destroy(four);
}

// A grey image stays grey and the padding is the mean; cameras keep their slots.
static void batch() {
  octoview_pool* pool = octoview_pool_create(2);
  Picture dark(OCTOVIEW_BGR, 30, 20, 1), light(OCTOVIEW_RGB, 20, 30, 0);
  std::fill(dark.bytes.begin(), dark.bytes.end(), uint8_t(50));
  std::fill(light.bytes.begin(), light.bytes.end(), uint8_t(200));
  const octoview_tensor want = tensor(24, 24, OCTOVIEW_UINT8);
  std::vector<uint8_t> out(2 * 3 * 24 * 24);
  octoview_camera cameras[2] = {{dark.image, 0, 4, 24, 16, nullptr, out.data()},
                                {light.image, 4, 0, 16, 24, nullptr, out.data() + 3 * 24 * 24}};
  EXPECT(octoview_preprocess(pool, cameras, 2, &want) == nullptr);
  EXPECT(out[0] == 100 && out[12 * 24] == 50);  // row 0 is padding for the first camera
  EXPECT(out[3 * 24 * 24] == 100 && out[3 * 24 * 24 + 12] == 200);
  octoview_pool_destroy(pool);
}

static void refusals() {
  octoview_pool* pool = octoview_pool_create(1);
  const Picture picture(OCTOVIEW_NV12, 8, 8, 0);
  const octoview_tensor want = tensor(8, 8, OCTOVIEW_UINT8);
  std::vector<uint8_t> out(3 * 8 * 8);
  const octoview_camera good{picture.image, 0, 0, 8, 8, nullptr, out.data()};
  const auto wrong = [&](octoview_camera camera, const char* part) {
    const char* message = octoview_preprocess(pool, &camera, 1, &want);
    return message && std::strstr(message, part);
  };
  EXPECT(octoview_preprocess(pool, &good, 1, &want) == nullptr);
  octoview_camera camera = good;
  camera.image.stride = 7;
  EXPECT(wrong(camera, "stride is shorter"));
  camera = good;
  camera.image.width = 7;
  EXPECT(wrong(camera, "even width"));
  camera = good;
  camera.image.chroma = nullptr;
  EXPECT(wrong(camera, "chroma plane"));
  camera = good;
  camera.left = 1;
  EXPECT(wrong(camera, "inside the tensor"));
  octoview_pool_destroy(pool);
}

// One class far above the others: its label, probability 1, also for huge logits.
static void scene() {
  octoview_pool* pool = octoview_pool_create(2);
  for (int round = 0; round < 60; ++round) {
    const int classes = pick(1, 32), width = pick(1, 30), height = pick(1, 30);
    const int out_width = pick(1, 70), out_height = pick(1, 70), best = pick(0, classes - 1);
    std::vector<float> logits(size_t(classes) * width * height, -1e4f);
    std::fill_n(logits.begin() + size_t(best) * width * height, width * height, 1e4f);
    const size_t size = size_t(out_width) * out_height;
    std::vector<uint8_t> labels(size, 255);
    std::vector<float> probabilities(2 * size, -1.0f);
    const uint32_t groups[] = {1u << best, ~(1u << best)};
    EXPECT(octoview_scene(pool, logits.data(), classes, height, width, out_height, out_width,
                          labels.data(), groups, 2, probabilities.data()) == nullptr);
    for (size_t i = 0; i < size; ++i) {
      EXPECT(labels[i] == best);
      EXPECT(probabilities[i] > 0.9999f && probabilities[size + i] < 1e-4f);
    }
  }
  octoview_pool_destroy(pool);
}

int main(int count, char** arguments) {
  const std::string name = count == 2 ? arguments[1] : "";
  if (name == "preprocess") preprocess();
  else if (name == "batch") batch();
  else if (name == "refusals") refusals();
  else if (name == "scene") scene();
  else return 2;
}
