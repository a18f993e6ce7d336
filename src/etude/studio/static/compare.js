// @ts-check
/** Several runs beside each other: curves, pictures, differences of configuration, metrics with floors. */
import * as address from "./address.js";
import { get, Polled } from "./api.js";
import { Chart, lookControls } from "./chart.js";
import { choice, h, replace, short, slider, table } from "./dom.js";
import { groupName, interval, valuesBySeed } from "./runs.js";
import { nearest } from "./watch.js";

/** @typedef {import("./runs.js").Row} Row */

const MOST_IN_TABLES = 12;

/**
 * @param {HTMLElement} place
 * @param {URLSearchParams} query
 * @param {AbortSignal} signal
 */
export function compare(place, query, signal) {
  /** @type {Row[]} */
  let rows = [];
  /** @type {Polled | null} */
  let curves = null;
  /** @type {Polled | null} */
  let bands = null;
  let column = query.get("column") ?? "";
  let look = { log: query.get("log") === "on", smoothing: address.number(query, "smoothing", { low: 0, high: 0.99, otherwise: 0 }) };
  /** @type {[number, number]} */
  let zoom = [-Infinity, Infinity];
  /** @type {Chart | null} */
  let chart = null;

  /** @param {Row[]} chosen @param {number[]} quantiles see `interval` */
  async function show(chosen, quantiles) {
    rows = chosen.filter((row) => row.state !== "damaged");
    if (!rows.length) {
      replace(place);
      chart = null;
      return;
    }
    const shown = groups().slice(0, MOST_IN_TABLES);
    const details = await Promise.all(shown.map(([row]) => get(`/api/runs/${row.id}`, signal)));
    const columns = [...new Set(details.flatMap((each) => each.columns))];
    if (!columns.includes(column)) column = columns.find((each) => each.startsWith(rows[0].epochs > 2 ? "validation/" : "running/")) ?? columns[0] ?? "";
    chart = new Chart({ title: column, axis: "", name: "comparison", onzoom: (low, high) => { zoom = [low, high]; ask(); void tick(); } });
    const pictures = h("section", { ariaLabel: "Pictures" });
    replace(place,
      h("h2", {}, `${rows.length} ${rows.length === 1 ? "run" : "runs"} compared`),
      h("div", { className: "row" },
        choice("metric", columns.map((each) => [each, each]), column, (value) => { column = value; address.keep({ column }); void show(rows, quantiles); }),
        lookControls(look, (next) => { look = next; address.keep({ log: look.log ? "on" : null, smoothing: look.smoothing || null }); draw(); })),
      chart.element, pictures,
      h("h3", {}, "Differences of configuration"), differences(shown, details),
      h("h3", {}, "Metrics"), metrics(shown, details, quantiles),
      groups().length > shown.length ? h("p", { className: "quiet" }, `The tables have the first ${shown.length}.`) : null,
    );
    ask();
    await tick();
    await showPictures(pictures, shown.map(([row]) => row), signal);
  }

  const groups = () => [...Map.groupBy(rows, (row) => row.group || row.id).values()];

  function ask() {
    const part = `${Number.isFinite(zoom[0]) ? `&low=${zoom[0]}` : ""}${Number.isFinite(zoom[1]) ? `&high=${zoom[1]}` : ""}`;
    const named = rows.map((row) => `run=${row.id}`).join("&");
    curves = new Polled(`/api/curves?${named}&column=${encodeURIComponent(column)}${part}`);
    const several = groups().filter((members) => members.length > 1);
    bands = several.length ? new Polled(`/api/bands?${several.map((members) => `group=${[...new Map(members.map((row) => [row.seed, row.id])).values()].join(",")}`).join("&")}&column=${encodeURIComponent(column)}`) : null;
  }

  function draw() {
    if (!chart || !curves?.value) return;
    const all = groups();
    const place = new Map(all.flatMap((members, number) => members.map((row) => [row.id, number])));
    const drawn = new Set();
    /** @type {import("./chart.js").Line[]} */
    const lines = [];
    if (bands?.value) {
      const several = all.filter((members) => members.length > 1);
      const { about, arrays, order } = bands.value;
      about.bands.forEach((/** @type {{group: number, n: number}} */ band, /** @type {number} */ i) => {
        const [steps, means, , low, , high] = order.slice(6 * i, 6 * i + 6).map((/** @type {string} */ name) => arrays[name]);
        const members = several[band.group];
        for (const row of members) drawn.add(row.id);
        lines.push({ label: `${groupName(members)}, mean of ${band.n}`, steps, values: means, colour: place.get(members[0].id), band: { low, high } });
      });
    }
    const { about, arrays, order } = curves.value;
    about.series.forEach((/** @type {{run: string}} */ series, /** @type {number} */ i) => {
      const [steps, values] = [arrays[order[2 * i]], arrays[order[2 * i + 1]]];
      lines.push({ label: series.run.replace("~", "/"), steps, values, colour: place.get(series.run), thin: drawn.has(series.run) });
    });
    chart.update(lines, look);
  }

  async function tick() {
    if (!curves) return;
    const [some, more] = await Promise.all([curves.update(signal), bands?.update(signal)]);
    if (some || more) draw();
  }

  return { show, tick };
}

/**
 * The pictures that runs drew, under one slider: of each run those at the step nearest to the slider's.
 * @param {HTMLElement} place
 * @param {Row[]} rows
 * @param {AbortSignal} signal
 */
async function showPictures(place, rows, signal) {
  const listed = await Promise.all(rows.map((row) => get(`/api/runs/${row.id}/pictures`, signal)));
  const drawing = rows.map((row, i) => ({ row, steps: /** @type {number[]} */ (listed[i].steps) })).filter(({ steps }) => steps.length);
  if (!drawing.length) return;
  const all = [...new Set(drawing.flatMap(({ steps }) => steps))].sort((a, b) => a - b);
  const shown = h("div", { className: "grid" });
  const show = (/** @type {number} */ i) => replace(shown, drawing.map(({ row, steps }) => {
    const step = steps[nearest(steps, all[i])];
    return h("figure", {}, h("img", { className: "compared", src: `/api/runs/${row.id}/pictures/${step}.png`, alt: `pictures of ${row.id} at step ${step}` }),
      h("figcaption", {}, `${row.id.replace("~", "/")}, step ${step.toLocaleString("en")}`));
  }));
  const last = all.length - 1;
  replace(place, h("h3", {}, "Pictures"), slider("at step", { min: 0, max: last, step: 1, value: last, show: (i) => all[i].toLocaleString("en") }, show), shown);
  show(last);
}

/**
 * The fields in which the runs differ, a column per run, or per group of seeds.
 * @param {Row[][]} groups
 * @param {any[]} details of the first of each
 */
function differences(groups, details) {
  const flat = details.map((each) => ({ data: each.data.name, ...flattened(each.recipe), ...each.execution }));
  const names = [...new Set(flat.flatMap((each) => Object.keys(each)))].filter((name) => name !== "seed" || groups.every((members) => members.length === 1));
  const differing = names.filter((name) => new Set(flat.map((each) => JSON.stringify(/** @type {any} */ (each)[name]))).size > 1);
  if (!differing.length) return h("p", { className: "quiet" }, "None.");
  return table(["field", ...groups.map(groupName)], differing.map((name) => [name, ...flat.map((each) => String(/** @type {any} */ (each)[name] ?? ""))]));
}

/** @param {Record<string, any>} value @param {string} [prefix] @returns {Record<string, any>} */
export function flattened(value, prefix = "") {
  return Object.fromEntries(Object.entries(value).flatMap(([name, each]) =>
    each && typeof each === "object" && !Array.isArray(each) ? Object.entries(flattened(each, `${prefix}${name}.`)) : [[prefix + name, each]]));
}

/**
 * The results with their intervals over seeds, and what `etude measure` found for the first of each group, with floors.
 * @param {Row[][]} groups
 * @param {any[]} details of the first of each
 * @param {number[]} quantiles see `interval`
 */
function metrics(groups, details, quantiles) {
  const found = details.map((each) => new Map(each.measures.map((/** @type {any} */ result) => [result.metric, result])));
  const names = [...new Set(found.flatMap((each) => [...each.keys()]))];
  const result = (/** @type {Row[]} */ members) => {
    const values = valuesBySeed(members);
    if (!values.length) return "";
    const { mean, half } = interval(values, quantiles);
    return `${short(mean)}${half === null ? "" : ` ± ${short(half)}, n = ${values.length}`} ${members[0].metric}`;
  };
  const lines = names.map((name) => [name, ...found.map((each) => measured(each.get(name))), short(found.map((each) => each.get(name)?.floor).find((value) => value != null))]);
  return table(["metric", ...groups.map(groupName), "floor"], [["result", ...groups.map(result), ""], ...lines]);
}

/** @param {any} result */
export function measured(result) {
  if (!result) return "";
  return result.interval ? `${short(result.value)} (${short(result.interval[0])} to ${short(result.interval[1])})` : short(result.value);
}
