// @ts-check
/** Studies: a question, your prediction, and the evidence once it is there; run one from here. */
import { get, post, Polled } from "./api.js";
import { h, replace, save, csv, short, table } from "./dom.js";

const VERDICTS = ["true", "false", "only if", "undecided"];

/** @param {import("./main.js").View} view */
export async function studiesPage({ main, signal }) {
  const studies = await get("/api/studies", signal);
  const topics = Map.groupBy(studies, (/** @type {any} */ study) => study.topic);
  replace(main, h("h1", {}, "Studies"), h("p", {}, "Textbook claims, settled by experiments."),
    [...topics].map(([topic, members]) => h("section", {}, h("h2", {}, topic), h("ul", { className: "studies" }, members.map((/** @type {any} */ study) =>
      h("li", {}, h("a", { href: `#/studies/${study.name}` }, study.name), " ", study.question, study.verdict ? h("span", { className: "tag" }, "settled") : null))))));
}

/** @param {import("./main.js").View} view @param {string} name */
export async function studyPage({ main, signal, every }, name) {
  const polled = new Polled(`/api/studies/${name}`);
  await polled.update(signal);
  const jobs = new Polled("/api/jobs");
  const evidence = h("div", {});
  const log = h("pre", { className: "log", tabIndex: 0, hidden: true });
  let predicted = "";
  let reveal = false;
  const study = polled.value;
  const settle = (/** @type {boolean} */ quick) => async () => { await post(`/api/studies/${name}/settle`, { quick }); log.hidden = false; };
  replace(main,
    h("p", {}, h("a", { href: "#/studies" }, "Studies"), ` / ${study.topic}`),
    h("h1", {}, name), h("p", { className: "lead" }, study.question), h("p", {}, h("b", {}, "Claim. "), study.claim),
    study.held_fixed ? h("p", { className: "quiet" }, `Held fixed: ${study.held_fixed}.`) : null,
    h("fieldset", {}, h("legend", {}, "What do you expect?"), VERDICTS.map((verdict) => h("label", { className: "check" },
      h("input", { type: "radio", name: "prediction", value: verdict, onchange: () => { predicted = verdict; draw(); } }), verdict === "only if" ? "only if …" : verdict))),
    h("div", { className: "row" },
      h("button", { onclick: settle(true) }, "Run the quick form (under 30 s)"), h("button", { onclick: settle(false) }, "Run it in full (minutes)"),
      h("button", { className: "quiet", onclick: () => { reveal = true; draw(); } }, "Show the evidence"),
      study.quick_cannot ? h("span", { className: "quiet" }, `The quick form cannot decide ${study.quick_cannot}.`) : null),
    log, evidence);

  function draw() {
    const found = polled.value.settled;
    if (!found || !(predicted || reveal)) {
      replace(evidence, found ? h("p", { className: "quiet" }, "It was settled before. Predict first, then see.") : null);
      return;
    }
    const rows = found.evidence.map((/** @type {any} */ each) => [each.what, short(each.value), each.interval && each.seeds ? `${short(each.interval[0])} to ${short(each.interval[1])}` : "", each.seeds ? short(each.seeds) : "exact"]);
    replace(evidence,
      predicted ? h("p", { role: "status" }, predicted === found.verdict ? "You were right." : `You were wrong: you expected ${predicted}.`) : null,
      h("h2", {}, "Verdict: ", found.condition ? `only if ${found.condition}` : found.verdict),
      h("p", {}, found.because), h("p", {}, found.explanation), h("p", { className: "quiet" }, `Source: ${found.source}`),
      h("figure", {}, h("img", { className: "figure", src: `/api/studies/${name}/figure.png?${encodeURIComponent(String(found.seconds ?? ""))}`, alt: `The evidence for ${name}, as a figure; the table has its numbers.` })),
      h("details", { open: true }, h("summary", {}, "Evidence"), table(["what", "value", "95 % interval", "seeds"], rows),
        h("button", { className: "quiet", onclick: () => save(`${name}.csv`, csv([["what", "value", "95 % interval", "seeds"], ...rows])) }, "CSV")));
  }

  draw();
  every(async () => {
    if (await jobs.update(signal)) {
      const job = jobs.value.find((/** @type {any} */ each) => each.title === `study ${name}`);
      log.hidden = !job;
      if (job) log.textContent = `${job.state}\n${job.log}`;
    }
    if (await polled.update(signal)) draw();
  });
}
