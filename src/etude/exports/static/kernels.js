// The layers of a network, each a function of its settings, flat arrays in and a flat array out. One example at a time.
// etude.exports.program has the same layers in PyTorch, by the same names.
"use strict";

const SQRT_2 = Math.SQRT2;

// The error function, to 1.2e-7 (Press et al., Numerical Recipes, 2nd edition, section 6.2).
function erf(x) {
  const t = 1 / (1 + 0.5 * Math.abs(x));
  const tail = t * Math.exp(-x * x - 1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 +
    t * (-0.18628806 + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 +
    t * (-0.82215223 + t * 0.17087277)))))))));
  return x >= 0 ? 1 - tail : tail - 1;
}

const UNARY = {
  relu: (x) => (x > 0 ? x : 0),
  leaky_relu: (x, slope) => (x > 0 ? x : slope * x),
  elu: (x, alpha) => (x > 0 ? x : alpha * Math.expm1(x)),
  gelu: (x) => 0.5 * x * (1 + erf(x / SQRT_2)),
  gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))),
  silu: (x) => x / (1 + Math.exp(-x)),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: (x) => Math.tanh(x),
  softplus: (x, beta, threshold) => (x * beta > threshold ? x : Math.log1p(Math.exp(x * beta)) / beta),
  hardswish: (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6,
  hardsigmoid: (x) => Math.min(Math.max(x + 3, 0), 6) / 6,
  clamp: (x, low, high) => Math.min(Math.max(x, low), high),
  exp: (x) => Math.exp(x),
  log: (x) => Math.log(x),
  sqrt: (x) => Math.sqrt(x),
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  neg: (x) => -x,
  abs: (x) => Math.abs(x),
  sin: (x) => Math.sin(x),
  cos: (x) => Math.cos(x),
  pow: (x, exponent) => Math.pow(x, exponent),
};

const BINARY = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  maximum: (a, b) => Math.max(a, b),
  minimum: (a, b) => Math.min(a, b),
};

const REDUCTIONS = {
  mean: [0, (a, b) => a + b],
  sum: [0, (a, b) => a + b],
  max: [-Infinity, (a, b) => Math.max(a, b)],
  min: [Infinity, (a, b) => Math.min(a, b)],
};

// Calls f(output index, from, to) for each window of a pooling layer, with rows and columns inside the input.
function eachWindow(s, f) {
  const [channels, height, width] = s.in, [, rows, columns] = s.out;
  for (let channel = 0, at = 0; channel < channels; channel++)
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++, at++)
        f(at, channel * height * width, row, column, height, width);
}

const LAYERS = {
  unary(s, out, x) {
    const f = UNARY[s.name], [a, b] = s.with;
    for (let i = 0; i < out.length; i++) out[i] = f(x[i], a, b);
  },

  binary(s, out, a, b) {
    const f = BINARY[s.name], axes = s.shape.length, index = new Int32Array(axes);
    for (let i = 0, p = 0, q = 0; i < out.length; i++) {
      out[i] = f(a[p], b[q]);
      for (let axis = axes - 1; axis >= 0; axis--) {
        p += s.left[axis];
        q += s.right[axis];
        if (++index[axis] < s.shape[axis]) break;
        p -= s.left[axis] * s.shape[axis];
        q -= s.right[axis] * s.shape[axis];
        index[axis] = 0;
      }
    }
  },

  // Products of matrices, as many as the left has; the right may be one for all.
  matmul(s, out, a, b, bias) {
    const {rows, inner, columns} = s, products = out.length / (rows * columns);
    const step = b.length === inner * columns ? 0 : inner * columns;
    for (let product = 0; product < products; product++)
      for (let row = 0; row < rows; row++) {
        const at = (product * rows + row) * columns, from = (product * rows + row) * inner;
        for (let j = 0; j < columns; j++) out[at + j] = bias ? bias[j] : 0;
        for (let k = 0; k < inner; k++) {
          const value = a[from + k], line = product * step + k * columns;
          if (value !== 0) for (let j = 0; j < columns; j++) out[at + j] += value * b[line + j];
        }
      }
  },

  // Each number of the smaller map meets the kernel: a convolution gathers there, a transposed one spreads from there.
  convolution(s, out, x, weight, bias) {
    const [inChannels, inHeight, inWidth] = s.in, [outChannels, outHeight, outWidth] = s.out;
    const [kernelHeight, kernelWidth] = s.kernel, pixels = outHeight * outWidth, taps = kernelHeight * kernelWidth;
    const inPerGroup = inChannels / s.groups, outPerGroup = outChannels / s.groups;
    const [large, largeHeight, largeWidth] = s.transposed ? s.out : s.in;
    const [, smallHeight, smallWidth] = s.transposed ? s.in : s.out;
    for (let o = 0; o < outChannels; o++) out.fill(bias ? bias[o] : 0, o * pixels, (o + 1) * pixels);
    for (let o = 0; o < outChannels; o++) {
      const group = Math.floor(o / outPerGroup);
      for (let g = 0; g < inPerGroup; g++) {
        const i = group * inPerGroup + g;
        const kernel = (s.transposed ? i * outPerGroup + (o % outPerGroup) : o * inPerGroup + g) * taps;
        const source = i * inHeight * inWidth, target = o * pixels;
        for (let ky = 0; ky < kernelHeight; ky++) {
          const top = ky * s.dilation[0] - s.padding[0];
          for (let kx = 0; kx < kernelWidth; kx++) {
            const w = weight[kernel + ky * kernelWidth + kx], left = kx * s.dilation[1] - s.padding[1];
            const stride = s.stride[1];
            const first = Math.max(0, Math.ceil(-left / stride));
            const last = Math.min(smallWidth - 1, Math.floor((largeWidth - 1 - left) / stride));
            for (let y = 0; y < smallHeight; y++) {
              const row = y * s.stride[0] + top;
              if (row < 0 || row >= largeHeight) continue;
              const wide = row * largeWidth + left, narrow = y * smallWidth;
              if (s.transposed)
                for (let c = first; c <= last; c++) out[target + wide + c * stride] += w * x[source + narrow + c];
              else for (let c = first; c <= last; c++) out[target + narrow + c] += w * x[source + wide + c * stride];
            }
          }
        }
      }
    }
  },

  normalise(s, out, x) {
    for (let from = 0; from < x.length; from += s.block) {
      let sum = 0, squares = 0;
      for (let i = from; i < from + s.block; i++) sum += x[i];
      const mean = sum / s.block;
      for (let i = from; i < from + s.block; i++) squares += (x[i] - mean) ** 2;
      const scale = 1 / Math.sqrt(squares / s.block + s.eps);
      for (let i = from; i < from + s.block; i++) out[i] = (x[i] - mean) * scale;
    }
  },

  softmax(s, out, x) {
    for (let from = 0; from < x.length; from += s.block) {
      let largest = -Infinity, sum = 0;
      for (let i = from; i < from + s.block; i++) largest = Math.max(largest, x[i]);
      for (let i = from; i < from + s.block; i++) sum += out[i] = Math.exp(x[i] - largest);
      for (let i = from; i < from + s.block; i++) out[i] /= sum;
    }
  },

  reduce(s, out, x) {
    const [start, f] = REDUCTIONS[s.name];
    for (let o = 0; o < out.length; o++) {
      let value = start;
      for (let i = o * s.block; i < (o + 1) * s.block; i++) value = f(value, x[i]);
      out[o] = s.name === "mean" ? value / s.block : value;
    }
  },

  max_pool(s, out, x) {
    eachWindow(s, (at, base, row, column, height, width) => {
      let largest = -Infinity;
      for (let ky = 0; ky < s.kernel[0]; ky++) {
        const y = row * s.stride[0] - s.padding[0] + ky * s.dilation[0];
        if (y < 0 || y >= height) continue;
        for (let kx = 0; kx < s.kernel[1]; kx++) {
          const c = column * s.stride[1] - s.padding[1] + kx * s.dilation[1];
          if (c >= 0 && c < width && x[base + y * width + c] > largest) largest = x[base + y * width + c];
        }
      }
      out[at] = largest;
    });
  },

  average_pool(s, out, x) {
    eachWindow(s, (at, base, row, column, height, width) => {
      const y0 = row * s.stride[0] - s.padding[0], x0 = column * s.stride[1] - s.padding[1];
      const bottom = Math.min(y0 + s.kernel[0], height), right = Math.min(x0 + s.kernel[1], width);
      const top = Math.max(y0, 0), left = Math.max(x0, 0);
      let sum = 0;
      for (let y = top; y < bottom; y++) for (let c = left; c < right; c++) sum += x[base + y * width + c];
      const full = (Math.min(y0 + s.kernel[0], height + s.padding[0]) - y0) *
        (Math.min(x0 + s.kernel[1], width + s.padding[1]) - x0);
      out[at] = sum / (s.with_padding ? full : (bottom - top) * (right - left));
    });
  },

  adaptive_pool(s, out, x) {
    const [, rows, columns] = s.out;
    eachWindow(s, (at, base, row, column, height, width) => {
      const top = Math.floor((row * height) / rows), bottom = Math.ceil(((row + 1) * height) / rows);
      const left = Math.floor((column * width) / columns), right = Math.ceil(((column + 1) * width) / columns);
      let sum = 0;
      for (let y = top; y < bottom; y++) for (let c = left; c < right; c++) sum += x[base + y * width + c];
      out[at] = sum / ((bottom - top) * (right - left));
    });
  },

  gather(s, out, x, where) {
    for (let i = 0; i < out.length; i++) out[i] = where[i] < 0 ? s.else : x[where[i]];
  },

  concat(s, out, ...parts) {
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
  },
};
