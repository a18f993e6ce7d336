// Loops over parts whose size the compiler knows, so that it can keep what they sum up in registers.

#pragma once

#include <cstdint>
#include <type_traits>

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
