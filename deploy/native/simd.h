// OCTOVIEW_SIMD before a function: GCC and Clang compile it for several x86 levels and the loader
// picks one, so that a package built anywhere is fast everywhere. Elsewhere (NEON is part of every
// ARM64) the baseline serves. Not with sanitizers: they are not up yet when the loader picks.
#pragma once

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    __GNUC__ >= 12 && !defined(OCTOVIEW_NO_CLONES)
#define OCTOVIEW_SIMD \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define OCTOVIEW_SIMD
#endif
