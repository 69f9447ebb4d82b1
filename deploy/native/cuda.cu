// Both kernels: a tile of the output to a block of threads, a camera to each layer of the grid.
// The arithmetic is in gpu_pixel.h. Compiled without fused multiply-add, as the CPU's is.
#include <cuda_runtime.h>

#include "check.h"
#include "gpu_pixel.h"

namespace octoview {

constexpr int32_t TILE_X = 32, TILE_Y = 8;

// Taps once per column and row of a tile: their double precision is slow on many GPUs.
__global__ void preprocess_kernel(const __grid_constant__ Bucket bucket) {
  __shared__ Tap columns[TILE_X], rows[TILE_Y];
  const int32_t x = blockIdx.x * TILE_X + threadIdx.x, y = blockIdx.y * TILE_Y + threadIdx.y;
  const Slot& slot = bucket.slots[blockIdx.z];
  if (threadIdx.y == 0) columns[threadIdx.x] = column_tap(slot, x);
  if (threadIdx.x == 0) rows[threadIdx.y] = row_tap(slot, y);
  __syncthreads();
  if (x < bucket.tensor.width && y < bucket.tensor.height)
    preprocess_pixel(bucket, blockIdx.z, x, y, columns[threadIdx.x], rows[threadIdx.y]);
}

__global__ void scene_kernel(const __grid_constant__ Scene scene) {
  __shared__ FloatTap columns[TILE_X], rows[TILE_Y];
  const int32_t x = blockIdx.x * TILE_X + threadIdx.x, y = blockIdx.y * TILE_Y + threadIdx.y;
  if (threadIdx.y == 0) columns[threadIdx.x] = float_tap(x, scene.width, scene.out_width);
  if (threadIdx.x == 0) rows[threadIdx.y] = float_tap(y, scene.height, scene.out_height);
  __syncthreads();
  if (x < scene.out_width && y < scene.out_height)
    scene_pixel(scene, blockIdx.z, x, y, columns[threadIdx.x], rows[threadIdx.y]);
}

static dim3 tiles(int32_t width, int32_t height, int32_t layers) {
  return dim3((width + TILE_X - 1) / TILE_X, (height + TILE_Y - 1) / TILE_Y, layers);
}

static const char* launched() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace octoview

const char* octoview_cuda_preprocess(const octoview_camera* cameras, int32_t count,
                                     const octoview_tensor* tensor, void* stream) {
  using namespace octoview;
  if (count < 1 || count > OCTOVIEW_CUDA_CAMERAS) return "preprocess: 1 to 16 cameras in one call";
  if (const char* wrong = check(*tensor)) return wrong;
  for (int32_t i = 0; i < count; ++i)
    if (const char* wrong = check(cameras[i], *tensor)) return wrong;
  const dim3 grid = tiles(tensor->width, tensor->height, count), block(TILE_X, TILE_Y);
  preprocess_kernel<<<grid, block, 0, static_cast<cudaStream_t>(stream)>>>(
      make_bucket(cameras, count, *tensor));
  return launched();
}

const char* octoview_cuda_scene(const float* logits, int32_t images, int32_t classes,
                                int32_t height, int32_t width, int32_t out_height,
                                int32_t out_width, uint8_t* labels, const uint32_t* groups,
                                int32_t group_count, float* probabilities, void* stream) {
  using namespace octoview;
  if (const char* wrong = check_scene(classes, height, width, out_height, out_width)) return wrong;
  if (images < 1 || images > 65535) return "scene: 1 to 65535 images in one call";
  if (group_count < 0 || group_count > OCTOVIEW_CUDA_GROUPS) return "scene: at most 4 groups";
  Scene scene{logits, classes, height,      width,        out_height, out_width,
              labels, {},      group_count, probabilities};
  for (int32_t g = 0; g < group_count; ++g) scene.groups[g] = groups[g];
  const dim3 grid = tiles(out_width, out_height, images), block(TILE_X, TILE_Y);
  scene_kernel<<<grid, block, 0, static_cast<cudaStream_t>(stream)>>>(scene);
  return launched();
}
