// Convolutions between grey images and maps on a processor: kernels (kh, kw, maps) of any stride and padding.
//
// Image (height, width) and maps (h, w, maps) meet where kernel and position do: the pixel at y * stride - pad + ky,
// x * stride - pad + kx with the map's (y, x). Of image, maps and kernels each is a sum over products of the other two.
// The maps of a position lie side by side, float32 or bfloat16, a multiple of 16 of them; sums are taken in float32.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <vector>

#include "parts.h"

namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Most of them whose sums a loop keeps in registers: 32 where these hold 16 numbers, else 16, so that a 3x3 kernel fits.
constexpr int kPositions = 8, kTaps = kWidth == 16 ? 16 : 9;

struct Shape {
  int64_t n, height, width, h, w, maps, kh, kw, stride_y, stride_x, pad_y, pad_x;

  int64_t taps() const { return kh * kw; }
  // Rows and columns with all that the kernels reach, also where they stick out.
  int64_t rows() const { return std::max(height + pad_y, (h - 1) * stride_y + kh) + pad_y; }
  int64_t columns() const { return std::max(width + pad_x, (w - 1) * stride_x + kw) + pad_x; }
  // Where the taps are in such an image, seen from the first.
  std::vector<int64_t> offsets() const {
    std::vector<int64_t> found;
    for (int64_t ky = 0; ky < kh; ++ky)
      for (int64_t kx = 0; kx < kw; ++kx) found.push_back(ky * columns() + kx);
    return found;
  }
  int64_t inside() const { return pad_y * columns() + pad_x; }  // the first pixel of the image proper
};

void surround(const Shape& s, const float* image, float* padded) {
  for (int64_t y = 0; y < s.height; ++y)
    std::copy_n(image + y * s.width, s.width, padded + s.inside() + y * s.columns());
}

Tensor grey_to_maps(const Tensor& images, const Tensor& kernels, const Tensor& bias, int64_t h, int64_t w,
                    int64_t stride_y, int64_t stride_x, int64_t pad_y, int64_t pad_x, bool in_bf16) {
  const Shape s{images.size(0), images.size(1), images.size(2), h, w, kernels.size(2), kernels.size(0), kernels.size(1),
                stride_y, stride_x, pad_y, pad_x};
  Tensor out = torch::stable::new_empty(images, {s.n, h, w, s.maps}, in_bf16 ? ScalarType::BFloat16 : ScalarType::Float);
  const float *image = images.const_data_ptr<float>(), *kernel = kernels.const_data_ptr<float>();
  const float* start = bias.const_data_ptr<float>();
  const std::vector<int64_t> offsets = s.offsets();
  with_type(out, [&](auto* maps) {
    torch::stable::parallel_for(0, s.n, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> padded(s.rows() * s.columns());
      for (int64_t i = begin; i < end; ++i) {
        surround(s, image + i * s.height * s.width, padded.data());
        for (int64_t y = 0; y < h; ++y)
          in_parts<kPositions>(w, [&](int64_t x, auto size) {
            constexpr int count = decltype(size)::value;
            const float* seen = padded.data() + y * stride_y * s.columns() + x * stride_x;
            for (int64_t m = 0; m < s.maps; m += kWidth) {
              Vector sums[count];
              for (int p = 0; p < count; ++p) sums[p] = load(start + m);
              for (int64_t tap = 0; tap < s.taps(); ++tap) {
                const Vector weights = load(kernel + tap * s.maps + m);
                for (int p = 0; p < count; ++p) sums[p] += weights * seen[offsets[tap] + p * stride_x];
              }
              for (int p = 0; p < count; ++p) store(maps + ((i * h + y) * w + x + p) * s.maps + m, sums[p]);
            }
          });
      }
    });
  });
  return out;
}

Tensor maps_to_grey(const Tensor& maps, const Tensor& kernels, int64_t height, int64_t width, int64_t stride_y,
                    int64_t stride_x, int64_t pad_y, int64_t pad_x) {
  const Shape s{maps.size(0), height, width, maps.size(1), maps.size(2), maps.size(3), kernels.size(0), kernels.size(1),
                stride_y, stride_x, pad_y, pad_x};
  Tensor out = torch::stable::new_empty(kernels, {s.n, height, width});
  const float* kernel = kernels.const_data_ptr<float>();
  float* images = out.mutable_data_ptr<float>();
  const std::vector<int64_t> offsets = s.offsets();
  // The weights of a map side by side: a vector holds sums for up to kWidth taps.
  const int64_t vectors = (s.taps() + kWidth - 1) / kWidth;
  std::vector<float> weights(vectors * s.maps * kWidth);
  for (int64_t tap = 0; tap < s.taps(); ++tap)
    for (int64_t m = 0; m < s.maps; ++m)
      weights[(tap / kWidth * s.maps + m) * kWidth + tap % kWidth] = kernel[tap * s.maps + m];
  with_type(maps, [&](const auto* from) {
    torch::stable::parallel_for(0, s.n, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> padded(s.rows() * s.columns()), seen(s.w * s.maps);
      for (int64_t i = begin; i < end; ++i) {
        std::fill(padded.begin(), padded.end(), 0.0f);
        for (int64_t y = 0; y < s.h; ++y) {
          const auto* row = from + (i * s.h + y) * s.w * s.maps;
          for (int64_t k = 0; k < s.w * s.maps; k += kWidth) store(seen.data() + k, load(row + k));
          for (int64_t v = 0; v < vectors; ++v)
            in_parts<kPositions>(s.w, [&](int64_t x, auto size) {
              constexpr int count = decltype(size)::value;
              Vector sums[count] = {};
              for (int64_t m = 0; m < s.maps; ++m) {
                const Vector weight = load(weights.data() + (v * s.maps + m) * kWidth);
                for (int p = 0; p < count; ++p) sums[p] += weight * seen[(x + p) * s.maps + m];
              }
              for (int p = 0; p < count; ++p) {
                float* to = padded.data() + y * stride_y * s.columns() + (x + p) * stride_x;
                for (int64_t tap = v * kWidth; tap < std::min(s.taps(), (v + 1) * kWidth); ++tap)
                  to[offsets[tap]] += sums[p][tap % kWidth];
              }
            });
        }
        for (int64_t y = 0; y < height; ++y)
          std::copy_n(padded.data() + s.inside() + y * s.columns(), width, images + (i * height + y) * width);
      }
    });
  });
  return out;
}

Tensor grey_kernels(const Tensor& images, const Tensor& maps, int64_t kh, int64_t kw, int64_t stride_y,
                    int64_t stride_x, int64_t pad_y, int64_t pad_x) {
  const Shape s{images.size(0), images.size(1), images.size(2), maps.size(1), maps.size(2), maps.size(3), kh, kw,
                stride_y, stride_x, pad_y, pad_x};
  Tensor out = torch::stable::new_empty(images, {kh, kw, s.maps});
  float* kernels = out.mutable_data_ptr<float>();
  const float* image = images.const_data_ptr<float>();
  const std::vector<int64_t> offsets = s.offsets();
  // One sum for each image, then their sum in the order of the images: the same however many threads there are.
  const int64_t size = s.taps() * s.maps;
  std::vector<float> of_images(s.n * size);
  with_type(maps, [&](const auto* from) {
    torch::stable::parallel_for(0, s.n, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> padded(s.rows() * s.columns());
      for (int64_t i = begin; i < end; ++i) {
        surround(s, image + i * s.height * s.width, padded.data());
        for (int64_t m = 0; m < s.maps; m += kWidth)
          in_parts<kTaps>(s.taps(), [&](int64_t tap, auto taps) {
            constexpr int count = decltype(taps)::value;
            Vector sums[count] = {};
            for (int64_t y = 0; y < s.h; ++y)
              for (int64_t x = 0; x < s.w; ++x) {
                const Vector map = load(from + ((i * s.h + y) * s.w + x) * s.maps + m);
                const float* seen = padded.data() + y * stride_y * s.columns() + x * stride_x;
                for (int t = 0; t < count; ++t) sums[t] += map * seen[offsets[tap + t]];
              }
            for (int t = 0; t < count; ++t) store(of_images.data() + i * size + (tap + t) * s.maps + m, sums[t]);
          });
      }
    });
  });
  std::fill(kernels, kernels + size, 0.0f);
  for (int64_t i = 0; i < s.n; ++i)
    for (int64_t k = 0; k < size; ++k) kernels[k] += of_images[i * size + k];
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(etude, library) {
  library.def(
      "grey_to_maps(Tensor images, Tensor kernels, Tensor bias, int h, int w, int stride_y, int stride_x, int pad_y, "
      "int pad_x, bool in_bf16) -> Tensor");
  library.def(
      "maps_to_grey(Tensor maps, Tensor kernels, int height, int width, int stride_y, int stride_x, int pad_y, "
      "int pad_x) -> Tensor");
  library.def(
      "grey_kernels(Tensor images, Tensor maps, int kh, int kw, int stride_y, int stride_x, int pad_y, int pad_x) "
      "-> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(etude, CPU, library) {
  library.impl("grey_to_maps", TORCH_BOX(&grey_to_maps));
  library.impl("maps_to_grey", TORCH_BOX(&maps_to_grey));
  library.impl("grey_kernels", TORCH_BOX(&grey_kernels));
}
