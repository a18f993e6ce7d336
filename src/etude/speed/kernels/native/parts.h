// Vectors as wide as the processor's registers (GCC takes wider ones apart in memory), of float32 and read from and
// written to bfloat16; loops over parts whose size the compiler knows, so that it can keep what they sum up in
// registers; and shares of work worth a thread.

#pragma once

#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#if defined(__AVX512F__)
constexpr int64_t kWidth = 16;
#elif defined(__AVX__)
constexpr int64_t kWidth = 8;
#else
constexpr int64_t kWidth = 4;
#endif
typedef float Vector __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector value) { *reinterpret_cast<Vector*>(to) = value; }

typedef uint32_t Bits __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));
typedef uint16_t Halves __attribute__((vector_size(2 * kWidth), aligned(2), may_alias));

// A bfloat16 is the upper half of a float32.
inline Vector load(const uint16_t* from) {
  return (Vector)(__builtin_convertvector(*reinterpret_cast<const Halves*>(from), Bits) << 16);  // the same bits
}

// Rounds to the nearest, of two the even one; a NaN stays one.
inline void store(uint16_t* to, Vector value) {
  const Bits bits = (Bits)value;
  const Bits rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Bits nan = (Bits)(value != value);
  *reinterpret_cast<Halves*>(to) = __builtin_convertvector((nan & 0x7fc0) | (~nan & rounded), Halves);
}

// Calls f with a pointer to the maps: bfloat16, else float32.
template <typename F>
void with_type(const torch::stable::Tensor& maps, F f) {
  if (maps.scalar_type() == torch::headeronly::ScalarType::BFloat16) {
    f(static_cast<uint16_t*>(maps.data_ptr()));
  } else {
    f(static_cast<float*>(maps.data_ptr()));
  }
}

// The fewest items for a thread, where one takes `work` times a third of a nanosecond: ten multiply-adds in vectors.
inline int64_t grain(int64_t work) { return std::max<int64_t>(1, 100000 / std::max<int64_t>(1, work)); }

// Calls f with the number as a constant, 1 to most.
template <int most, typename F>
void with_constant(int64_t number, F f) {
  if constexpr (most > 1) {
    if (number < most) return with_constant<most - 1>(number, f);
  }
  f(std::integral_constant<int, most>());
}

// Calls f(first, how many) for parts of about equal size, each at most `most`.
template <int most, typename F>
void in_parts(int64_t count, F f) {
  const int64_t parts = (count + most - 1) / most;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t first = part * count / parts, next = (part + 1) * count / parts;
    with_constant<most>(next - first, [&](auto size) { f(first, size); });
  }
}
