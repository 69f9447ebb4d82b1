/* The same two kernels on an NVIDIA GPU. Every pointer to pixels, maps, tensors and logits is the
 * GPU's; structures and `groups` are the caller's and copied before the call returns. `stream` is a
 * cudaStream_t. A call only queues its one launch, so it can be captured into a CUDA graph, which
 * keeps the arguments. Nothing is allocated.
 *
 * NULL, or one line that says what is wrong; nothing is queued then. Results equal the CPU's bytes.
 */
#ifndef OCTOVIEW_CUDA_H
#define OCTOVIEW_CUDA_H

#include "octoview_native.h"

/* At most so many cameras, and groups of classes, in one call. */
#define OCTOVIEW_CUDA_CAMERAS 16
#define OCTOVIEW_CUDA_GROUPS 4

#ifdef __cplusplus
extern "C" {
#endif

/* All cameras of a bucket in one launch. */
const char* octoview_cuda_preprocess(const octoview_camera*, int32_t cameras,
                                     const octoview_tensor*, void* stream);

/* As octoview_scene, for `images` of them in one launch: logits (images, classes, height, width),
 * labels (images, out_height, out_width), probabilities (images, groups, out_height, out_width). */
const char* octoview_cuda_scene(const float* logits, int32_t images, int32_t classes,
                                int32_t height, int32_t width, int32_t out_height,
                                int32_t out_width, uint8_t* labels, const uint32_t* groups,
                                int32_t group_count, float* probabilities, void* stream);

#ifdef __cplusplus
}
#endif
#endif
