// @ts-check
/** A new run from a form made from the recipe. */
import { get, Polled, post, Refused } from "./api.js";
import { choice, h, replace } from "./dom.js";

/** @param {import("./main.js").View} view */
export async function trainPage({ main, query, signal, every }) {
  const names = await get("/api/recipes", signal);
  const jobs = new Polled("/api/jobs");
  const form = h("div", { className: "form" });
  const error = h("p", { className: "wrong", role: "alert" });
  const log = h("div", {});
  const asked = query.get("recipe");
  let recipe = names.some((/** @type {any} */ each) => each.name === asked) ? String(asked) : names[0].name;
  replace(main, h("h1", {}, "Train"),
    h("div", { className: "row" }, choice("recipe", names.map((/** @type {any} */ each) => [each.name, `${each.name}: ${each.about}`]), recipe, (value) => { recipe = value; void show(); })),
    form, error, log);

  async function show() {
    const { fields } = await get(`/api/recipes/${recipe}`, signal);
    error.textContent = "";
    /** @type {Map<string, {field: any, input: HTMLInputElement | HTMLSelectElement}>} */
    const inputs = new Map();
    const name = h("input", { placeholder: "chosen for you" });
    replace(form, h("label", { className: "field" }, h("span", {}, "name of the run"), name), fields.map((/** @type {any} */ field) => {
      const value = field.value === null ? "" : String(field.value);
      const input = field.choices.length
        ? h("select", {}, field.choices.map((/** @type {any} */ each) => h("option", { value: String(each), selected: String(each) === value }, String(each))))
        : h("input", { value, placeholder: field.allowed });
      inputs.set(field.name, { field, input });
      return h("label", { className: "field" }, h("span", {}, field.name.replace(".", ", ").replaceAll("_", " "), h("small", {}, field.allowed ? ` ${field.allowed}` : "")), input);
    }), h("button", { onclick: async () => {
      try {
        await post("/api/train", { recipe, name: name.value.trim() || null, changes: changed(inputs) });
        error.textContent = "";
        await tick();
      } catch (refused) {
        if (!(refused instanceof Refused)) throw refused;
        error.textContent = refused.message;
      }
    } }, "Train"));
  }

  async function tick() {
    if (!(await jobs.update(signal))) return;
    replace(log, jobs.value.length ? h("h2", {}, "Started here") : null, jobs.value.map((/** @type {any} */ job) =>
      h("details", { open: job.state !== "finished" }, h("summary", {}, `${job.title}: ${job.state}`), h("pre", { className: "log", tabIndex: 0 }, job.log))),
    jobs.value.some((/** @type {any} */ job) => job.state === "running") ? h("p", {}, h("a", { href: "#/runs?follow=on" }, "Watch the newest run")) : null);
  }
  await show();
  every(tick);
}

/** What a person has changed, as values of JSON. @param {Map<string, {field: any, input: HTMLInputElement | HTMLSelectElement}>} inputs */
function changed(inputs) {
  /** @type {Record<string, any>} */
  const found = {};
  for (const [name, { field, input }] of inputs) {
    const text = input.value.trim();
    if (text === (field.value === null ? "" : String(field.value))) continue;
    const numeric = typeof field.value === "number" || (field.value === null && field.allowed);
    const value = text === "" ? null : typeof field.value === "boolean" ? text === "true" : numeric && Number.isFinite(Number(text)) ? Number(text) : text;
    const [part, within] = name.split(".");
    if (within) found[part] = { ...found[part], [within]: value };
    else found[part] = value;
  }
  return found;
}
