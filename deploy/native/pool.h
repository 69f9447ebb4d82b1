// A few threads that wait for work; tasks are taken in turn, so uneven ones balance.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

struct octoview_pool {
 public:
  // `threads` in all: the caller of `run` is one of them.
  explicit octoview_pool(int32_t threads) {
    for (int32_t i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }

  ~octoview_pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  // task(0) .. task(count - 1), each once, in any order; returns when all are done. Tasks may not
  // throw. One caller at a time: a second one waits.
  void run(int32_t count, const std::function<void(int32_t)>& task) {
    std::lock_guard<std::mutex> one_caller(callers_);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      task_ = &task;
      count_ = count;
      next_ = 0;
      busy_ = int32_t(workers_.size());
      ++round_;
    }
    wake_.notify_all();
    take_tasks();
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void take_tasks() {
    for (int32_t i = next_++; i < count_; i = next_++) (*task_)(i);
  }

  void work() {
    int64_t seen = 0;
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return stopping_ || round_ != seen; });
        if (stopping_) return;
        seen = round_;
      }
      take_tasks();
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (--busy_ == 0) idle_.notify_one();
      }
    }
  }

  std::mutex callers_, mutex_;
  std::condition_variable wake_, idle_;
  const std::function<void(int32_t)>* task_ = nullptr;
  int32_t count_ = 0, busy_ = 0;
  std::atomic<int32_t> next_{0};
  int64_t round_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};
