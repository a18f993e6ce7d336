// @ts-check
/** A classifier: draw or drop an image, see its probabilities and what moved them; the test split by class. */
import * as address from "./address.js";
import { get, latest, Polled, post } from "./api.js";
import { csv, h, replace, save, say, short } from "./dom.js";
import { classColour } from "./plane.js";
import { canvas, heat, images, pad } from "./picture.js";

const MOST_IN_CELL = 48;

/** @param {import("./run.js").Panel} panel */
export async function classifierPanel({ id, run, place, query, signal }) {
  const classes = run.data.classes;
  const last = run.data.test_images - 1;
  let row = address.number(query, "row", { low: 0, high: last, otherwise: 0, whole: true });
  /** @type {{pixels?: number[], row?: number, label?: number}} */
  let given = { row };
  const bars = h("div", { className: "bars" });
  const maps = h("div", { className: "grid" });
  const seen = h("div", {});
  const drawn = pad(run.data.shape, (pixels) => { given = { pixels }; ask(given); });
  const ask = latest(
    (/** @type {any} */ which) => post(`/api/runs/${id}/classify`, which, signal),
    ({ about, arrays, shapes }, which) => {
      if (which.row !== undefined) drawn.put(images(arrays.images, shapes.images)[0]);
      showBars(arrays.probabilities, about.label);
      replace(maps, [["gradient", "|gradient| of the pixels"], ["occlusion", "log-odds lost when covered (orange: gained)"]].map(([name, caption]) =>
        h("figure", {}, heat(arrays[name], shapes[name], `${caption}, for class ${classes[about.label]}`), h("figcaption", {}, `${caption}, for ${classes[about.label]}`))));
      if (layersOpen.open) showLayers();
    },
  );

  /** @param {Float32Array} probabilities @param {number} label */
  function showBars(probabilities, label) {
    const order = Array.from(probabilities, (_, i) => i).sort((a, b) => probabilities[b] - probabilities[a]).slice(0, 12);
    const shown = probabilities.length <= 12 ? Array.from(probabilities, (_, i) => i) : order;
    replace(bars, shown.map((i) => h("button", { className: `bar${i === label ? " chosen" : ""}`, title: "explain this class", onclick: () => { given = { ...given, label: i }; ask(given); } },
      h("span", {}, classes[i]), h("progress", { max: 1, value: probabilities[i], ariaLabel: `probability of ${classes[i]}` }), h("span", { className: "number" }, `${(100 * probabilities[i]).toFixed(1)} %`))));
    say(`${classes[order[0]]}, ${(100 * probabilities[order[0]]).toFixed(0)} %`);
  }

  const askLayers = latest(
    (/** @type {any} */ which) => post(`/api/runs/${id}/layers`, which, signal),
    ({ about, arrays, shapes }) => {
      const [count, height, width, channels] = shapes.filters;
      const size = height * width * channels;
      replace(seen, h("h3", {}, "Filters of the first convolution"),
        h("div", { className: "grid small" }, Array.from({ length: count }, (_, i) => h("figure", {}, channels === 1
          ? heat(arrays.filters.subarray(i * size, (i + 1) * size), [height, width], `filter ${i + 1}`)
          : canvas(rescaled(arrays.filters.subarray(i * size, (i + 1) * size), height, width), `filter ${i + 1}`)))),
        about.names.flatMap((/** @type {string} */ name, /** @type {number} */ i) => {
          const [number, h1, w1] = shapes[`map${i}`];
          return [h("h3", {}, `Maps of ${name}, ${h1} × ${w1}`), h("div", { className: "grid small" }, Array.from({ length: number }, (_, j) =>
            h("figure", {}, heat(arrays[`map${i}`].subarray(j * h1 * w1, (j + 1) * h1 * w1), [h1, w1], `map ${j + 1} of ${name}`))))];
        }));
    },
    (error) => replace(seen, h("p", { className: "quiet" }, String(/** @type {Error} */ (error).message))),
  );
  const showLayers = () => askLayers(given);
  const layersOpen = h("details", { ontoggle: () => layersOpen.open && showLayers() }, h("summary", {}, "What the layers see"), seen);

  const matrix = h("section", { ariaLabel: "Confusion" });
  const field = h("input", { type: "number", min: "0", max: String(last), value: String(row), onchange: () => {
    row = Math.max(0, Math.min(last, Math.round(field.valueAsNumber || 0)));
    field.value = String(row);
    choose(row);
  } });
  /** @param {number} next */
  function choose(next) {
    row = next;
    field.value = String(row);
    given = { row };
    address.keep({ row: row || null });
    ask(given);
    drawn.element.scrollIntoView({ block: "center" });
  }
  replace(place,
    h("div", { className: "row" }, h("label", { className: "field" }, h("span", {}, `test image, 0 to ${last}`), field)),
    h("div", { className: "beside" }, h("section", {}, h("h2", {}, "Image"), drawn.element), h("section", {}, h("h2", {}, "Probabilities"), bars),
      h("section", {}, h("h2", {}, "What moved it"), maps)),
    layersOpen, matrix);
  ask(given);
  await confusion(id, run, matrix, signal, choose);
}

/** Filters of colours have no zero to be white: from their smallest to their largest. @param {Float32Array} values @param {number} height @param {number} width */
function rescaled(values, height, width) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return { pixels: Uint8Array.from(values, (value) => (255 * (value - low)) / (high - low || 1)), height, width, channels: 3 };
}

/**
 * Test examples by true and predicted class; a cell leads to its images.
 * @param {string} id
 * @param {any} run
 * @param {HTMLElement} place
 * @param {AbortSignal} signal
 * @param {(row: number) => void} onchoose
 */
async function confusion(id, run, place, signal, onchoose) {
  const { arrays } = await get(`/api/runs/${id}/predictions`, signal);
  const classes = run.data.classes;
  const counts = classes.map(() => new Array(classes.length).fill(0));
  let right = 0;
  arrays.labels.forEach((/** @type {number} */ label, /** @type {number} */ i) => {
    counts[label][arrays.predicted[i]]++;
    right += Number(label === arrays.predicted[i]);
  });
  const shown = h("div", { className: "grid" });
  const cell = (/** @type {number} */ truth, /** @type {number} */ predicted) => {
    const share = counts[truth][predicted] / Math.max(1, counts[truth].reduce((/** @type {number} */ sum, /** @type {number} */ n) => sum + n, 0));
    const level = Math.min(4, Math.ceil(share * 4));
    return h("td", { className: `cell level${counts[truth][predicted] ? level : 0}` }, counts[truth][predicted]
      ? h("button", { className: "bare", ariaLabel: `${counts[truth][predicted]} of class ${classes[truth]} taken for ${classes[predicted]}`, onclick: () => open(truth, predicted) }, String(counts[truth][predicted])) : "");
  };
  async function open(/** @type {number} */ truth, /** @type {number} */ predicted) {
    const rows = Array.from(arrays.rows).filter((_, i) => arrays.labels[i] === truth && arrays.predicted[i] === predicted);
    const some = /** @type {number[]} */ (rows.slice(0, MOST_IN_CELL));
    const answer = await post(`/api/runs/${id}/examples`, { rows: some }, signal);
    replace(shown, h("p", { className: "quiet" }, `${rows.length} test images of ${classes[truth]}, taken for ${classes[predicted]}${rows.length > some.length ? `; the first ${some.length}` : ""}`),
      images(answer.arrays.images, answer.shapes.images).map((image, i) => h("figure", {},
        h("button", { className: "bare", ariaLabel: `test image ${some[i]}`, onclick: () => onchoose(some[i]) }, canvas(image, `test image ${some[i]}`)), h("figcaption", {}, String(some[i])))));
  }
  const rowsOf = () => [["true class", ...classes], ...classes.map((/** @type {string} */ name, /** @type {number} */ i) => [name, ...counts[i]])];
  replace(place,
    h("h2", {}, "Confusion on the test split"),
    h("p", { className: "quiet" }, `${short(right)} of ${short(arrays.labels.length)} right (${((100 * right) / arrays.labels.length).toFixed(2)} %). Rows are true classes, columns predicted ones.`,
      h("button", { className: "quiet", onclick: () => save(`${run.name}-confusion.csv`, csv(rowsOf())) }, "CSV")),
    classes.length <= 30 ? h("div", { className: "scrolls", tabIndex: 0, role: "region", ariaLabel: "Confusion matrix" }, h("table", { className: "confusion" },
      h("thead", {}, h("tr", {}, h("td", {}), classes.map((/** @type {string} */ name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, classes.map((/** @type {string} */ name, /** @type {number} */ i) => h("tr", {}, h("th", { scope: "row" }, name), classes.map((/** @type {string} */ _, /** @type {number} */ j) => cell(i, j)))))))
      : h("p", {}, "Too many classes for a matrix."),
    shown);
}

/** The plane by predicted class, while it is learned. @param {import("./run.js").Panel} panel */
export async function boundaryPanel({ id, run, place, signal, every }) {
  const SIZE = 480;
  const plane = h("canvas", { className: "plane", width: SIZE, height: SIZE, role: "img", ariaLabel: "the plane by predicted class, and test points" });
  const caption = h("figcaption", {});
  const polled = new Polled(`/api/runs/${id}/boundary`);
  replace(place, h("figure", { className: "panel" }, plane, caption));
  const pen = /** @type {CanvasRenderingContext2D} */ (plane.getContext("2d"));
  every(async () => {
    if (!(await polled.update(signal))) return;
    const { about, arrays, shapes } = polled.value;
    const [side, , count] = shapes.probabilities;
    const cell = SIZE / side;
    const page = getComputedStyle(document.documentElement).getPropertyValue("--page");
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const chances = arrays.probabilities.subarray((y * side + x) * count, (y * side + x + 1) * count);
        const best = chances.indexOf(Math.max(...chances));
        pen.globalAlpha = 1;
        pen.fillStyle = page;
        pen.fillRect(x * cell, SIZE - (y + 1) * cell, cell + 1, cell + 1);
        pen.globalAlpha = Math.max(0.05, (chances[best] - 1 / count) / (1 - 1 / count)) * 0.45;
        pen.fillStyle = classColour(best);
        pen.fillRect(x * cell, SIZE - (y + 1) * cell, cell + 1, cell + 1);
      }
    }
    pen.globalAlpha = 1;
    for (let i = 0; i < arrays.labels.length; i++) {
      const [x, y] = [0, 1].map((axis) => (arrays.points[2 * i + axis] - about.low[axis]) / (about.high[axis] - about.low[axis]));
      pen.fillStyle = classColour(arrays.labels[i]);
      pen.strokeStyle = "#fff";
      pen.beginPath();
      pen.arc(x * SIZE, SIZE - y * SIZE, 3, 0, 2 * Math.PI);
      pen.fill();
      pen.stroke();
    }
    caption.textContent = `${about.names[0] ?? "first feature"} across, ${about.names[1] ?? "second feature"} up; epoch ${run.state.epoch}. Fainter where the network is less sure.`;
  });
}

