// @ts-check
/** Networks for texts: the words that moved a decision, a translation with its alignment, a text symbol by symbol. */
import * as address from "./address.js";
import { get, post, Refused } from "./api.js";
import { choice, h, replace, say, short, slider } from "./dom.js";

/**
 * A form whose answer is shown below it, or why there is none.
 * @param {HTMLElement} place
 * @param {Array<HTMLElement | null>} controls
 * @param {string} action
 * @param {() => Promise<Array<HTMLElement | null>>} answer
 */
function asking(place, controls, action, answer) {
  const below = h("div", { className: "answer" });
  const send = async () => {
    button.disabled = true;
    try {
      replace(below, await answer());
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      replace(below, h("p", { className: "wrong", role: "alert" }, error.message));
    } finally {
      button.disabled = false;
    }
  };
  const button = h("button", { onclick: send }, action);
  replace(place, h("div", { className: "stack" }, controls, button), below);
  for (const control of controls) {
    control?.querySelector("textarea")?.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        void send();
      }
    });
  }
  return send;
}

/** @param {string} label @param {string} value */
function textField(label, value) {
  const field = h("textarea", { rows: 3, value });
  return { field, element: h("label", { className: "field wide" }, h("span", {}, label), field) };
}

/**
 * A choice of sentences of the test split, once they are read; the first is taken where there is no other.
 * @param {string} id
 * @param {HTMLTextAreaElement} field
 * @param {AbortSignal} signal
 * @param {() => void} send
 */
function examples(id, field, signal, send) {
  const place = h("div", {}, h("span", { className: "quiet" }, "Reading sentences of the test split …"));
  const shortened = (/** @type {string} */ text) => (text.length > 80 ? `${text.slice(0, 77)}…` : text);
  get(`/api/runs/${id}/sentences`, signal).then(
    ({ sentences }) => {
      const take = (/** @type {string} */ text) => {
        field.value = text;
        send();
      };
      const named = sentences.map((/** @type {string} */ text, /** @type {number} */ i) => [String(i), shortened(text)]);
      replace(place, named.length ? choice("or one of the test split", [["", "choose …"], ...named], "", (value) => value && take(sentences[Number(value)])) : null);
      if (!field.value && sentences.length) take(sentences[0]);
    },
    (error) => {
      if (!signal.aborted) replace(place, h("span", { className: "quiet" }, `No sentences of the test split: ${error.message}`));
    },
  );
  return place;
}

/** @param {import("./run.js").Panel} panel */
export async function sentimentPanel({ id, run, place, query, signal }) {
  const { field, element } = textField("sentence", (query.get("text") ?? "").slice(0, 2000));
  let by = address.word(query, "by", /** @type {const} */ (["gradient", "occlusion"]));
  const classes = run.data.classes;
  const send = asking(place, [element, examples(id, field, signal, () => void send()),
    choice("explained by", [["gradient", "gradient times input"], ["occlusion", "<unk> in the word's place"]], by, (value) => { by = /** @type {any} */ (value); void send(); })], "Classify",
  async () => {
    address.keep({ text: field.value, by: by === "gradient" ? null : by });
    const found = await post(`/api/runs/${id}/words`, { text: field.value, by, ...(classes.length === 2 ? { label: 1 } : {}) }, signal);
    const most = Math.max(...found.scores.map(Math.abs), 1e-9);
    const best = found.probabilities.indexOf(Math.max(...found.probabilities));
    say(`${classes[best]}, ${(100 * found.probabilities[best]).toFixed(0)} %`);
    return [
      h("p", {}, h("b", {}, classes[best]), `, p = ${found.probabilities[best].toFixed(3)}`),
      h("p", { className: "sentence" }, found.words.flatMap((/** @type {string} */ word, /** @type {number} */ i) => {
        const level = Math.round((4 * Math.abs(found.scores[i])) / most);
        return [h("span", { className: `word ${found.scores[i] >= 0 ? "for" : "against"}${level}${found.known[i] ? "" : " unknown"}`, title: `${short(found.scores[i])} nats${found.known[i] ? "" : "; not in the vocabulary"}` }, word), " "];
      })),
      h("p", { className: "quiet" }, `Blue speaks for ${classes[found.label]}, orange against it: what each word adds to its log-odds, in nats. Underlined words are not in the vocabulary.`),
      h("details", {}, h("summary", {}, "Table"), h("table", {}, h("tbody", {}, found.words.map((/** @type {string} */ word, /** @type {number} */ i) => h("tr", {}, h("td", {}, word), h("td", { className: "number" }, found.scores[i].toFixed(4))))))),
    ];
  });
  if (field.value) await send();
}

/** @param {import("./run.js").Panel} panel */
export async function translationPanel({ id, place, query, signal }) {
  const { field, element } = textField("sentence", (query.get("text") ?? "").slice(0, 2000));
  const send = asking(place, [element, examples(id, field, signal, () => void send())], "Translate", async () => {
    address.keep({ text: field.value });
    const found = await post(`/api/runs/${id}/translate`, { text: field.value }, signal);
    say(found.translation);
    return [h("p", { className: "sentence" }, found.translation), alignment(found)];
  });
  if (field.value) await send();
}

/** A row per written token, a column per token that was read: how much it looked at each. @param {any} found */
function alignment(found) {
  if (!found.alignment) return h("p", { className: "quiet" }, "This translator has no attention.");
  const level = (/** @type {number} */ share) => Math.round(4 * share);
  return h("div", { className: "scrolls", tabIndex: 0, role: "region", ariaLabel: "Alignment" }, h("table", { className: "confusion" },
    h("thead", {}, h("tr", {}, h("td", {}), found.source_tokens.map((/** @type {string} */ token) => h("th", { scope: "col" }, token)))),
    h("tbody", {}, found.tokens.map((/** @type {string} */ token, /** @type {number} */ i) => h("tr", {}, h("th", { scope: "row" }, token),
      found.alignment[i].map((/** @type {number} */ share) => h("td", { className: `cell level${level(share)}` }, share >= 0.05 ? share.toFixed(2).replace("0.", ".") : "")))))));
}

/** @param {import("./run.js").Panel} panel */
export async function languagePanel({ id, place, query, signal }) {
  const { field, element } = textField("prompt", (query.get("prompt") ?? "").slice(0, 2000));
  let temperature = address.number(query, "temperature", { low: 0, high: 2, otherwise: 1 });
  let length = address.number(query, "length", { low: 1, high: 1000, otherwise: 300, whole: true });
  let seed = 0;
  asking(place, [element, h("div", { className: "row" },
    slider("temperature", { min: 0, max: 2, step: 0.05, value: temperature, show: (value) => value.toFixed(2) }, (value) => (temperature = value)),
    slider("symbols", { min: 10, max: 1000, step: 10, value: length }, (value) => (length = value)))], "Write", async () => {
    address.keep({ prompt: field.value, temperature: temperature === 1 ? null : temperature, length: length === 300 ? null : length });
    const found = await post(`/api/runs/${id}/write`, { prompt: field.value, length, temperature, seed: seed++ }, signal);
    return [
      h("p", { className: "written" }, found.symbols.map((/** @type {string} */ symbol, /** @type {number} */ i) => {
        const chance = found.probabilities[i];
        return h("span", { className: chance == null ? "word" : `word for${Math.round(4 * chance)}`, title: chance == null ? "" : `p = ${chance.toFixed(3)}` }, symbol);
      })),
      h("p", { className: "quiet" }, "The darker a symbol, the likelier the network found it after those before. Hold the pointer over one for its probability."),
      h("details", {}, h("summary", {}, "Table"), h("table", {}, h("tbody", {}, found.symbols.map((/** @type {string} */ symbol, /** @type {number} */ i) =>
        h("tr", {}, h("td", {}, JSON.stringify(symbol)), h("td", { className: "number" }, found.probabilities[i] == null ? "" : found.probabilities[i].toFixed(4))))))),
    ];
  });
}
