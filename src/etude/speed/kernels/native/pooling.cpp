// Pooling of 2x2 pixels side by side on a processor: the largest, the first of equals, NaN before all;
// and which of the four it was, 0 to 3, row by row.
//
// Of planes, (n, channels, height, width) in float32, a vector holds pixels of a row; of maps, (n, height, width,
// channels) in float32 or bfloat16 with a multiple of 16 channels, those of a pixel. Tensors are contiguous.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <tuple>
#include <utility>

#include "parts.h"

namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

typedef int32_t Ints __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(kWidth), aligned(1), may_alias));

// What is larger or no number takes the place of the best so far; of one number or of a vector of them.
template <typename Number, typename Index>
void meet(Number other, int there, Number& best, Index& at) {
  const auto larger = (other > best) | (other != other);
  best = larger ? other : best;
  at = larger ? Index{} + there : at;
}

// The even or the odd ones of two vectors that follow each other.
template <int offset, int... lane>
Vector every_second(Vector first, Vector second, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(first, second, (2 * lane + offset)...);
}

// Two vectors, a number of each in turn: the first or the second half of that.
template <int half, int... lane>
Vector in_turn(Vector even, Vector odd, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(even, odd, (half * kWidth / 2 + lane / 2 + lane % 2 * kWidth)...);
}

constexpr auto kLanes = std::make_integer_sequence<int, int(kWidth)>();

std::tuple<Tensor, Tensor> max_pool(const Tensor& images) {
  const int64_t n = images.size(0), channels = images.size(1), height = images.size(2), width = images.size(3);
  const int64_t h = height / 2, w = width / 2, pixels = n * channels * height * width;
  Tensor largest = torch::stable::new_empty(images, {n, channels, h, w});
  Tensor which = torch::stable::new_empty(images, {n, channels, h, w}, ScalarType::Int);
  const float* from = images.const_data_ptr<float>();
  float* values = largest.mutable_data_ptr<float>();
  int32_t* places = which.mutable_data_ptr<int32_t>();
  torch::stable::parallel_for(0, n * channels, grain(5 * h * w), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin * h; row < end * h; ++row) {
      const int64_t above = (row / h * height + row % h * 2) * width, below = above + width, out = row * w;
      int64_t x = 0;
      // What a vector writes beyond its row is written again by the next ones.
      for (; x < w && out + x + kWidth <= end * h * w && below + 2 * (x + kWidth) <= pixels; x += kWidth) {
        const float *upper = from + above + 2 * x, *lower = from + below + 2 * x;
        const Vector a = load(upper), b = load(upper + kWidth), c = load(lower), d = load(lower + kWidth);
        Vector best = every_second<0>(a, b, kLanes);
        Ints at{};
        meet(every_second<1>(a, b, kLanes), 1, best, at);
        meet(every_second<0>(c, d, kLanes), 2, best, at);
        meet(every_second<1>(c, d, kLanes), 3, best, at);
        store(values + out + x, best);
        *reinterpret_cast<Ints*>(places + out + x) = at;
      }
      for (; x < w; ++x) {
        float best = from[above + 2 * x];
        int32_t at = 0;
        meet(from[above + 2 * x + 1], 1, best, at);
        meet(from[below + 2 * x], 2, best, at);
        meet(from[below + 2 * x + 1], 3, best, at);
        values[out + x] = best;
        places[out + x] = at;
      }
    }
  });
  return {largest, which};
}

// The gradient of images (n, channels, height, width) out of that of `largest`: all of it goes to the pixel taken.
Tensor max_pool_gradient(const Tensor& gradient, const Tensor& which, int64_t height, int64_t width) {
  const int64_t n = gradient.size(0), channels = gradient.size(1), h = gradient.size(2), w = gradient.size(3);
  Tensor out = torch::stable::new_empty(gradient, {n, channels, height, width});
  const float* slopes = gradient.const_data_ptr<float>();
  const int32_t* places = which.const_data_ptr<int32_t>();
  float* to = out.mutable_data_ptr<float>();
  torch::stable::parallel_for(0, n * channels, grain(5 * h * w), [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      for (int64_t y = 0; y < 2 * h; ++y) {
        const int64_t row = (plane * height + y) * width, in = (plane * h + y / 2) * w;
        const int first = y % 2 * 2;
        int64_t x = 0;
        // What a vector writes beyond its row is written again by the next ones.
        for (; x < w && in + x + kWidth <= n * channels * h * w && row + 2 * (x + kWidth) <= end * height * width;
             x += kWidth) {
          const Vector slope = load(slopes + in + x), zero{};
          const Ints at = *reinterpret_cast<const Ints*>(places + in + x);
          const Vector even = at == first ? slope : zero, odd = at == first + 1 ? slope : zero;
          store(to + row + 2 * x, in_turn<0>(even, odd, kLanes));
          store(to + row + 2 * x + kWidth, in_turn<1>(even, odd, kLanes));
        }
        for (; x < w; ++x)
          for (int side = 0; side < 2; ++side)
            to[row + 2 * x + side] = places[in + x] == first + side ? slopes[in + x] : 0.0f;
        if (width % 2) to[row + width - 1] = 0.0f;
      }
      if (height % 2) std::fill_n(to + (plane * height + height - 1) * width, width, 0.0f);
    }
  });
  return out;
}

std::tuple<Tensor, Tensor> max_pool_of_maps(const Tensor& maps) {
  const int64_t n = maps.size(0), height = maps.size(1), width = maps.size(2), channels = maps.size(3);
  const int64_t h = height / 2, w = width / 2;
  Tensor largest = torch::stable::new_empty(maps, {n, h, w, channels});
  Tensor which = torch::stable::new_empty(maps, {n, h, w, channels}, ScalarType::Byte);
  uint8_t* places = which.mutable_data_ptr<uint8_t>();
  with_type(maps, [&](const auto* from) {
    auto* values = static_cast<std::remove_const_t<std::remove_pointer_t<decltype(from)>>*>(largest.data_ptr());
    torch::stable::parallel_for(0, n * h, grain(w * channels), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for (int64_t x = 0; x < w; ++x) {
          const auto* pixel = from + ((row / h * height + row % h * 2) * width + 2 * x) * channels;
          for (int64_t c = 0; c < channels; c += kWidth) {
            Vector best = load(pixel + c);
            Ints at{};
            meet(load(pixel + channels + c), 1, best, at);
            meet(load(pixel + width * channels + c), 2, best, at);
            meet(load(pixel + (width + 1) * channels + c), 3, best, at);
            const int64_t out = (row * w + x) * channels + c;
            store(values + out, best);
            *reinterpret_cast<Bytes*>(places + out) = __builtin_convertvector(at, Bytes);
          }
        }
    });
  });
  return {largest, which};
}

// As `max_pool_gradient`, of maps (n, height, width, channels).
Tensor max_pool_of_maps_gradient(const Tensor& gradient, const Tensor& which, int64_t height, int64_t width) {
  const int64_t n = gradient.size(0), h = gradient.size(1), w = gradient.size(2), channels = gradient.size(3);
  Tensor out = torch::stable::new_empty(gradient, {n, height, width, channels});
  const uint8_t* places = which.const_data_ptr<uint8_t>();
  with_type(gradient, [&](const auto* slopes) {
    auto* to = static_cast<std::remove_const_t<std::remove_pointer_t<decltype(slopes)>>*>(out.data_ptr());
    torch::stable::parallel_for(0, n, grain(h * w * channels), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        auto* image = to + i * height * width * channels;
        for (int64_t y = 0; y < h; ++y) {
          for (int64_t x = 0; x < w; ++x)
            for (int64_t c = 0; c < channels; c += kWidth) {
              const int64_t in = ((i * h + y) * w + x) * channels + c;
              const Vector slope = load(slopes + in);
              const Ints at = __builtin_convertvector(*reinterpret_cast<const Bytes*>(places + in), Ints);
              for (int there = 0; there < 4; ++there)
                store(image + ((2 * y + there / 2) * width + 2 * x + there % 2) * channels + c,
                      at == there ? slope : Vector{});
            }
          if (width % 2)
            for (int side = 1; side <= 2; ++side)
              std::fill_n(image + ((2 * y + side) * width - 1) * channels, channels, 0);
        }
        if (height % 2) std::fill_n(image + (height - 1) * width * channels, width * channels, 0);
      }
    });
  });
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(etude, library) {
  library.def("max_pool(Tensor images) -> (Tensor, Tensor)");
  library.def("max_pool_gradient(Tensor gradient, Tensor which, int height, int width) -> Tensor");
  library.def("max_pool_of_maps(Tensor maps) -> (Tensor, Tensor)");
  library.def("max_pool_of_maps_gradient(Tensor gradient, Tensor which, int height, int width) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(etude, CPU, library) {
  library.impl("max_pool", TORCH_BOX(&max_pool));
  library.impl("max_pool_gradient", TORCH_BOX(&max_pool_gradient));
  library.impl("max_pool_of_maps", TORCH_BOX(&max_pool_of_maps));
  library.impl("max_pool_of_maps_gradient", TORCH_BOX(&max_pool_of_maps_gradient));
}
