// A network from what the page holds: weights decoded once, then one function from an example to the output.
"use strict";

// The numbers of 16-bit floats, which not every browser has an array for.
function fromHalf(bits) {
  const numbers = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const exponent = (bits[i] >> 10) & 31, fraction = bits[i] & 1023, sign = bits[i] & 0x8000 ? -1 : 1;
    numbers[i] = exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return numbers;
}

function bytesOf(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes.buffer;
}

// A function (example, label) that returns the output. The array it returns is used again by the next call.
function makeNetwork(packed) {
  const bytes = bytesOf(packed.bytes);
  const weights = packed.weights.map(([kind, at, length, rows]) => {
    const all = length * Math.max(rows, 1);
    const numbers = kind === "f2" ? fromHalf(new Uint16Array(bytes, at, all))
      : kind === "f4" ? new Float32Array(bytes, at, all) : new Int32Array(bytes, at, all);
    return Array.from({length: Math.max(rows, 1)}, (_, row) => numbers.subarray(row * length, (row + 1) * length));
  });
  const values = [null, ...packed.steps.map(([, , , size]) => new Float32Array(size))];
  return (example, label = 0) => {
    values[0] = example;
    packed.steps.forEach(([layer, inputs, settings], at) => {
      const given = inputs.map((input) => {
        if (input >= 0) return values[input];
        const rows = weights[-1 - input];
        return rows[rows.length > 1 ? label : 0];
      });
      LAYERS[layer](settings, values[at + 1], ...given);
    });
    return values[packed.output];
  };
}
