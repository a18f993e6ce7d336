// @ts-check
/** Curves against the training step: zoom by dragging, values under the cursor, log scale, smoothing, a table, files. */
import { csv, h, replace, save, short, table } from "./dom.js";

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {ArrayLike<number>} steps
 * @property {ArrayLike<number>} values
 * @property {number} [colour] which of the colours
 * @property {boolean} [thin] a seed behind its mean
 * @property {{low: ArrayLike<number>, high: ArrayLike<number>}} [band]
 */
/** @typedef {{log: boolean, smoothing: number}} Look */
/** @typedef {{text: string, value: number}} Reference */

/** Okabe and Ito's colours, as in étude's figures; the dark page has lighter ones. */
const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333"];
const DARK = ["#56b4e9", "#ff8c4a", "#2fc79a", "#e29fc4", "#f0b93a", "#9bd4f5", "#dddddd"];
const DASHES = [[], [8, 4], [2, 3], [8, 3, 2, 3]];
export const dark = matchMedia("(prefers-color-scheme: dark)");

/** @param {number} number */
export function colour(number) {
  const colours = dark.matches ? DARK : LIGHT;
  return colours[number % colours.length];
}

/** @param {string} name */
function themed(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/**
 * The mean of past values with weights that fall by the factor per point, corrected at the start (as Adam's moments).
 * @param {ArrayLike<number>} values
 * @param {number} factor
 */
export function smoothed(values, factor) {
  if (factor === 0) return values;
  const found = new Float64Array(values.length);
  let sum = 0, weight = 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) {
      sum = factor * sum + (1 - factor) * values[i];
      weight = factor * weight + 1 - factor;
    }
    found[i] = weight ? sum / weight : NaN;
  }
  return found;
}

/** A chart that is given new lines again and again, and keeps its zoom; final. */
export class Chart {
  /**
   * @param {{title: string, axis: string, name: string, onzoom?: (low: number, high: number) => void}} about
   * `name` is that of its files
   */
  constructor(about) {
    this.about = about;
    /** @type {Line[]} */
    this.lines = [];
    /** @type {Reference[]} */
    this.references = [];
    /** @type {Look} */
    this.look = { log: false, smoothing: 0 };
    this.drawn = h("div", { className: "chart", tabIndex: 0, role: "application", ariaLabel: `${about.title}: plus and minus zoom, arrows move, 0 shows all` });
    this.drawn.addEventListener("keydown", (event) => this.#key(event));
    this.details = h("details", {}, h("summary", {}, "Table"));
    this.details.addEventListener("toggle", () => this.#tabulate());
    this.element = h(
      "figure", { className: "panel" },
      h("figcaption", {}, about.title, h("span", { className: "unit" }, about.axis)),
      this.drawn,
      h(
        "div", { className: "under" }, this.details,
        h("button", { className: "quiet", onclick: () => this.#png() }, "PNG"),
        h("button", { className: "quiet", onclick: () => save(`${about.name}.svg`, this.svg()) }, "SVG"),
        h("button", { className: "quiet", onclick: () => save(`${about.name}.csv`, csv(this.rows())) }, "CSV"),
      ),
    );
    new ResizeObserver(() => this.#fit()).observe(this.drawn);
    dark.addEventListener("change", () => this.#draw());
  }

  /**
   * @param {Line[]} lines
   * @param {Look} look
   * @param {Reference[]} [references]
   */
  update(lines, look, references = []) {
    const again = this.plot && this.#shape(lines, look) === this.#shape(this.lines, this.look);
    [this.lines, this.look, this.references] = [lines, look, references];
    if (again) this.plot.setData(this.#data(), !this.zoomed);
    else this.#draw();
    if (this.details.open) this.#tabulate();
  }

  /** @param {Line[]} lines @param {Look} look */
  #shape(lines, look) {
    return JSON.stringify([look.log, lines.map((line) => [line.label, line.colour, line.thin, !!line.band])]);
  }

  #data() {
    const { uPlot } = /** @type {any} */ (window);
    const tables = this.lines.map((line) => {
      const values = smoothed(line.values, line.band ? 0 : this.look.smoothing);
      const columns = [Array.from(line.steps), Array.from(values, (value) => this.#shown(value))];
      if (line.band) columns.push(...[line.band.high, line.band.low].map((each) => Array.from(each, (v) => this.#shown(v))));
      return columns;
    });
    return tables.length ? uPlot.join(tables) : [[]];
  }

  /** A logarithm has no place for values up to 0. @param {number} value */
  #shown(value) {
    return Number.isFinite(value) && !(this.look.log && value <= 0) ? value : null;
  }

  #draw() {
    const { uPlot } = /** @type {any} */ (window);
    this.plot?.destroy();
    /** @type {any[]} */
    const series = [{ label: "step", value: (/** @type {any} */ _, /** @type {number | null} */ v) => short(v) }];
    /** @type {any[]} */
    const bands = [];
    for (const [number, line] of this.lines.entries()) {
      const place = line.colour ?? number;
      const stroke = colour(place);
      const value = (/** @type {any} */ _, /** @type {number | null} */ v) => short(v);
      series.push({
        label: line.label, stroke: line.thin ? `${stroke}55` : stroke, width: line.thin ? 1 : 2, value, spanGaps: true,
        dash: DASHES[Math.floor(place / LIGHT.length) % DASHES.length], points: { show: line.values.length < 3 },
      });
      if (line.band) {
        const limit = { stroke: "transparent", value, spanGaps: true, points: { show: false } };
        series.push({ ...limit, label: `${line.label}, upper` }, { ...limit, label: `${line.label}, lower` });
        bands.push({ series: [series.length - 2, series.length - 1], fill: `${stroke}33` });
      }
    }
    const axis = { stroke: themed("--quiet"), grid: { stroke: themed("--grid"), width: 1 }, ticks: { stroke: themed("--grid") } };
    const values = (/** @type {any} */ _, /** @type {number[]} */ ticks) => ticks.map((tick) => (tick == null ? "" : short(tick)));
    this.plot = new uPlot(
      {
        width: Math.max(240, this.drawn.clientWidth), height: 260, series, bands,
        scales: { x: { time: false }, y: { distr: this.look.log ? 3 : 1 } },
        axes: [{ ...axis, values, label: "training step", labelSize: 20 }, { ...axis, values, size: 64 }],
        cursor: { sync: { key: "steps" }, drag: { x: true, y: false }, focus: { prox: 24 } },
        legend: { live: true, show: this.lines.length <= 14 },
        hooks: { setSelect: [(/** @type {any} */ plot) => this.#zoom(plot)], draw: [(/** @type {any} */ plot) => this.#refer(plot)] },
      },
      this.#data(), this.drawn,
    );
    for (const [number, row] of [...this.plot.root.querySelectorAll(".u-series")].entries())
      row.hidden = series[number]?.stroke === "transparent";
    this.plot.over.addEventListener("dblclick", () => {
      this.zoomed = false;
      this.about.onzoom?.(-Infinity, Infinity);
    });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { min, max } = this.plot.scales.x;
    const span = max - min;
    /** @type {Record<string, [number, number]>} */
    const ranges = {
      "+": [min + span / 4, max - span / 4], "-": [min - span / 2, max + span / 2],
      ArrowLeft: [min - span / 4, max - span / 4], ArrowRight: [min + span / 4, max + span / 4],
    };
    const range = event.key === "0" ? [-Infinity, Infinity] : ranges[event.key];
    if (!range) return;
    event.preventDefault();
    this.zoomed = event.key !== "0";
    if (this.zoomed) this.plot.setScale("x", { min: range[0], max: range[1] });
    this.about.onzoom?.(range[0], range[1]);
  }

  /** @param {any} plot */
  #zoom(plot) {
    if (plot.select.width < 2) return;
    const [low, high] = [plot.select.left, plot.select.left + plot.select.width].map((at) => plot.posToVal(at, "x"));
    this.zoomed = true;
    this.about.onzoom?.(low, high);
  }

  /** Dashed lines at known values. @param {any} plot */
  #refer(plot) {
    for (const { text, value } of this.references) {
      const y = plot.valToPos(value, "y", true);
      const { left, top, width, height } = plot.bbox;
      if (!(y >= top && y <= top + height)) continue;
      const { ctx } = plot;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = themed("--quiet");
      ctx.setLineDash([4, 4]);
      ctx.beginPath();
      ctx.moveTo(left, y);
      ctx.lineTo(left + width, y);
      ctx.stroke();
      ctx.textAlign = "right";
      ctx.fillText(text, left + width - 4, y - 5);
      ctx.restore();
    }
  }

  #fit() {
    const width = this.drawn.clientWidth;
    if (this.plot && width >= 240 && width !== this.plot.width) this.plot.setSize({ width, height: 260 });
  }

  /** A row per line and step, as they are, not smoothed. @returns {import("./dom.js").Child[][]} */
  rows() {
    const rows = this.lines.flatMap((line) => Array.from(line.steps, (step, i) => [line.label, step, line.values[i]]));
    return [["line", "step", this.about.axis || "value"], ...rows];
  }

  #tabulate() {
    if (!this.details.open) return;
    const rows = this.lines.map((line) => {
      const finite = Array.from(line.values).filter(Number.isFinite);
      const [least, most] = [Math.min(...finite), Math.max(...finite)];
      return [line.label, line.values.length, short(least), short(most), short(line.values[line.values.length - 1])];
    });
    replace(this.details, h("summary", {}, "Table"), table(["line", "points", "smallest", "largest", "last"], rows));
  }

  #png() {
    const source = /** @type {HTMLCanvasElement} */ (this.drawn.querySelector("canvas"));
    const canvas = h("canvas", { width: source.width, height: source.height });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.fillStyle = themed("--page");
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(source, 0, 0);
    canvas.toBlob((blob) => blob && save(`${this.about.name}.png`, blob));
  }

  /** The lines as they are shown, with axes. */
  svg() {
    const [width, height, left, bottom] = [640, 360, 70, 40];
    const { scales } = this.plot;
    const [x, y] = [scales.x, scales.y];
    const at = (/** @type {number} */ v) => (this.look.log ? Math.log10(v) : v);
    const across = (/** @type {number} */ v) => left + ((v - x.min) / (x.max - x.min || 1)) * (width - left - 20);
    const down = (/** @type {number} */ v) => height - bottom - ((at(v) - at(y.min)) / (at(y.max) - at(y.min) || 1)) * (height - bottom - 20);
    const escaped = (/** @type {string} */ text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
    const ticks = (/** @type {number} */ low, /** @type {number} */ high) => [0, 1, 2, 3, 4].map((i) => low + ((high - low) * i) / 4);
    const parts = this.lines.map((line, number) => {
      const values = smoothed(line.values, line.band ? 0 : this.look.smoothing);
      const points = Array.from(values, (value, i) => [line.steps[i], value])
        .filter(([step, value]) => step >= x.min && step <= x.max && this.#shown(value) !== null)
        .map(([step, value]) => `${across(step).toFixed(1)},${down(value).toFixed(1)}`);
      const stroke = LIGHT[(line.colour ?? number) % LIGHT.length];
      const opacity = line.thin ? ' opacity="0.35"' : "";
      return `<polyline points="${points.join(" ")}" fill="none" stroke="${stroke}" stroke-width="${line.thin ? 1 : 2}"${opacity}><title>${escaped(line.label)}</title></polyline>`;
    });
    const named = this.lines.filter((line) => !line.thin).slice(0, 12).map((line, i) =>
      `<text x="${left + 8}" y="${32 + 15 * i}" fill="${LIGHT[(line.colour ?? i) % LIGHT.length]}">${escaped(line.label)}</text>`);
    const axes = [
      ...ticks(x.min, x.max).map((v) => `<text x="${across(v)}" y="${height - bottom + 16}" text-anchor="middle">${short(Math.round(v))}</text>`),
      ...ticks(at(y.min), at(y.max)).map((v) => {
        const value = this.look.log ? 10 ** v : v;
        return `<line x1="${left}" x2="${width - 20}" y1="${down(value)}" y2="${down(value)}" stroke="#ddd"/><text x="${left - 6}" y="${down(value) + 4}" text-anchor="end">${short(value)}</text>`;
      }),
      `<text x="${(left + width) / 2}" y="${height - 6}" text-anchor="middle">training step</text>`,
      `<text x="14" y="${height / 2}" text-anchor="middle" transform="rotate(-90 14 ${height / 2})">${escaped(this.about.axis)}</text>`,
      `<text x="${left}" y="14" font-weight="bold">${escaped(this.about.title)}</text>`,
    ];
    const text = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>${axes.join("")}${parts.join("")}${named.join("")}</svg>`;
    return new Blob([text], { type: "image/svg+xml" });
  }
}

/**
 * The controls of how curves look.
 * @param {Look} look
 * @param {(look: Look) => void} onchange
 */
export function lookControls(look, onchange) {
  const log = h("input", { type: "checkbox", checked: look.log, onchange: () => onchange({ ...current(), log: log.checked }) });
  const amount = h("input", {
    type: "range", min: "0", max: "0.99", step: "0.01", ariaLabel: "smoothing",
    oninput: () => onchange({ ...current(), smoothing: amount.valueAsNumber }),
  });
  amount.value = String(look.smoothing);
  const current = () => ({ log: log.checked, smoothing: amount.valueAsNumber });
  return [
    h("label", { className: "check" }, log, "log scale"),
    h("label", { className: "field" }, h("span", {}, "smoothing"), amount),
  ];
}
