// @ts-check
/** Samples from a seed and the way between two of them; a drawn image before the discriminator; the way from noise. */
import * as address from "./address.js";
import { latest, post } from "./api.js";
import { choice, h, replace, slider } from "./dom.js";
import { canvas, draw as drawImage, grid, images, pad } from "./picture.js";
import { greatCircle, line } from "./style.js";

const SHOWN = 32, DENOISED = 10;
const MOST_SEED = 2 ** 31 - 1;
/** @type {Record<string, string>} */
const SCALES = {
  probability: "D is the probability that the discriminator gives an image of being real.",
  label: "D is what the discriminator says of an image: near 0 for generated, near 1 for real.",
  score: "D is the discriminator's score of an image: higher for what looks real. It has no scale of its own.",
};

/** @param {any} run @param {string | null} given @param {(label: number | null) => void} onchange */
function classChoice(run, given, onchange) {
  if (!run.conditional) return null;
  const names = run.data.classes.map((/** @type {string} */ name, /** @type {number} */ i) => [String(i), name]);
  return choice("class", [["", "all in turn"], ...names], given ?? "", (value) => onchange(value === "" ? null : Number(value)));
}

/** @param {number} seed @param {(seed: number) => void} onchange */
function seedField(seed, onchange) {
  const field = h("input", { type: "number", min: "0", max: String(MOST_SEED), value: String(seed), onchange: () => {
    const value = Math.max(0, Math.min(MOST_SEED, Math.round(field.valueAsNumber || 0)));
    field.value = String(value);
    onchange(value);
  } });
  return [h("label", { className: "field" }, h("span", {}, "seed"), field), h("button", { onclick: () => { field.stepUp(); field.dispatchEvent(new Event("change")); } }, "Next seed")];
}

/** @param {import("./run.js").Panel} panel */
export async function samplesPanel({ id, run, place, query, signal }) {
  let seed = address.number(query, "seed", { low: 0, high: MOST_SEED, otherwise: 0, whole: true });
  let label = run.conditional && query.has("label") ? address.number(query, "label", { low: 0, high: run.data.classes.length - 1, otherwise: 0, whole: true }) : null;
  let share = 0.5, circle = false;
  /** @type {number[]} */
  let chosen = [0, 1];
  /** @type {any} */
  let drawn = null;
  const judges = run.abilities.includes("Judges");
  const all = h("div", {});
  const between = h("canvas", { className: "decoded image", role: "img" });
  const verdict = h("p", {});
  const scale = h("p", { className: "quiet" });
  const said = (/** @type {number} */ value) => `D = ${value.toFixed(2)}`;

  const ask = latest(
    (/** @type {any} */ given) => post(`/api/runs/${id}/samples`, given, signal),
    (answer) => {
      drawn = answer;
      const { about, arrays, shapes } = answer;
      scale.textContent = SCALES[about.verdicts] ?? "";
      replace(all, grid(images(arrays.images, shapes.images), {
        label: (i) => `sample ${i + 1}${chosen.includes(i) ? ", an end of the way" : ""}`, caption: (i) => (arrays.verdicts ? said(arrays.verdicts[i]) : String(i + 1)),
        onchoose: arrays.noise ? (i) => { chosen = [chosen[1], i]; mark(); morph(); } : undefined,
      }));
      mark();
      morph();
    },
  );
  function mark() {
    all.querySelectorAll("button").forEach((button, i) => button.setAttribute("aria-pressed", String(chosen.includes(i))));
  }
  function draw() {
    address.keep({ seed: seed || null, label });
    ask({ seed, num: SHOWN, label });
  }
  const generate = latest(
    (/** @type {any} */ given) => post(`/api/runs/${id}/generate`, given, signal),
    ({ arrays, shapes }) => {
      drawImage(between, images(arrays.images, shapes.images)[0]);
      verdict.textContent = arrays.verdicts ? said(arrays.verdicts[0]) : "";
    },
  );
  function morph() {
    if (!drawn?.arrays.noise) return;
    const size = drawn.arrays.noise.length / SHOWN;
    const [from, to] = chosen.map((i) => Array.from(/** @type {Float32Array} */ (drawn.arrays.noise).subarray(i * size, (i + 1) * size)));
    generate({ noise: [(circle ? greatCircle : line)(from, to, share)], label: label ?? 0 });
    between.ariaLabel = `${Math.round(100 * share)} % of the way from sample ${chosen[0] + 1} to sample ${chosen[1] + 1}`;
  }

  const judged = h("p", { role: "status" });
  const judge = latest(
    (/** @type {number[]} */ pixels) => post(`/api/runs/${id}/judge`, { pixels, label: label ?? 0 }, signal),
    ({ arrays }) => { judged.textContent = `The discriminator says ${said(arrays.verdicts[0])}.`; },
  );
  const generates = run.abilities.includes("Generates");
  replace(place,
    h("div", { className: "row" }, seedField(seed, (value) => { seed = value; draw(); }), classChoice(run, label === null ? null : String(label), (value) => { label = value; draw(); })),
    scale,
    all,
    generates ? h("section", {}, h("h2", {}, "The way between two samples"),
      h("p", { className: "quiet" }, "Choose two samples above."),
      h("div", { className: "row" },
        slider("share of the second", { min: 0, max: 1, step: 0.01, value: share, show: (value) => `${Math.round(100 * value)} %` }, (value) => { share = value; morph(); }),
        choice("way", [["line", "straight line"], ["circle", "great circle"]], "line", (value) => { circle = value === "circle"; morph(); })),
      between, verdict) : null,
    judges ? h("section", {}, h("h2", {}, "An image of yours before the discriminator"), pad(run.data.shape, judge).element, judged) : null,
  );
  draw();
}

/** @param {import("./run.js").Panel} panel */
export async function denoisingPanel({ id, run, place, query, signal }) {
  let seed = address.number(query, "seed", { low: 0, high: MOST_SEED, otherwise: 0, whole: true });
  /** @type {number | null} */
  let label = null;
  /** @type {any} */
  let way = null;
  let step = 0;
  const shown = h("div", { className: "grid" });
  const bar = slider("step", { min: 0, max: 1, step: 1, value: 0 }, (value) => { step = value; show(); });
  const ask = latest(
    (/** @type {any} */ given) => post(`/api/runs/${id}/denoise`, given, signal),
    (answer) => {
      way = answer;
      step = answer.shapes.images[0] - 1;
      bar.show(step, step);
      show();
    },
  );
  function show() {
    const [, count, height, width, channels] = way.shapes.images;
    const size = count * height * width * channels;
    const at = images(way.arrays.images.subarray(step * size, (step + 1) * size), [count, height, width, channels]);
    replace(shown, at.map((image, i) => h("figure", {}, canvas(image, `image ${i + 1} at step ${step}`))));
  }
  function draw() {
    address.keep({ seed: seed || null });
    ask({ seed, num: DENOISED, label });
  }
  replace(place,
    h("div", { className: "row" }, seedField(seed, (value) => { seed = value; draw(); }), classChoice(run, null, (value) => { label = value; draw(); }), bar),
    h("p", { className: "quiet" }, "Step 0 is noise; at the last step the images are done."), shown);
  draw();
}
