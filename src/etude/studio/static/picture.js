// @ts-check
/** Images as the networks see them, drawn pixel by pixel; and a place to draw or drop one. */
import { h, save, say } from "./dom.js";

/** @typedef {{pixels: Uint8Array, height: number, width: number, channels: number}} Image */

/**
 * The images of an array (N, H, W, C).
 * @param {Uint8Array} array
 * @param {number[]} shape
 * @returns {Image[]}
 */
export function images(array, shape) {
  const [count, height, width, channels] = shape.slice(-4);
  const total = shape.slice(0, -4).reduce((product, side) => product * side, count);
  const size = height * width * channels;
  return Array.from({ length: total }, (_, i) => ({ pixels: array.subarray(i * size, (i + 1) * size), height, width, channels }));
}

/**
 * Draw an image on a canvas, which takes its size.
 * @param {HTMLCanvasElement} canvas
 * @param {Image} image
 */
export function draw(canvas, { pixels, height, width, channels }) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const data = context.createImageData(width, height);
  for (let i = 0, from = 0; i < height * width; i++, from += channels) {
    data.data[4 * i] = pixels[from];
    data.data[4 * i + 1] = pixels[from + (channels === 3 ? 1 : 0)];
    data.data[4 * i + 2] = pixels[from + (channels === 3 ? 2 : 0)];
    data.data[4 * i + 3] = 255;
  }
  context.putImageData(data, 0, 0);
}

/**
 * A canvas with an image.
 * @param {Image} image
 * @param {string} label what it shows, for those who listen
 */
export function canvas(image, label) {
  const element = h("canvas", { className: "image", role: "img", ariaLabel: label });
  draw(element, image);
  return element;
}

/**
 * Numbers (H, W) as a picture from white, or the page's colour, to blue; below 0 to vermillion.
 * @param {Float32Array} values
 * @param {number[]} shape
 * @param {string} label
 */
export function heat(values, shape, label) {
  const [height, width] = shape.slice(-2);
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const element = h("canvas", { className: "image", width, height, role: "img", ariaLabel: label });
  const context = /** @type {CanvasRenderingContext2D} */ (element.getContext("2d"));
  const data = context.createImageData(width, height);
  for (let i = 0; i < values.length; i++) {
    const share = Math.abs(values[i]) / largest;
    const [red, green, blue] = values[i] >= 0 ? [0, 114, 178] : [213, 94, 0];
    data.data.set([255 - share * (255 - red), 255 - share * (255 - green), 255 - share * (255 - blue), 255], 4 * i);
  }
  context.putImageData(data, 0, 0);
  return element;
}

/**
 * A grid of images that can be chosen.
 * @param {Image[]} all
 * @param {{label: (i: number) => string, caption?: (i: number) => string, onchoose?: (i: number) => void}} about
 */
export function grid(all, { label, caption, onchoose }) {
  return h("div", { className: "grid" }, all.map((image, i) => {
    const picture = canvas(image, label(i));
    const below = caption ? h("figcaption", {}, caption(i)) : null;
    if (!onchoose) return h("figure", {}, picture, below);
    return h("figure", {}, h("button", { className: "bare", ariaLabel: label(i), onclick: () => onchoose(i) }, picture), below);
  }));
}

/**
 * Save a canvas, enlarged to a size that can be seen.
 * @param {HTMLCanvasElement} canvas
 * @param {string} name
 */
export function savePng(canvas, name) {
  const scale = Math.max(1, Math.floor(280 / canvas.width));
  const large = h("canvas", { width: canvas.width * scale, height: canvas.height * scale });
  const context = /** @type {CanvasRenderingContext2D} */ (large.getContext("2d"));
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, 0, 0, large.width, large.height);
  large.toBlob((blob) => blob && save(`${name}.png`, blob));
}

/**
 * Save all images of a panel on one sheet, in their order, each enlarged to the size of the others.
 * @param {HTMLElement} place
 * @param {string} name
 */
export function saveSheet(place, name) {
  const all = /** @type {HTMLCanvasElement[]} */ ([...place.querySelectorAll("canvas.image, canvas.plane, canvas.pad")]);
  if (!all.length) return;
  const [side, gap] = [160, 8];
  const columns = Math.min(8, all.length);
  const sheet = h("canvas", { width: columns * (side + gap) + gap, height: Math.ceil(all.length / columns) * (side + gap) + gap });
  const context = /** @type {CanvasRenderingContext2D} */ (sheet.getContext("2d"));
  context.fillStyle = "#e0e0e0";
  context.fillRect(0, 0, sheet.width, sheet.height);
  context.imageSmoothingEnabled = false;
  all.forEach((each, i) => {
    const scale = side / Math.max(each.width, each.height);
    context.drawImage(each, gap + (i % columns) * (side + gap), gap + Math.floor(i / columns) * (side + gap), each.width * scale, each.height * scale);
  });
  sheet.toBlob((blob) => blob && save(`${name}.png`, blob));
}

/**
 * A place to draw an image on, or to drop or choose a file: it tells the numbers (C, H, W) in [0, 1] that it makes of it.
 * @param {number[]} shape (C, H, W)
 * @param {(pixels: number[]) => void} onchange
 */
export function pad([channels, height, width], onchange) {
  const scale = Math.max(1, Math.floor(224 / Math.max(height, width)));
  const element = h("canvas", {
    className: "pad", width: width * scale, height: height * scale, tabIndex: 0, role: "img",
    ariaLabel: "Draw here with the pointer, or drop a picture. Arrows move the pen, Space lowers and lifts it, Delete clears.",
  });
  const context = /** @type {CanvasRenderingContext2D} */ (element.getContext("2d", { willReadFrequently: true }));
  const small = h("canvas", { width, height });
  const reduced = /** @type {CanvasRenderingContext2D} */ (small.getContext("2d", { willReadFrequently: true }));

  const clear = () => {
    context.fillStyle = "#000";
    context.fillRect(0, 0, element.width, element.height);
    tell();
  };
  const tell = () => {
    reduced.drawImage(element, 0, 0, width, height);
    const { data } = reduced.getImageData(0, 0, width, height);
    const size = height * width;
    const pixels = new Array(channels * size);
    for (let i = 0; i < size; i++) {
      const [red, green, blue] = data.subarray(4 * i, 4 * i + 3);
      if (channels === 1) pixels[i] = (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
      else [red, green, blue].forEach((level, channel) => (pixels[channel * size + i] = level / 255));
    }
    onchange(pixels);
  };
  /** @param {PointerEvent} event */
  const place = (event) => {
    const box = element.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * element.width, ((event.clientY - box.top) / box.height) * element.height];
  };
  /** @type {number[] | null} */
  let last = null;
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    last = place(event);
    stroke(event);
  });
  /** @param {PointerEvent} event */
  const stroke = (event) => {
    if (!last) return;
    const next = place(event);
    line(last, next);
    last = next;
  };
  /** @param {number[]} from @param {number[]} to */
  const line = (from, to) => {
    context.strokeStyle = "#fff";
    context.lineWidth = element.width / 12;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(from[0], from[1]);
    context.lineTo(to[0], to[1]);
    context.stroke();
    tell();
  };
  element.addEventListener("pointermove", stroke);
  for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, () => (last = null));
  const pen = h("span", { className: "pen", hidden: true });
  let [at, down] = [[element.width / 2, element.height / 2], false];
  const showPen = () => {
    pen.hidden = document.activeElement !== element;
    pen.classList.toggle("down", down);
    pen.style.left = `${(100 * at[0]) / element.width}%`;
    pen.style.top = `${(100 * at[1]) / element.height}%`;
  };
  for (const name of ["focus", "blur"]) element.addEventListener(name, showPen);
  element.addEventListener("keydown", (event) => {
    const moves = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });
    if (event.key === "Delete" || event.key === "Backspace") clear();
    else if (event.key === " ") {
      down = !down;
      say(down ? "pen down" : "pen up");
    } else if (moves[event.key]) {
      const step = (element.width / 28) * (event.shiftKey ? 0.5 : 1);
      const next = moves[event.key].map((move, i) => Math.max(0, Math.min(i ? element.height : element.width, at[i] + move * step)));
      if (down) line(at, next);
      at = next;
    } else return;
    event.preventDefault();
    showPen();
  });

  /** @param {Blob | undefined} file */
  const show = async (file) => {
    if (!file) return;
    try {
      const picture = await createImageBitmap(file);
      const side = Math.min(picture.width / width, picture.height / height);
      const [w, h] = [side * width, side * height];
      context.drawImage(picture, (picture.width - w) / 2, (picture.height - h) / 2, w, h, 0, 0, element.width, element.height);
      tell();
    } catch {
      say("This file is no picture that the browser can read.");
    }
  };
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    void show(event.dataTransfer?.files[0]);
  });
  const file = h("input", { type: "file", accept: "image/*", ariaLabel: "choose a picture", onchange: () => show(file.files?.[0]) });

  context.fillStyle = "#000";
  context.fillRect(0, 0, element.width, element.height);
  const whole = h(
    "div", { className: "draws" }, h("div", { className: "sheet" }, element, pen),
    h("div", { className: "row" }, h("button", { onclick: clear }, "Clear"), labelledFile(file)),
  );
  /** @param {Image} image */
  const put = (image) => {
    draw(small, image);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, element.width, element.height);
    context.imageSmoothingEnabled = true;
  };
  return { element: whole, put, clear };
}

/** @param {HTMLInputElement} file */
function labelledFile(file) {
  return h("label", { className: "button" }, "Choose a picture", file);
}
