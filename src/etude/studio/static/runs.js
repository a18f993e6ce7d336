// @ts-check
/** The table of runs, seeds of one configuration grouped, and the comparison of those that are chosen. */
import * as address from "./address.js";
import { Polled, post, Refused } from "./api.js";
import { compare } from "./compare.js";
import { csv, duration, h, replace, save, say, short } from "./dom.js";

/**
 * @typedef {object} Row
 * @property {string} id
 * @property {string} state
 * @property {string | null} error
 * @property {string} recipe
 * @property {string} data
 * @property {number} seed
 * @property {string} group
 * @property {string} sweep
 * @property {number} epoch
 * @property {number} epochs
 * @property {number} seconds
 * @property {string} metric
 * @property {number | null} value
 * @property {string | null} better
 * @property {string} created
 * @property {string[]} tags
 * @property {string} note
 */

/** @type {Array<[string, string]>} */
const COLUMNS = [
  ["id", "run"], ["recipe", "recipe"], ["data", "data"], ["state", "state"], ["epoch", "epochs"], ["value", "result"],
  ["seconds", "time"], ["created", "begun"], ["tags", "tags"],
];
const SHOWN_AT_FIRST = 200;

/** @param {import("./main.js").View} view */
export async function runsPage({ main, query, signal, every }) {
  const polled = new Polled("/api/runs");
  await polled.update(signal);
  let sort = address.word(query, "sort", /** @type {const} */ (["created", "id", "recipe", "data", "state", "epoch", "value", "seconds", "tags"]));
  let down = query.get("order") !== "up";
  let all = false;
  const chosen = new Set((query.get("runs") ?? "").split(",").filter(Boolean));
  const search = h("input", { type: "search", placeholder: "words in name, recipe, data, tag or note", value: (query.get("search") ?? "").slice(0, 100), oninput: draw });
  const grouped = h("input", { type: "checkbox", checked: query.get("group") !== "off", onchange: draw });
  const newest = h("input", {
    type: "checkbox", checked: query.get("follow") === "on",
    onchange: () => { address.keep({ follow: newest.checked ? "on" : null }); follow(); },
  });
  const count = h("span", { className: "quiet", role: "status" });
  const body = h("tbody", {});
  const heads = h("tr", {});
  const compared = h("section", { ariaLabel: "Comparison" });
  const whole = h("div", { className: "scrolls", tabIndex: 0, role: "region", ariaLabel: "Runs" },
    h("table", { className: "runs" }, h("thead", {}, heads), body));
  replace(main,
    h("h1", {}, "Runs"),
    h("div", { className: "row" },
      h("label", { className: "field wide" }, h("span", {}, "search"), search),
      h("label", { className: "check" }, grouped, "group seeds"),
      h("label", { className: "check" }, newest, "follow newest"),
      h("button", { className: "quiet", onclick: () => save("runs.csv", csv(rows())) }, "CSV"),
      count,
    ),
    whole, compared,
  );

  /** @returns {Row[]} */
  const known = () => polled.value.runs;
  const rows = () => [COLUMNS.map(([, heading]) => heading),
    ...visible().map((row) => [row.id, row.recipe, row.data, row.state, `${row.epoch}/${row.epochs}`, row.value, Math.round(row.seconds), row.created, row.tags.join(" ")])];

  function visible() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = known().filter((row) => {
      const text = [row.id, row.recipe, row.data, row.state, row.note, ...row.tags].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const key = (/** @type {any} */ row) => (Array.isArray(row[sort]) ? row[sort].join(" ") : row[sort]);
    return found.sort((a, b) => {
      const [left, right] = [key(a), key(b)];
      if (left == null || right == null) return Number(left == null) - Number(right == null);
      return (left < right ? -1 : left > right ? 1 : 0) * (down ? -1 : 1);
    });
  }

  function draw() {
    address.keep({ search: search.value, group: grouped.checked ? null : "off", sort: sort === "created" ? null : sort, order: down ? null : "up" });
    replace(heads, h("th", {}), COLUMNS.map(([name, heading]) => h("th", { scope: "col", ariaSort: name === sort ? (down ? "descending" : "ascending") : "none" },
      h("button", { className: "head", onclick: () => { down = name === sort ? !down : name !== "id"; sort = /** @type {any} */ (name); draw(); } },
        heading, name === sort ? (down ? " ↓" : " ↑") : ""))));
    const found = visible();
    const groups = grouped.checked ? Map.groupBy(found, (row) => row.group || row.id) : new Map(found.map((row) => [row.id, [row]]));
    const entries = [...groups.values()];
    const focused = document.activeElement?.id;
    replace(body, entries.slice(0, all ? undefined : SHOWN_AT_FIRST).flatMap((members) => (members.length > 1 ? several(members) : [one(members[0])])));
    if (focused) document.getElementById(focused)?.focus();
    if (entries.length > SHOWN_AT_FIRST && !all)
      body.append(h("tr", {}, h("td", { colSpan: COLUMNS.length + 1 }, h("button", { onclick: () => { all = true; draw(); } }, `Show all ${entries.length}`))));
    count.textContent = `${found.length} of ${known().length} runs`;
    if (!known().length) replace(body, h("tr", {}, h("td", { colSpan: COLUMNS.length + 1 }, "No runs yet: ", h("a", { href: "#/train" }, "train one"), ".")));
  }

  /** @param {Row[]} members */
  function several(members) {
    const values = valuesBySeed(members);
    const { mean, half } = interval(values, polled.value.t_quantiles);
    const first = members[0];
    const ids = members.map((row) => row.id);
    const open = h("button", { className: "bare", id: `group-${first.group}`, ariaExpanded: String(opened.has(first.group)), onclick: () => {
      opened.has(first.group) ? opened.delete(first.group) : opened.add(first.group);
      draw();
    } }, opened.has(first.group) ? "▾ " : "▸ ", groupName(members));
    const states = [...new Set(members.map((row) => row.state))].join(", ");
    const result = values.length ? h("span", { title: first.metric }, short(mean), half === null ? "" : ` ± ${short(half)}`, h("small", {}, ` ${first.metric}, n = ${values.length}`)) : "";
    return [
      h("tr", { className: "group" }, h("td", {}, tick(ids, `compare ${members.length} seeds of ${first.recipe}`)), h("td", {}, open, h("small", {}, ` ${members.length} seeds`)),
        h("td", {}, first.recipe), h("td", {}, first.data), h("td", {}, states), h("td", { className: "number" }, `${Math.min(...members.map((row) => row.epoch))}/${first.epochs}`),
        h("td", { className: "number" }, result), h("td", { className: "number" }, duration(members.reduce((sum, row) => sum + row.seconds, 0))), h("td", {}, when(first.created)), h("td", {})),
      ...(opened.has(first.group) ? members.map((row) => one(row, "member")) : []),
    ];
  }
  /** @type {Set<string>} */
  const opened = new Set();

  /** @param {Row} row @param {string} [className] */
  function one(row, className = "") {
    const name = row.id.replace("~", "/");
    if (row.state === "damaged") return h("tr", { className }, h("td", {}), h("td", {}, name), h("td", { colSpan: COLUMNS.length - 1, className: "wrong" }, row.error));
    const result = row.value == null ? "" : h("span", { title: row.metric }, short(row.value), h("small", {}, ` ${row.metric}`));
    return h("tr", { className },
      h("td", {}, tick([row.id], `compare ${name}`)),
      h("td", {}, h("a", { id: `run-${row.id}`, href: `#/run/${row.id}` }, name), row.note ? h("small", { className: "note" }, row.note) : ""),
      h("td", {}, row.recipe), h("td", {}, row.data), h("td", { className: `state ${row.state}`, title: row.error ?? "" }, row.state),
      h("td", { className: "number" }, `${row.epoch}/${row.epochs}`), h("td", { className: "number" }, result),
      h("td", { className: "number" }, duration(row.seconds)), h("td", {}, when(row.created)), h("td", {}, row.tags.map((tag) => h("span", { className: "tag" }, tag))));
  }

  /** @param {string[]} ids @param {string} label */
  function tick(ids, label) {
    const box = h("input", { type: "checkbox", id: `tick-${ids[0]}-${ids.length}`, ariaLabel: label, checked: ids.every((id) => chosen.has(id)), onchange: () => {
      for (const id of ids) box.checked ? chosen.add(id) : chosen.delete(id);
      address.keep({ runs: [...chosen].join(",") });
      draw();
      void show();
    } });
    return box;
  }

  const comparison = compare(compared, query, signal);
  async function show() {
    for (const id of [...chosen]) if (!known().some((row) => row.id === id)) chosen.delete(id);
    await comparison.show(known().filter((row) => chosen.has(row.id)), polled.value.t_quantiles);
  }

  function follow() {
    const row = known().reduce((/** @type {Row | null} */ last, each) => (!last || each.created > last.created ? each : last), null);
    if (newest.checked && row && row.state === "running") location.hash = `#/run/${row.id}/watch?follow=on`;
  }

  draw();
  await show();
  every(async () => {
    if (await polled.update(signal)) {
      draw();
      follow();
    }
    await comparison.tick();
  });
}

/**
 * Ask for the name of a run, then delete it.
 * @param {string} id
 */
export async function remove(id) {
  const name = id.split("~").pop();
  const typed = prompt(`Delete ${name} with its checkpoints and pictures? Type its name to confirm.`);
  if (typed === null) return false;
  try {
    await post(`/api/runs/${id}/delete`, { name: typed });
    say(`${name} is deleted.`);
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    alert(error.message);
    return false;
  }
}

/**
 * The mean, and half of its 95 % interval where there are at least two values.
 * @param {number[]} values
 * @param {number[]} quantiles of Student's t, for two values and more
 */
export function interval(values, quantiles) {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2) return { mean, half: null };
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1));
  return { mean, half: (quantiles[n - 2] * deviation) / Math.sqrt(n) };
}

/**
 * The results of runs, one per seed: a run that was trained twice with the same seed counts once.
 * @param {Row[]} members
 */
export function valuesBySeed(members) {
  return [...new Map(members.flatMap((row) => (row.value == null ? [] : [[row.seed, row.value]]))).values()];
}

/**
 * What runs that differ in the seed alone are called together.
 * @param {Row[]} members
 */
export function groupName(members) {
  const [first] = members;
  if (members.length === 1) return first.id.replace("~", "/");
  const cell = first.id.replace("~", "/").replace(/-seed-\d+$/, "");
  return members.every((row) => row.id.replace("~", "/").startsWith(`${cell}-seed-`)) ? cell : `${first.recipe} on ${first.data}`;
}

/** @param {string} created */
export function when(created) {
  return new Date(created).toLocaleString(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}
