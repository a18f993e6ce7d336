// Vectors as wide as the processor's registers (GCC takes wider ones apart in memory), and loops over parts whose size
// the compiler knows, so that it can keep what they sum up in registers.

#pragma once

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
