// @ts-check
/** The latent plane: drag a point through it, and the decoded image follows; the encoded test split lies around it. */
import * as address from "./address.js";
import { get, latest, post } from "./api.js";
import { colour, dark } from "./chart.js";
import { choice, csv, h, put, replace, save, say, slider } from "./dom.js";
import { canvas, draw as drawImage, images, savePng } from "./picture.js";

const FAR = 4;
/** How far the plane reaches along each latent. */
const SIDE = 440;
/** Half of the prior in two latents lies within the first radius, 95 % within the second: √(−2 ln(1 − share)). */
const PRIOR = [1.177, 2.448];
const NEAR = 20;
/** Half the side of the frame that Enter brushes, of the plane's SIDE. */
const STEP = 0.1, FINE = 0.01;
const MOST_BRUSHED = 24;
const TRAVERSED = 9;

/** @param {import("./run.js").Panel} panel */
export async function planePanel({ id, run, place, query, signal }) {
  const dim = run.latents;
  const axes = [0, Math.min(1, dim - 1)].map((otherwise, i) => address.number(query, i ? "down" : "across", { low: 0, high: dim - 1, otherwise, whole: true }));
  let z = address.numbers(query, "z", { low: -FAR, high: FAR, otherwise: new Array(dim).fill(0) });
  const classes = run.data.classes;
  let label = run.conditional ? address.number(query, "label", { low: 0, high: classes.length - 1, otherwise: 0, whole: true }) : null;
  /** @type {{means: Float32Array, labels: Int32Array, rows: Int32Array} | null} */
  let cloud = null;

  const plane = h("canvas", {
    className: "plane", width: SIDE, height: SIDE, tabIndex: 0, role: "application",
    ariaLabel: "Latent plane. Arrows move the point, with Shift finer. Enter shows the test images around it; Alt and drag brushes others.",
  });
  const image = h("canvas", { className: "decoded image", role: "img" });
  const where = h("p", { className: "where", ariaLive: "off" });
  const sliders = h("div", { className: "sliders" });
  const brushed = h("div", { className: "grid" });
  const traversal = h("div", { className: "grid" });
  const rate = h("span", { className: "quiet" });

  const decode = latest(
    (/** @type {{z: number[], label: number | null}} */ given) => post(`/api/runs/${id}/decode`, { z: [given.z], label: given.label }, signal),
    ({ arrays, shapes }, given) => {
      drawImage(image, images(/** @type {Uint8Array} */ (arrays.images), shapes.images)[0]);
      image.dataset.z = given.z.join(",");
      image.ariaLabel = `decoded image of ${told(given.z)}`;
    },
  );

  /** @param {number[]} at */
  const told = (at) => `z = (${at.map((value) => value.toFixed(2)).join(", ")})${label === null ? "" : `, class ${classes[label]}`}`;

  /** @param {number[]} next @param {boolean} [aloud] */
  function move(next, aloud = false) {
    z = next.map((value) => Math.max(-FAR, Math.min(FAR, value)));
    decode({ z, label });
    where.textContent = told(z);
    if (aloud) say(told(z));
    paint();
    for (const [i, each] of bars) each.show(z[i]);
    keep();
  }
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let later;
  function keep() {
    clearTimeout(later);
    later = setTimeout(() => address.keep({ z: z.map((value) => Number(value.toFixed(3))).join(","), across: axes[0] || null, down: axes[1] === 1 ? null : axes[1], label }), 200);
  }

  const context = /** @type {CanvasRenderingContext2D} */ (plane.getContext("2d"));
  const across = (/** @type {number} */ value) => ((value + FAR) / (2 * FAR)) * SIDE;
  const down = (/** @type {number} */ value) => ((FAR - value) / (2 * FAR)) * SIDE;
  /** @type {ImageBitmap | HTMLCanvasElement | null} */
  let backdrop = null;

  function paintCloud() {
    const layer = h("canvas", { width: SIDE, height: SIDE });
    const pen = /** @type {CanvasRenderingContext2D} */ (layer.getContext("2d"));
    const ink = getComputedStyle(document.documentElement);
    pen.strokeStyle = ink.getPropertyValue("--grid");
    pen.fillStyle = ink.getPropertyValue("--quiet");
    pen.font = "11px system-ui";
    for (let tick = -FAR; tick <= FAR; tick++) {
      pen.beginPath();
      pen.moveTo(across(tick), 0);
      pen.lineTo(across(tick), SIDE);
      pen.moveTo(0, down(tick));
      pen.lineTo(SIDE, down(tick));
      pen.stroke();
      if (tick % 2 === 0 && Math.abs(tick) < FAR) {
        pen.fillText(String(tick), across(tick) + 3, SIDE - 4);
        if (tick) pen.fillText(String(tick), 3, down(tick) - 3);
      }
    }
    pen.strokeStyle = pen.fillStyle;
    pen.setLineDash([4, 4]);
    for (const radius of PRIOR) {
      pen.beginPath();
      pen.arc(across(0), down(0), (radius / (2 * FAR)) * SIDE, 0, 2 * Math.PI);
      pen.stroke();
    }
    if (cloud) {
      for (let i = 0; i < cloud.labels.length; i++) {
        pen.fillStyle = classColour(cloud.labels[i]);
        pen.fillRect(across(cloud.means[i * dim + axes[0]]) - 1.5, down(cloud.means[i * dim + axes[1]]) - 1.5, 3, 3);
      }
    }
    backdrop = layer;
    paint();
  }

  function paint() {
    context.clearRect(0, 0, SIDE, SIDE);
    if (backdrop) context.drawImage(backdrop, 0, 0);
    const [x, y] = [across(z[axes[0]]), down(z[axes[1]])];
    for (const [width, style] of /** @type {Array<[number, string]>} */ ([[5, "#fff"], [2, "#000"]])) {
      context.lineWidth = width;
      context.strokeStyle = style;
      context.beginPath();
      context.arc(x, y, 8, 0, 2 * Math.PI);
      context.stroke();
    }
    if (brush) {
      context.strokeStyle = "#d55e00";
      context.lineWidth = 1.5;
      context.strokeRect(Math.min(brush[0], brush[2]), Math.min(brush[1], brush[3]), Math.abs(brush[2] - brush[0]), Math.abs(brush[3] - brush[1]));
    }
  }

  // Drag moves the point; Alt and drag brushes.
  /** @type {number[] | null} */
  let brush = null;
  let dragging = "";
  /** @param {PointerEvent} event */
  const at = (event) => {
    const box = plane.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  };
  /** @param {PointerEvent} event */
  const follow = (event) => {
    const [x, y] = at(event);
    if (dragging === "brush" && brush) {
      brush = [brush[0], brush[1], x, y];
      paint();
    } else if (dragging) {
      const next = [...z];
      next[axes[0]] = (x / SIDE) * 2 * FAR - FAR;
      next[axes[1]] = FAR - (y / SIDE) * 2 * FAR;
      move(next);
    }
  };
  plane.addEventListener("pointerdown", (event) => {
    plane.setPointerCapture(event.pointerId);
    dragging = event.altKey || brushing.checked ? "brush" : "move";
    if (dragging === "brush") brush = [...at(event), ...at(event)];
    follow(event);
  });
  plane.addEventListener("pointermove", follow);
  plane.addEventListener("pointerup", () => {
    if (dragging === "brush") void showBrushed();
    else say(told(z));
    dragging = "";
  });
  plane.addEventListener("keydown", (event) => {
    const moves = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 1], ArrowDown: [1, -1] });
    const found = moves[event.key];
    if (event.key === "Enter") {
      const [x, y] = [across(z[axes[0]]), down(z[axes[1]])];
      brush = [x - NEAR, y - NEAR, x + NEAR, y + NEAR];
      paint();
      void showBrushed();
    }
    if (!found) return;
    event.preventDefault();
    const next = [...z];
    next[axes[found[0]]] += found[1] * (event.shiftKey ? FINE : STEP);
    move(next, true);
  });

  async function showBrushed() {
    if (!cloud || !brush) return;
    const [left, right] = [Math.min(brush[0], brush[2]), Math.max(brush[0], brush[2])];
    const [top, bottom] = [Math.min(brush[1], brush[3]), Math.max(brush[1], brush[3])];
    /** @type {number[]} */
    const rows = [];
    for (let i = 0; i < cloud.labels.length; i++) {
      const [x, y] = [across(cloud.means[i * dim + axes[0]]), down(cloud.means[i * dim + axes[1]])];
      if (x >= left && x <= right && y >= top && y <= bottom) rows.push(cloud.rows[i]);
    }
    const shown = rows.slice(0, MOST_BRUSHED);
    const caption = `${rows.length} test images in the frame${rows.length > shown.length ? `, the first ${shown.length} shown` : ""}`;
    say(caption);
    if (!shown.length) {
      replace(brushed, h("p", { className: "quiet" }, caption));
      return;
    }
    const { arrays, shapes } = await post(`/api/runs/${id}/examples`, { rows: shown }, signal);
    replace(brushed, h("p", { className: "quiet" }, caption), images(/** @type {Uint8Array} */ (arrays.images), shapes.images).map((each, i) =>
      h("figure", {}, canvas(each, `test image ${shown[i]}, class ${classes[arrays.labels[i]]}`), h("figcaption", {}, `${classes[arrays.labels[i]]} · ${shown[i]}`))));
  }

  async function traverse() {
    const steps = Array.from({ length: TRAVERSED }, (_, i) => -3 + (6 * i) / (TRAVERSED - 1));
    const latents = axes.flatMap((axis) => steps.map((value) => z.map((each, i) => (i === axis ? value : each))));
    const { arrays, shapes } = await post(`/api/runs/${id}/decode`, { z: latents, label }, signal);
    replace(traversal, images(/** @type {Uint8Array} */ (arrays.images), shapes.images).map((each, i) => {
      const [axis, value] = [axes[Math.floor(i / TRAVERSED)], steps[i % TRAVERSED]];
      return h("figure", {}, canvas(each, `latent ${axis + 1} at ${value.toFixed(2)}`), h("figcaption", {}, `z${axis + 1} = ${value.toFixed(2)}`));
    }));
  }

  /** @type {Map<number, {show: (value: number) => void}>} */
  const bars = new Map();
  function drawSliders() {
    bars.clear();
    replace(sliders);
    for (let i = 0; i < dim; i++) {
      if (axes.includes(i)) continue;
      const bar = slider(`latent ${i + 1}`, { min: -FAR, max: FAR, step: FINE, value: z[i], show: (value) => value.toFixed(2) }, (value) => move(z.map((each, j) => (i === j ? value : each))));
      bars.set(i, bar);
      put(sliders, bar);
    }
  }

  const names = Array.from({ length: dim }, (_, i) => /** @type {[string, string]} */ ([String(i), `latent ${i + 1}`]));
  const axisChoice = (/** @type {number} */ which) => choice(which ? "up" : "across", names, String(axes[which]), (value) => {
    axes[which] = Number(value);
    drawSliders();
    paintCloud();
    keep();
  });
  const brushing = h("input", { type: "checkbox" });
  replace(place,
    h("div", { className: "row" },
      dim > 2 ? [axisChoice(0), axisChoice(1)] : null,
      label === null ? null : choice("class", classes.map((/** @type {string} */ name, /** @type {number} */ i) => [String(i), name]), String(label), (value) => { label = Number(value); move(z); }),
      h("label", { className: "check" }, brushing, "brush test images"),
      h("button", { onclick: () => move(new Array(dim).fill(0), true) }, "Centre"),
      h("button", { onclick: traverse }, "Show steps along both latents"),
      h("button", { className: "quiet", onclick: () => savePng(image, `${run.name}-decoded`) }, "PNG"),
      h("button", { className: "quiet", onclick: () => save(`${run.name}-latents.svg`, svg()) }, "SVG"),
      h("button", { className: "quiet", onclick: () => save(`${run.name}-latents.csv`, csv(rowsOfCloud())) }, "CSV"),
      rate),
    h("div", { className: "beside" },
      h("figure", { className: "panel" }, plane, h("figcaption", {}, "Circles hold 50 % and 95 % of the prior. Points are encoded test images.", legend())),
      h("figure", { className: "panel" }, image, where, sliders)),
    brushed, traversal,
  );

  function legend() {
    if (classes.length > 12) return null;
    return h("span", { className: "legend" }, classes.map((/** @type {string} */ name, /** @type {number} */ i) => h("span", {}, swatch(classColour(i)), name)));
  }
  /** The plane as it is shown, its points as circles. */
  function svg() {
    const escaped = (/** @type {string} */ text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    const points = cloud ? Array.from(cloud.labels, (label, i) => {
      const { means } = /** @type {NonNullable<typeof cloud>} */ (cloud);
      return `<circle cx="${across(means[i * dim + axes[0]]).toFixed(1)}" cy="${down(means[i * dim + axes[1]]).toFixed(1)}" r="1.8" fill="${classColour(label)}"><title>${escaped(classes[label] ?? "")}</title></circle>`;
    }) : [];
    const circles = PRIOR.map((radius) => `<circle cx="${across(0)}" cy="${down(0)}" r="${(radius / (2 * FAR)) * SIDE}" fill="none" stroke="#777" stroke-dasharray="4"/>`);
    const ticks = [-2, 0, 2].map((tick) => `<text x="${across(tick)}" y="${SIDE + 14}" text-anchor="middle">${tick}</text><text x="-6" y="${down(tick) + 4}" text-anchor="end">${tick}</text>`);
    const names = `<text x="${SIDE / 2}" y="${SIDE + 30}" text-anchor="middle">latent ${axes[0] + 1}</text><text x="-24" y="${SIDE / 2}" text-anchor="middle" transform="rotate(-90 -24 ${SIDE / 2})">latent ${axes[1] + 1}</text>`;
    const text = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-40 -10 ${SIDE + 50} ${SIDE + 50}" font-family="sans-serif" font-size="12"><rect x="-40" y="-10" width="100%" height="100%" fill="#fff"/><rect width="${SIDE}" height="${SIDE}" fill="none" stroke="#ccc"/>${points.join("")}${circles.join("")}${ticks.join("")}${names}</svg>`;
    return new Blob([text], { type: "image/svg+xml" });
  }
  function rowsOfCloud() {
    if (!cloud) return [];
    const { means, labels, rows } = cloud;
    return [["row", "class", ...names.map(([, name]) => name)], ...Array.from(rows, (row, i) => [row, classes[labels[i]], ...means.subarray(i * dim, (i + 1) * dim)])];
  }

  drawSliders();
  paintCloud();
  move(z);
  dark.addEventListener("change", paintCloud, { signal });
  const { arrays } = await get(`/api/runs/${id}/scatter`, signal);
  cloud = /** @type {any} */ (arrays);
  paintCloud();
}

/** Ten colours that lie far apart for every kind of sight: see drawing/style.py. */
const TEN = ["#132077", "#fa7919", "#3f9298", "#d26ffe", "#5a1101", "#81d4f7", "#be0613", "#e2d628", "#0c26fc", "#8041a4"];

/** @param {number} label */
export function classColour(label) {
  return label < TEN.length ? (dark.matches && [0, 4, 8].includes(label) ? ["#8fa0ff", "", "", "", "#d7a08c", "", "", "", "#6f82ff"][label] : TEN[label]) : colour(label);
}

/** @param {string} fill */
export function swatch(fill) {
  const element = h("canvas", { className: "swatch", width: 12, height: 12 });
  const pen = /** @type {CanvasRenderingContext2D} */ (element.getContext("2d"));
  pen.fillStyle = fill;
  pen.fillRect(0, 0, 12, 12);
  return element;
}
