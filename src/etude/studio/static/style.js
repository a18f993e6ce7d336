// @ts-check
/** Style: an image, its reconstruction, its style in every class, and the way from it to another image. */
import * as address from "./address.js";
import { latest, post } from "./api.js";
import { choice, h, replace, slider } from "./dom.js";
import { canvas, draw as drawImage, images, pad } from "./picture.js";

/** @param {import("./run.js").Panel} panel */
export async function stylePanel({ id, run, place, query, signal }) {
  const classes = run.data.classes;
  const last = run.data.test_images - 1;
  let row = address.number(query, "row", { low: 0, high: last, otherwise: 0, whole: true });
  let other = address.number(query, "other", { low: 0, high: last, otherwise: Math.min(1, last), whole: true });
  let share = address.number(query, "share", { low: 0, high: 1, otherwise: 0 });
  let circle = query.get("way") === "circle";
  /** The class of the image, and the one that a person gives to a drawing. @type {number | null} */
  let label = 0;
  let drawnLabel = 0;
  /** @type {{pixels?: number[], row?: number, label?: number | null}} */
  let given = { row };
  /** @type {number[][]} */
  let ends = [];

  const pair = h("div", { className: "grid" });
  const styles = h("div", { className: "grid" });
  const between = h("canvas", { className: "decoded image", role: "img" });
  const drawn = pad(run.data.shape, (pixels) => { given = { pixels, label: drawnLabel }; ask(given); });

  const ask = latest(
    async (/** @type {any} */ which) => Promise.all([post(`/api/runs/${id}/encode`, which, signal), post(`/api/runs/${id}/styles`, which, signal)]),
    ([encoded, styled], which) => {
      label = encoded.about.label;
      const [input, reconstruction] = images(encoded.arrays.images, encoded.shapes.images);
      if (which.row !== undefined) drawn.put(input);
      replace(pair, [["as the encoder sees it", input], ["reconstruction", reconstruction]].map(([name, image]) => h("figure", {}, canvas(/** @type {any} */ (image), String(name)), h("figcaption", {}, String(name)))));
      const { probabilities } = styled.arrays;
      replace(styles, images(styled.arrays.images, styled.shapes.images).map((image, i) => {
        const chance = probabilities ? `${(100 * probabilities[i]).toFixed(1)} %` : "";
        const name = run.conditional ? classes[i] : "decoded";
        return h("figure", {}, canvas(image, `the style as ${name}`), h("figcaption", {}, name, chance ? h("small", {}, ` ${chance}`) : null));
      }));
      void morph();
    },
  );

  async function morph() {
    ends = await Promise.all([given, { row: other }].map(async (each) => Array.from((await post(`/api/runs/${id}/encode`, each, signal)).arrays.mean)));
    step();
  }
  const decode = latest(
    (/** @type {number[]} */ z) => post(`/api/runs/${id}/decode`, { z: [z], label }, signal),
    ({ arrays, shapes }) => drawImage(between, images(arrays.images, shapes.images)[0]),
  );
  function step() {
    if (ends.length === 2) decode((circle ? greatCircle : line)(ends[0], ends[1], share));
    between.ariaLabel = `${Math.round(share * 100)} % of the way to the other image`;
    address.keep({ row: row || null, other: other === 1 ? null : other, share: share || null, way: circle ? "circle" : null });
  }

  const rowField = h("input", { type: "number", min: "0", max: String(last), value: String(row), onchange: () => { row = valid(rowField, last); given = { row }; ask(given); } });
  const otherField = h("input", { type: "number", min: "0", max: String(last), value: String(other), onchange: () => { other = valid(otherField, last); void morph(); } });
  const bar = slider("from the image to the other", { min: 0, max: 1, step: 0.01, value: share, show: (value) => `${Math.round(100 * value)} %` }, (value) => { share = value; step(); });
  replace(place,
    h("div", { className: "row" },
      h("label", { className: "field" }, h("span", {}, `test image, 0 to ${last}`), rowField),
      run.conditional ? choice("class of a drawn image", classes.map((/** @type {string} */ name, /** @type {number} */ i) => [String(i), name]), "0", (value) => { drawnLabel = Number(value); if (given.pixels) { given = { ...given, label: drawnLabel }; ask(given); } }) : null),
    h("div", { className: "beside" }, h("section", {}, h("h2", {}, "Image"), drawn.element), h("section", {}, h("h2", {}, "Through the latents"), pair)),
    h("section", {}, h("h2", {}, run.conditional ? "Its style in every class" : "Decoded"),
      run.conditional ? h("p", { className: "quiet" }, "With the probability of each class by Bayes' rule. Likelihoods of whole images differ by many nats, so one class gets nearly all of it.") : null, styles),
    h("section", {}, h("h2", {}, "The way to another image"),
      h("div", { className: "row" },
        h("label", { className: "field" }, h("span", {}, "other test image"), otherField), bar,
        choice("way", [["line", "straight line"], ["circle", "great circle"]], circle ? "circle" : "line", (value) => { circle = value === "circle"; step(); })),
      between),
  );
  ask(given);
}

/** @param {HTMLInputElement} field @param {number} high */
function valid(field, high) {
  const value = Math.max(0, Math.min(high, Math.round(field.valueAsNumber || 0)));
  field.value = String(value);
  return value;
}

/** @param {number[]} from @param {number[]} to @param {number} share */
export function line(from, to, share) {
  return from.map((value, i) => (1 - share) * value + share * to[i]);
}

/**
 * Along the great circle, as lengths go from one to the other (White 2016, section 2.1).
 * @param {number[]} from @param {number[]} to @param {number} share
 */
export function greatCircle(from, to, share) {
  const length = (/** @type {number[]} */ z) => Math.sqrt(z.reduce((sum, value) => sum + value * value, 0));
  const [a, b] = [length(from), length(to)];
  const cosine = a && b ? from.reduce((sum, value, i) => sum + value * to[i], 0) / (a * b) : 1;
  const angle = Math.acos(Math.max(-1, Math.min(1, cosine)));
  if (angle < 1e-3 || Math.PI - angle < 1e-3) return line(from, to, share);
  const [p, q] = [Math.sin((1 - share) * angle) / Math.sin(angle), Math.sin(share * angle) / Math.sin(angle)];
  const size = (1 - share) * a + share * b;
  return from.map((value, i) => size * ((p * value) / a + (q * to[i]) / b));
}
