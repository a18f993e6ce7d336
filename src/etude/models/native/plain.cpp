// Convolutions of stride 1 without padding, and pooling of 2x2 pixels, of small float32 images on a processor.
//
// A plane of an image is taken as one row of numbers: the tap (ky, kx) of a kernel sees it shifted by ky * width + kx,
// so that vectors run on over the ends of the plane's rows. What they compute there, where the kernel would stick out,
// is left out. Tensors are contiguous: layers.py sees to it.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "parts.h"

namespace {

using torch::stable::Tensor;

constexpr int64_t kVectors = 3;             // of positions that a tile of `correlate` holds for each of its maps
constexpr int kMaps = kWidth == 16 ? 8 : 4;  // most maps of a tile, as the registers allow
constexpr int kGradientMaps = kWidth == 16 ? 5 : 2;
constexpr int kColumns = 5;  // most columns of a kernel in a tile of `gradient_of_kernels`

int64_t up_to(int64_t multiple, int64_t number) { return (number + multiple - 1) / multiple * multiple; }

// The fewest items for a thread, where one takes `work` times a third of a nanosecond: ten multiply-adds in vectors, or
// a twentieth of what a pooled pixel takes, one at a time.
int64_t grain(int64_t work) { return std::max<int64_t>(1, 100000 / std::max<int64_t>(1, work)); }

template <int shift, int... lane>
Vector shifted_by(Vector here, Vector next, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(here, next, (lane + shift)...);
}
template <int... k>
void shifted(Vector* x, Vector here, Vector next, std::integer_sequence<int, k...>) {
  ((x[k] = shifted_by<k>(here, next, std::make_integer_sequence<int, int(kWidth)>())), ...);
}

// (maps) rows of results: result[map][p] = start[map] + sum over taps of weights[tap][map] * source[p + offset[tap]].
void correlate(const float* source, const std::vector<int64_t>& offsets, const float* weights, const float* start,
               float* result, int64_t maps, int64_t positions) {
  constexpr int64_t step = kVectors * kWidth;
  in_parts<kMaps>(maps, [&](int64_t first, auto size) {
    constexpr int count = decltype(size)::value;
    for (int64_t p = 0; p < positions; p += step) {
      Vector sums[count][kVectors];
      for (int m = 0; m < count; ++m)
        for (int v = 0; v < kVectors; ++v) sums[m][v] = Vector{} + start[first + m];
      const float* weight = weights + first;
      for (int64_t offset : offsets) {
        Vector seen[kVectors];
        for (int v = 0; v < kVectors; ++v) seen[v] = load(source + offset + p + v * kWidth);
        for (int m = 0; m < count; ++m)
          for (int v = 0; v < kVectors; ++v) sums[m][v] += weight[m] * seen[v];
        weight += maps;
      }
      for (int m = 0; m < count; ++m)
        for (int v = 0; v < kVectors; ++v)
          *reinterpret_cast<Vector*>(result + (first + m) * positions + p + v * kWidth) = sums[m][v];
    }
  });
}

// Images (n, channels, height, width) with zeros around them, `pad_y` rows and `pad_x` columns on each side, and
// weights [channel, ky, kx][map] to maps (n, maps, h, w).
void convolve_into(float* out, const float* images, const std::vector<float>& weights, const std::vector<float>& start,
                   int64_t n, int64_t channels, int64_t height, int64_t width, int64_t pad_y, int64_t pad_x,
                   int64_t maps, int64_t kh, int64_t kw) {
  const int64_t padded_height = height + 2 * pad_y, padded_width = width + 2 * pad_x;
  const int64_t plane = padded_height * padded_width;
  const int64_t h = padded_height - kh + 1, w = padded_width - kw + 1;
  const int64_t positions = up_to(kVectors * kWidth, h * padded_width);
  std::vector<int64_t> offsets;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t ky = 0; ky < kh; ++ky)
      for (int64_t kx = 0; kx < kw; ++kx) offsets.push_back(c * plane + ky * padded_width + kx);
  torch::stable::parallel_for(0, n, grain(positions * maps * offsets.size() / 10), [&](int64_t begin, int64_t end) {
    std::vector<float> source(channels * plane + kVectors * kWidth + kw), result(maps * positions);
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t y = 0; y < height; ++y)
          std::copy_n(images + ((i * channels + c) * height + y) * width, width,
                      source.data() + c * plane + (y + pad_y) * padded_width + pad_x);
      correlate(source.data(), offsets, weights.data(), start.data(), result.data(), maps, positions);
      for (int64_t m = 0; m < maps; ++m)
        for (int64_t y = 0; y < h; ++y)
          std::copy_n(result.data() + m * positions + y * padded_width, w, out + ((i * maps + m) * h + y) * w);
    }
  });
}

Tensor convolve(const Tensor& images, const Tensor& kernels, const Tensor& bias) {
  const int64_t n = images.size(0), channels = images.size(1), height = images.size(2), width = images.size(3);
  const int64_t maps = kernels.size(0), kh = kernels.size(2), kw = kernels.size(3), taps = channels * kh * kw;
  Tensor out = torch::stable::new_empty(images, {n, maps, height - kh + 1, width - kw + 1});
  std::vector<float> weights(taps * maps), start(bias.const_data_ptr<float>(), bias.const_data_ptr<float>() + maps);
  const float* kernel = kernels.const_data_ptr<float>();
  for (int64_t m = 0; m < maps; ++m)
    for (int64_t t = 0; t < taps; ++t) weights[t * maps + m] = kernel[m * taps + t];
  convolve_into(out.mutable_data_ptr<float>(), images.const_data_ptr<float>(), weights, start, n, channels,
                height, width, 0, 0, maps, kh, kw);
  return out;
}

Tensor gradient_of_images(const Tensor& gradient, const Tensor& kernels) {
  const int64_t n = gradient.size(0), maps = gradient.size(1), h = gradient.size(2), w = gradient.size(3);
  const int64_t channels = kernels.size(1), kh = kernels.size(2), kw = kernels.size(3), taps = kh * kw;
  Tensor out = torch::stable::new_empty(gradient, {n, channels, h + kh - 1, w + kw - 1});
  std::vector<float> weights(maps * taps * channels), start(channels, 0.0f);
  const float* kernel = kernels.const_data_ptr<float>();
  for (int64_t m = 0; m < maps; ++m)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t t = 0; t < taps; ++t)
        weights[(m * taps + taps - 1 - t) * channels + c] = kernel[(m * channels + c) * taps + t];
  convolve_into(out.mutable_data_ptr<float>(), gradient.const_data_ptr<float>(), weights, start, n, maps,
                h, w, kh - 1, kw - 1, channels, kh, kw);
  return out;
}

Tensor gradient_of_kernels(const Tensor& images, const Tensor& gradient) {
  const int64_t n = images.size(0), channels = images.size(1), height = images.size(2), width = images.size(3);
  const int64_t maps = gradient.size(1), h = gradient.size(2), w = gradient.size(3);
  const int64_t kh = height - h + 1, kw = width - w + 1, plane = height * width;
  Tensor out = torch::stable::new_empty(images, {maps, channels, kh, kw});
  float* of_kernels = out.mutable_data_ptr<float>();
  // The gradient in rows as long as the images', zero where a kernel would stick out.
  const int64_t positions = up_to(kWidth, h * width);
  std::vector<float> spread(n * maps * positions), source(n * channels * plane + 2 * kWidth + kw);
  const float* from = gradient.const_data_ptr<float>();
  torch::stable::parallel_for(0, n, grain(10 * maps * h * w), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * maps; i < end * maps; ++i)
      for (int64_t y = 0; y < h; ++y) std::copy_n(from + (i * h + y) * w, w, spread.data() + i * positions + y * width);
    std::copy_n(images.const_data_ptr<float>() + begin * channels * plane, (end - begin) * channels * plane,
                source.data() + begin * channels * plane);
  });
  torch::stable::parallel_for(0, channels * kh, grain(n * positions * maps * kw / 10), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t c = row / kh, ky = row % kh;
      in_parts<kGradientMaps>(maps, [&](int64_t map, auto num_maps) {
        in_parts<kColumns>(kw, [&](int64_t column, auto num_columns) {
          constexpr int M = decltype(num_maps)::value, K = decltype(num_columns)::value;
          Vector sums[M][K] = {};
          for (int64_t i = 0; i < n; ++i) {
            const float* seen = source.data() + (i * channels + c) * plane + ky * width + column;
            const float* slope = spread.data() + (i * maps + map) * positions;
            Vector here = load(seen);
            for (int64_t p = 0; p < positions; p += kWidth) {
              const Vector next = load(seen + p + kWidth);
              Vector x[K];
              shifted(x, here, next, std::make_integer_sequence<int, K>());
              here = next;
              for (int m = 0; m < M; ++m) {
                const Vector g = load(slope + m * positions + p);
                for (int k = 0; k < K; ++k) sums[m][k] += g * x[k];
              }
            }
          }
          for (int m = 0; m < M; ++m)
            for (int k = 0; k < K; ++k) {
              float sum = 0;
              for (int64_t v = 0; v < kWidth; ++v) sum += sums[m][k][v];
              of_kernels[(((map + m) * channels + c) * kh + ky) * kw + column + k] = sum;
            }
        });
      });
    }
  });
  return out;
}

// The largest of each 2x2 pixels, the first of equals, NaN before all; and which it was, 0 to 3.
std::tuple<Tensor, Tensor> max_pool(const Tensor& images) {
  const int64_t n = images.size(0), channels = images.size(1), height = images.size(2), width = images.size(3);
  const int64_t h = height / 2, w = width / 2;
  Tensor largest = torch::stable::new_empty(images, {n, channels, h, w});
  Tensor which = torch::stable::new_empty(images, {n, channels, h, w}, torch::headeronly::ScalarType::Int);
  const float* from = images.const_data_ptr<float>();
  float* value = largest.mutable_data_ptr<float>();
  int32_t* place = which.mutable_data_ptr<int32_t>();
  torch::stable::parallel_for(0, n * channels, grain(20 * h * w), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin * h; row < end * h; ++row) {
      const float* above = from + (row / h * height + row % h * 2) * width;
      const float* below = above + width;
      for (int64_t x = 0; x < w; ++x) {
        float best = above[2 * x];
        int32_t at = 0;
        const auto meet = [&](float other, int32_t there) {
          const bool larger = other > best || other != other;
          best = larger ? other : best;
          at = larger ? there : at;
        };
        meet(above[2 * x + 1], 1);
        meet(below[2 * x], 2);
        meet(below[2 * x + 1], 3);
        value[row * w + x] = best;
        place[row * w + x] = at;
      }
    }
  });
  return {largest, which};
}

// The gradient of images (n, channels, height, width) out of that of `largest`: all of it goes to the pixel taken.
Tensor max_pool_gradient(const Tensor& gradient, const Tensor& which, int64_t height, int64_t width) {
  const int64_t n = gradient.size(0), channels = gradient.size(1), h = gradient.size(2), w = gradient.size(3);
  Tensor out = torch::stable::new_empty(gradient, {n, channels, height, width});
  const float* slope = gradient.const_data_ptr<float>();
  const int32_t* place = which.const_data_ptr<int32_t>();
  float* to = out.mutable_data_ptr<float>();
  torch::stable::parallel_for(0, n * channels, grain(20 * h * w), [&](int64_t begin, int64_t end) {
    if (height % 2 || width % 2) std::fill(to + begin * height * width, to + end * height * width, 0.0f);
    for (int64_t row = begin * h; row < end * h; ++row) {
      float* above = to + (row / h * height + row % h * 2) * width;
      float* below = above + width;
      for (int64_t x = 0; x < w; ++x) {
        const int32_t at = place[row * w + x];
        const float g = slope[row * w + x];
        above[2 * x] = at == 0 ? g : 0.0f;
        above[2 * x + 1] = at == 1 ? g : 0.0f;
        below[2 * x] = at == 2 ? g : 0.0f;
        below[2 * x + 1] = at == 3 ? g : 0.0f;
      }
    }
  });
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY(etude, library) {
  library.def("convolve(Tensor images, Tensor kernels, Tensor bias) -> Tensor");
  library.def("gradient_of_images(Tensor gradient, Tensor kernels) -> Tensor");
  library.def("gradient_of_kernels(Tensor images, Tensor gradient) -> Tensor");
  library.def("max_pool(Tensor images) -> (Tensor, Tensor)");
  library.def("max_pool_gradient(Tensor gradient, Tensor which, int height, int width) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(etude, CPU, library) {
  library.impl("convolve", TORCH_BOX(&convolve));
  library.impl("gradient_of_images", TORCH_BOX(&gradient_of_images));
  library.impl("gradient_of_kernels", TORCH_BOX(&gradient_of_kernels));
  library.impl("max_pool", TORCH_BOX(&max_pool));
  library.impl("max_pool_gradient", TORCH_BOX(&max_pool_gradient));
}
