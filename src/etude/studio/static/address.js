// @ts-check
/** The state of the view lies in the address, so that it can be kept, sent and gone back to. It is checked when read. */

/** @returns {{path: string[], query: URLSearchParams}} */
export function read() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean), query: new URLSearchParams(query ?? "") };
}

/**
 * Change parts of the query without a new entry in the history, and without drawing the page again.
 * @param {Record<string, string | number | null>} values null takes one away
 */
export function keep(values) {
  const { path, query } = read();
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, String(value));
  }
  const text = query.toString();
  history.replaceState(null, "", `#/${path.join("/")}${text ? `?${text}` : ""}`);
}

/**
 * A number from the address, within its range; the default for anything else.
 * @param {URLSearchParams} query
 * @param {string} name
 * @param {{low: number, high: number, otherwise: number, whole?: boolean}} range
 */
export function number(query, name, { low, high, otherwise, whole = false }) {
  const text = query.get(name);
  const value = text === null || text.trim() === "" ? NaN : Number(text);
  return value >= low && value <= high && (!whole || Number.isInteger(value)) ? value : otherwise;
}

/**
 * One of a few words from the address; the first for anything else.
 * @template {string} Word
 * @param {URLSearchParams} query
 * @param {string} name
 * @param {readonly Word[]} words
 * @returns {Word}
 */
export function word(query, name, words) {
  const given = /** @type {Word} */ (query.get(name));
  return words.includes(given) ? given : words[0];
}

/**
 * Numbers with commas from the address: as many as `count`, each within its range; the default for anything else.
 * @param {URLSearchParams} query
 * @param {string} name
 * @param {{low: number, high: number, otherwise: number[]}} range
 */
export function numbers(query, name, { low, high, otherwise }) {
  const values = (query.get(name) ?? "").split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
  return values.length === otherwise.length && values.every((value) => value >= low && value <= high) ? values : otherwise;
}
