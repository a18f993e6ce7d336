// Convolutions of stride 1 without padding of small float32 images on a processor.
//
// A plane of an image is taken as one row of numbers: the tap (ky, kx) of a kernel sees it shifted by ky * width + kx,
// so that vectors run on over the ends of the plane's rows. What they compute there, where the kernel would stick out,
// is left out. Tensors are contiguous: functions.py sees to it.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "parts.h"

namespace {

using torch::stable::Tensor;

constexpr int64_t kVectors = 3;             // of positions that a tile of `correlate` holds for each of its maps
constexpr int kMaps = kWidth == 16 ? 8 : 4;  // most maps of a tile, as the registers allow
constexpr int kGradientMaps = kWidth == 16 ? 5 : 2;
constexpr int kColumns = 5;  // most columns of a kernel in a tile of `gradient_of_kernels`
constexpr int64_t kGroup = 4;  // images whose gradients a thread sums up at once

int64_t up_to(int64_t multiple, int64_t number) { return (number + multiple - 1) / multiple * multiple; }

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
  in_parts<kMaps>(maps, [&](int64_t first, auto num_maps) {
    in_parts<kVectors>(positions / kWidth, [&](int64_t vector, auto num_vectors) {
      constexpr int M = decltype(num_maps)::value, V = decltype(num_vectors)::value;
      const int64_t p = vector * kWidth;
      Vector sums[M][V];
      for (int m = 0; m < M; ++m)
        for (int v = 0; v < V; ++v) sums[m][v] = Vector{} + start[first + m];
      const float* weight = weights + first;
      for (int64_t offset : offsets) {
        Vector seen[V];
        for (int v = 0; v < V; ++v) seen[v] = load(source + offset + p + v * kWidth);
        for (int m = 0; m < M; ++m)
          for (int v = 0; v < V; ++v) sums[m][v] += weight[m] * seen[v];
        weight += maps;
      }
      for (int m = 0; m < M; ++m)
        for (int v = 0; v < V; ++v) store(result + (first + m) * positions + p + v * kWidth, sums[m][v]);
    });
  });
}

// Images (n, channels, height, width) with zeros around them, `pad_y` rows above and below and `pad_x` columns left and
// right, and weights [channel, ky, kx][map] to maps (n, maps, h, w). The zeros right of a row are those left of the next:
// `pad_x` is 0 or kw - 1, so that w is at most `padded_width`.
void convolve_into(float* out, const float* images, const std::vector<float>& weights, const std::vector<float>& start,
                   int64_t n, int64_t channels, int64_t height, int64_t width, int64_t pad_y, int64_t pad_x,
                   int64_t maps, int64_t kh, int64_t kw) {
  const int64_t padded_height = height + 2 * pad_y, padded_width = width + pad_x;
  const int64_t plane = padded_height * padded_width;
  const int64_t h = padded_height - kh + 1, w = padded_width + pad_x - kw + 1;
  const int64_t positions = up_to(kWidth, h * padded_width);
  std::vector<int64_t> offsets;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t ky = 0; ky < kh; ++ky)
      for (int64_t kx = 0; kx < kw; ++kx) offsets.push_back(c * plane + ky * padded_width + kx);
  torch::stable::parallel_for(0, n, grain(positions * maps * offsets.size() / 10), [&](int64_t begin, int64_t end) {
    std::vector<float> source(channels * plane + kWidth + kw), result(maps * positions);
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
  const float *image = images.const_data_ptr<float>(), *slopes = gradient.const_data_ptr<float>();
  const int64_t positions = up_to(kWidth, h * width), size = maps * channels * kh * kw;
  // A sum for each group of images, then their sum in order: the same however many threads there are.
  const int64_t groups = std::max<int64_t>(1, (n + kGroup - 1) / kGroup);
  std::vector<float> of_groups(groups * size);
  torch::stable::parallel_for(0, groups, grain(n * positions * size / groups / 10), [&](int64_t begin, int64_t end) {
    // The gradient in rows as long as the images', zero where a kernel would stick out.
    std::vector<float> spread(kGroup * maps * positions), source(kGroup * channels * plane + 2 * kWidth + kw);
    for (int64_t group = begin; group < end; ++group) {
      const int64_t first = group * kGroup, images_here = std::min(kGroup, n - first);
      for (int64_t map = 0; map < images_here * maps; ++map)
        for (int64_t y = 0; y < h; ++y)
          std::copy_n(slopes + ((first * maps + map) * h + y) * w, w, spread.data() + map * positions + y * width);
      std::copy_n(image + first * channels * plane, images_here * channels * plane, source.data());
      for (int64_t row = 0; row < channels * kh; ++row) {
        const int64_t c = row / kh, ky = row % kh;
        in_parts<kGradientMaps>(maps, [&](int64_t map, auto num_maps) {
          in_parts<kColumns>(kw, [&](int64_t column, auto num_columns) {
            constexpr int M = decltype(num_maps)::value, K = decltype(num_columns)::value;
            Vector sums[M][K] = {};
            for (int64_t i = 0; i < images_here; ++i) {
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
            float* to = of_groups.data() + group * size;
            for (int m = 0; m < M; ++m)
              for (int k = 0; k < K; ++k) {
                float sum = 0;
                for (int64_t v = 0; v < kWidth; ++v) sum += sums[m][k][v];
                to[(((map + m) * channels + c) * kh + ky) * kw + column + k] = sum;
              }
          });
        });
      }
    }
  });
  std::copy_n(of_groups.data(), size, of_kernels);
  for (int64_t group = 1; group < groups; ++group)
    for (int64_t k = 0; k < size; ++k) of_kernels[k] += of_groups[group * size + k];
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY(etude, library) {
  library.def("convolve(Tensor images, Tensor kernels, Tensor bias) -> Tensor");
  library.def("gradient_of_images(Tensor gradient, Tensor kernels) -> Tensor");
  library.def("gradient_of_kernels(Tensor images, Tensor gradient) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(etude, CPU, library) {
  library.impl("convolve", TORCH_BOX(&convolve));
  library.impl("gradient_of_images", TORCH_BOX(&gradient_of_images));
  library.impl("gradient_of_kernels", TORCH_BOX(&gradient_of_kernels));
}
