// @ts-check
/** A run while it trains: its curves, its pictures under one slider, and what happened. */
import * as address from "./address.js";
import { get, Polled } from "./api.js";
import { Chart, lookControls } from "./chart.js";
import { h, replace, short, slider, table } from "./dom.js";

const EVENTS = 30;
const SPLITS = ["running", "train", "validation", "test"];
const NAMES = { running: "training (mean since the last report)", train: "training", validation: "validation", test: "test" };

/** @param {import("./run.js").Panel} panel */
export async function watchPanel({ id, run, place, query, signal, every }) {
  let look = { log: query.get("log") === "on", smoothing: address.number(query, "smoothing", { low: 0, high: 0.99, otherwise: 0 }) };
  /** @type {[number, number]} */
  let zoom = [-Infinity, Infinity];
  let pictureStep = address.number(query, "step", { low: 0, high: 1e9, otherwise: -1, whole: true });
  const follow = h("input", { type: "checkbox", checked: query.get("follow") === "on", onchange: () => address.keep({ follow: follow.checked ? "on" : null }) });
  const charts = run.panels.map((/** @type {any} */ panel, /** @type {number} */ i) => ({
    panel, chart: new Chart({ title: panel.title || panel.metrics.join(", ").replaceAll("_", " "), axis: panel.axis, name: `${run.name}-${i + 1}`, onzoom }),
  }));
  const events = h("div", {});
  const speed = h("span", { className: "quiet" });
  const pictures = h("section", { ariaLabel: "Pictures" });
  replace(place,
    h("div", { className: "row" },
      lookControls(look, (next) => { look = next; address.keep({ log: look.log ? "on" : null, smoothing: look.smoothing || null }); draw(); }),
      h("label", { className: "check" }, follow, "follow newest run"), speed),
    h("div", { className: "columns" }, charts.map((/** @type {any} */ each) => each.chart.element)),
    pictures,
    h("details", {}, h("summary", {}, "Events"), events),
  );

  const columns = () => run.panels.flatMap((/** @type {any} */ panel) => panel.metrics.flatMap((/** @type {string} */ metric) => SPLITS.map((split) => `${split}/${metric}`)))
    .filter((/** @type {string} */ column) => run.columns.includes(column));
  let asked = "";
  /** @type {Polled | null} */
  let curves = null;

  /** @param {number} low @param {number} high */
  function onzoom(low, high) {
    zoom = [low, high];
    for (const { chart } of charts) chart.zoomed = Number.isFinite(low);
    void tick();
  }

  function draw() {
    if (!curves?.value) return;
    const { about, arrays, order } = curves.value;
    /** @type {Map<string, import("./chart.js").Line>} */
    const lines = new Map(about.series.map((/** @type {{column: string}} */ series, /** @type {number} */ i) =>
      [series.column, { label: series.column, steps: arrays[order[2 * i]], values: arrays[order[2 * i + 1]] }]));
    for (const { panel, chart } of charts) {
      const several = panel.metrics.length > 1;
      const shown = panel.metrics.flatMap((/** @type {string} */ metric, /** @type {number} */ i) => SPLITS.flatMap((split, j) => {
        const line = lines.get(`${split}/${metric}`);
        // Reports within an epoch are finer than its mean; the finer of both is shown.
        const hidden = (split === "train" && (lines.get(`running/${metric}`)?.values.length ?? 0) > (line?.values.length ?? 0)) || (split === "running" && (lines.get(`train/${metric}`)?.values.length ?? 0) >= (line?.values.length ?? 0));
        if (!line || hidden || (several && !["running", "train"].includes(split))) return [];
        return [{ ...line, label: several ? metric.replaceAll("_", " ") : /** @type {any} */ (NAMES)[split], colour: several ? i : j < 2 ? 0 : j - 1 }];
      }));
      chart.update(shown, look, panel.references);
    }
  }

  async function tick() {
    const part = `${Number.isFinite(zoom[0]) ? `&low=${zoom[0]}` : ""}${Number.isFinite(zoom[1]) ? `&high=${zoom[1]}` : ""}`;
    const url = `/api/curves?run=${id}&${columns().map((/** @type {string} */ column) => `column=${encodeURIComponent(column)}`).join("&")}${part}`;
    if (url !== asked) [asked, curves] = [url, new Polled(url)];
    if (columns().length && curves && (await curves.update(signal))) {
      draw();
      await log();
    }
    const { status, seconds, step } = run.state;
    speed.textContent = status === "running" && seconds && step ? `${short(step / seconds)} steps a second` : "";
    await showPictures();
    if (follow.checked) await followNewest();
  }

  async function log() {
    const { about, arrays, order } = /** @type {Polled} */ (curves).value;
    const found = about.series.flatMap((/** @type {{column: string}} */ series, /** @type {number} */ i) =>
      Array.from(arrays[order[2 * i]], (step, j) => [Number(step), series.column, arrays[order[2 * i + 1]][j]]));
    found.sort((/** @type {any} */ a, /** @type {any} */ b) => b[0] - a[0]);
    replace(events, table(["step", "what", "value"], found.slice(0, EVENTS).map((/** @type {any} */ row) => [row[0], row[1], short(row[2])])));
  }

  async function followNewest() {
    const { runs } = await get("/api/runs", signal);
    const newest = runs.filter((/** @type {any} */ row) => row.state === "running").sort((/** @type {any} */ a, /** @type {any} */ b) => (a.created < b.created ? 1 : -1))[0];
    if (newest && newest.id !== id) location.hash = `#/run/${newest.id}/watch?follow=on`;
  }

  // Pictures: every step that was drawn, at the step nearest to the slider's.
  const listed = new Polled(`/api/runs/${id}/pictures`);
  const image = h("img", { className: "preview", alt: "", hidden: true });
  const written = h("pre", { tabIndex: 0, hidden: true });
  const caption = h("figcaption", {});
  const bar = slider("pictures at step", { min: 0, max: 1, step: 1, value: 0, show: (i) => String(listed.value?.steps[i] ?? "") }, (i) => {
    const last = i === listed.value.steps.length - 1;
    pictureStep = last ? -1 : listed.value.steps[i];
    address.keep({ step: pictureStep === -1 ? null : pictureStep });
    void show();
  });

  async function showPictures() {
    if (!(await listed.update(signal)) || !listed.value.steps.length) return;
    if (!pictures.childElementCount) replace(pictures, h("h2", {}, listed.value.suffix === "txt" ? "What it writes" : "Pictures"), bar, h("figure", {}, image, written, caption));
    await show();
  }

  async function show() {
    const { steps } = listed.value;
    const i = pictureStep === -1 ? steps.length - 1 : nearest(steps, pictureStep);
    bar.show(i, steps.length - 1);
    const text = listed.value.suffix === "txt";
    const source = `/api/runs/${id}/pictures/${steps[i]}.${listed.value.suffix}`;
    [image.hidden, written.hidden] = [text, !text];
    if (text) written.textContent = await (await fetch(source, { signal })).text();
    else if (image.getAttribute("src") !== source) image.src = source;
    image.alt = `pictures that the run drew at step ${steps[i]}`;
    caption.textContent = `step ${steps[i].toLocaleString("en")}, ${i + 1} of ${steps.length}`;
  }

  every(tick);
}

/**
 * The index of the step nearest to one.
 * @param {number[]} steps ascending
 * @param {number} wanted
 */
export function nearest(steps, wanted) {
  let low = 0, high = steps.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low > 0 && wanted - steps[low - 1] <= steps[low] - wanted ? low - 1 : low;
}
