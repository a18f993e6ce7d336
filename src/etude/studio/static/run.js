// @ts-check
/** One run: watched while it trains, its configuration, and a panel for each thing that its networks can do. */
import { get, Polled, post, Refused } from "./api.js";
import { boundaryPanel, classifierPanel } from "./classifier.js";
import { flattened, measured } from "./compare.js";
import { csv, duration, h, replace, save, say, short, table } from "./dom.js";
import { saveSheet } from "./picture.js";
import { planePanel } from "./plane.js";
import { remove } from "./runs.js";
import { denoisingPanel, samplesPanel } from "./samples.js";
import { stylePanel } from "./style.js";
import { languagePanel, sentimentPanel, translationPanel } from "./texts.js";
import { watchPanel } from "./watch.js";

/**
 * A panel's surroundings.
 * @typedef {{id: string, run: any, place: HTMLElement, query: URLSearchParams, signal: AbortSignal, every: (tick: () => Promise<void>) => void}} Panel
 */

/**
 * The panels, each with what a run needs for it.
 * @type {Array<{name: string, title: string, fits: (run: any) => boolean, draw: (panel: Panel) => Promise<void>}>}
 */
const PANELS = [
  { name: "watch", title: "Watch", fits: () => true, draw: watchPanel },
  { name: "plane", title: "Latent plane", fits: (run) => run.images && able(run, "Encodes"), draw: planePanel },
  { name: "style", title: "Style", fits: (run) => run.images && able(run, "Bounds"), draw: stylePanel },
  { name: "samples", title: "Samples", fits: (run) => run.images && able(run, "Samples"), draw: samplesPanel },
  { name: "denoising", title: "Denoising", fits: (run) => run.images && able(run, "Denoises"), draw: denoisingPanel },
  { name: "classifier", title: "Classifier", fits: (run) => run.images && able(run, "Classifies"), draw: classifierPanel },
  { name: "boundary", title: "Boundary", fits: (run) => run.data.points && able(run, "Classifies"), draw: boundaryPanel },
  { name: "words", title: "Words", fits: (run) => able(run, "Explains"), draw: sentimentPanel },
  { name: "translation", title: "Translation", fits: (run) => able(run, "Translates"), draw: translationPanel },
  { name: "text", title: "Text", fits: (run) => able(run, "Predicts"), draw: languagePanel },
  { name: "about", title: "About", fits: () => true, draw: aboutPanel },
];

/** @param {any} run @param {string} ability */
function able(run, ability) {
  return run.abilities.includes(ability);
}

/**
 * @param {import("./main.js").View} view
 * @param {string} id
 * @param {string} [panel]
 */
export async function runPage({ main, query, signal, every }, id, panel) {
  const polled = new Polled(`/api/runs/${id}`);
  await polled.update(signal);
  const fitting = PANELS.filter((each) => each.fits(polled.value));
  const shown = fitting.find((each) => each.name === panel) ?? fitting[0];
  const state = h("div", { className: "row state-line" });
  const place = h("div", { id: "panel" });
  const name = id.replace("~", "/");
  replace(main,
    h("h1", {}, name),
    state,
    h("nav", { className: "tabs", ariaLabel: "Panels of this run" },
      fitting.map((each) => h("a", { href: `#/run/${id}/${each.name}`, ...(each === shown ? { ariaCurrent: "page" } : {}) }, each.title))),
    ["watch", "plane", "about", "words", "text", "translation"].includes(shown.name) ? null : h("div", { className: "row end" },
      h("button", { className: "quiet", onclick: () => saveSheet(place, `${run.name}-${shown.name}`) }, "All images as PNG"),
      h("button", { className: "quiet", onclick: () => save(`${run.name}-${shown.name}.csv`, csv(rowsShown(place))) }, "CSV")),
    place,
  );

  const draw = () => replace(state, ...stateLine(id, polled.value));
  draw();
  every(async () => {
    if (await polled.update(signal)) {
      Object.assign(run, polled.value);
      draw();
    }
  });
  const run = { ...polled.value };
  if (!run.trusted && !["watch", "about"].includes(shown.name)) {
    await askForTrust(place, id, run, signal);
    return;
  }
  await shown.draw({ id, run, place, query, signal, every });
}

/**
 * What stands below the images of a panel, and its tables, as rows.
 * @param {HTMLElement} place
 */
function rowsShown(place) {
  const captions = [...place.querySelectorAll("figure")].map((figure, i) => [i + 1, figure.querySelector("[aria-label]")?.getAttribute("aria-label"), figure.querySelector("figcaption")?.textContent]);
  const bars = [...place.querySelectorAll(".bar")].map((bar) => [...bar.querySelectorAll("span")].map((span) => span.textContent));
  const rows = [...place.querySelectorAll("table tr")].map((row) => [...row.querySelectorAll("th, td")].map((cell) => cell.textContent));
  return [...captions, ...bars, ...rows];
}

/** @param {string} id @param {any} run */
function stateLine(id, run) {
  const { status, epoch, seconds, error } = run.state;
  const left = status === "running" && epoch ? ` · ${duration((seconds / epoch) * (run.recipe.epochs - epoch))} left` : "";
  return [
    h("span", { className: `state ${status}` }, status),
    h("span", {}, `${run.recipe.name} on ${run.data.name}, seed ${run.recipe.seed ?? 0}`),
    h("span", {}, `epoch ${epoch} of ${run.recipe.epochs}, ${duration(seconds)}${left}`),
    error ? h("span", { className: "wrong" }, error) : null,
    status === "running" ? h("button", { onclick: () => change(id, "pause", "It saves and stops at the next step. Resume goes on from there.") }, "Pause") : null,
    status === "interrupted" ? h("button", { onclick: () => change(id, "resume", "It goes on.") }, "Resume") : null,
    status === "running" ? null : h("button", { className: "quiet", onclick: async () => { if (await remove(id)) location.hash = "#/runs"; } }, "Delete"),
  ];
}

/** @param {string} id @param {string} what @param {string} done */
async function change(id, what, done) {
  try {
    await post(`/api/runs/${id}/${what}`);
    say(done);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    alert(error.message);
  }
}

/**
 * Code of a run that was made elsewhere is shown before it may run.
 * @param {HTMLElement} place
 * @param {string} id
 * @param {any} run
 * @param {AbortSignal} signal
 */
async function askForTrust(place, id, run, signal) {
  const code = await get(`/api/runs/${id}/code`, signal);
  replace(place,
    h("h2", {}, "This run has code of its own"),
    h("p", {}, `It came from elsewhere, and its networks need ${run.code.join(", ")}. Read it: running it can do anything that you can. Your answer lasts until the studio ends.`),
    Object.entries(code).map(([file, text]) => h("details", { open: true }, h("summary", {}, file), h("pre", { tabIndex: 0 }, text))),
    h("button", { onclick: async () => { await post(`/api/runs/${id}/trust`); dispatchEvent(new HashChangeEvent("hashchange")); } }, "I have read it. Run it."),
  );
}

/** @param {Panel} panel */
async function aboutPanel({ id, run, place }) {
  const { data, execution, versions, remarks } = run;
  const tags = h("input", { value: remarks.tags.join(", "), placeholder: "separated by commas" });
  const note = h("textarea", { rows: 3, value: remarks.note });
  const keep = h("button", { onclick: async () => {
    try {
      await post(`/api/runs/${id}/remarks`, { tags: tags.value.split(",").map((tag) => tag.trim()).filter(Boolean), note: note.value });
      say("Saved.");
      keep.textContent = "Saved";
      setTimeout(() => (keep.textContent = "Save"), 1500);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      alert(error.message);
    }
  } }, "Save");
  const changed = flattened(run.changed);
  replace(place,
    h("div", { className: "columns" },
      h("section", {}, h("h2", {}, "Remarks"),
        h("label", { className: "field wide" }, h("span", {}, "tags"), tags), h("label", { className: "field wide" }, h("span", {}, "note"), note), h("div", { className: "row" }, keep)),
      h("section", {}, h("h2", {}, "Metrics"),
        run.measures.length
          ? table(["metric", "value (95 % interval)", "floor", "examples"], run.measures.map((/** @type {any} */ each) => [h("span", { title: each.about }, each.metric), measured(each), short(each.floor), short(each.num_samples)]))
          : h("p", { className: "quiet" }, `None yet: etude measure ${run.name}`)),
      h("section", {}, h("h2", {}, "Train it again"), h("pre", { tabIndex: 0 }, run.command)),
      h("section", {}, h("h2", {}, "Recipe"),
        h("p", { className: "quiet" }, Object.keys(changed).length ? "Fields in bold differ from the recipe." : "As the recipe is."),
        table(["field", "value"], Object.entries(flattened(run.recipe)).map(([name, value]) => [name in changed ? h("b", {}, name) : name, String(value)]))),
      h("section", {}, h("h2", {}, "Data and machine"),
        table(["", ""], [
          ["data", data.name], [`training ${data.plural}`, short(data.train_images)], [`validation ${data.plural}`, short(data.validation_images)],
          [`test ${data.plural}`, short(data.test_images)], ["shape", data.shape.join(" × ")], ["classes", data.classes.join(", ")],
          ...Object.entries(execution).map(([name, value]) => [name, String(value)]), ...Object.entries(versions).map(([name, value]) => [name, String(value)]),
        ])),
    ),
  );
}
