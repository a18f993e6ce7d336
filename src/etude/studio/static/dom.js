// @ts-check
/** Elements of the page, made from plain values: text is always text, never HTML. */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element with attributes, listeners (`onclick`) and children.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list" && name !== "form") /** @type {any} */ (element)[name] = value;
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  put(element, ...children);
  return element;
}

/**
 * Add children to an element.
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function put(element, ...children) {
  for (const child of children.flat()) {
    if (child || child === 0) element.append(child instanceof Node ? child : String(child));
  }
}

/**
 * Put children in the place of those that an element has.
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function replace(element, ...children) {
  element.replaceChildren();
  put(element, ...children);
}

/**
 * Tell a person who listens, rather than looks.
 * @param {string} text
 */
export function say(text) {
  const said = document.getElementById("said");
  if (said && said.textContent !== text) said.textContent = text;
}

/**
 * Tell everyone that something is wrong; an empty text takes it away.
 * @param {string} text
 */
export function complain(text) {
  const place = document.getElementById("busy");
  if (place && place.textContent !== text) place.textContent = text;
}

/**
 * A labelled control.
 * @param {string} text
 * @param {HTMLElement} control
 */
export function labelled(text, control) {
  return h("label", { className: "field" }, h("span", {}, text), control);
}

/**
 * A choice among a few values.
 * @param {string} label
 * @param {Array<[string, string]>} choices value and text of each
 * @param {string} value
 * @param {(value: string) => void} onchange
 */
export function choice(label, choices, value, onchange) {
  const select = h("select", { onchange: () => onchange(select.value) });
  for (const [each, text] of choices) select.append(h("option", { value: each, selected: each === value }, text));
  return labelled(label, select);
}

/**
 * A slider that shows its value.
 * @param {string} label
 * @param {{min: number, max: number, step: number, value: number, show?: (value: number) => string}} range
 * @param {(value: number) => void} oninput
 */
export function slider(label, range, oninput) {
  const show = range.show ?? String;
  const output = h("output", {}, show(range.value));
  const input = h("input", {
    type: "range", min: String(range.min), max: String(range.max), step: String(range.step), ariaLabel: label,
    oninput: () => {
      output.textContent = show(input.valueAsNumber);
      oninput(input.valueAsNumber);
    },
  });
  input.value = String(range.value);
  const whole = labelled(label, h("span", { className: "slider" }, input, output));
  return Object.assign(whole, {
    /** @param {number} value @param {number} [max] */
    show(value, max) {
      if (max !== undefined) input.max = String(max);
      input.value = String(value);
      output.textContent = show(value);
    },
  });
}

/**
 * A table of texts. A column of numbers alone stands on the right.
 * @param {string[]} headings
 * @param {Child[][]} rows
 */
export function table(headings, rows) {
  const numeric = headings.map((_, i) => i > 0 && rows.every((row) => row[i] === "" || typeof row[i] === "number" || /^[-−]?[\d.,]+(e[-+]?\d+)?$/.test(String(row[i]))));
  return h(
    "div", { className: "scrolls", tabIndex: 0, role: "region", ariaLabel: headings.join(", ") },
    h(
      "table", {},
      h("thead", {}, h("tr", {}, headings.map((heading, i) => h("th", { scope: "col", className: numeric[i] ? "number" : "" }, heading)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, i) => h("td", { className: numeric[i] ? "number" : "" }, cell))))),
    ),
  );
}

/**
 * Offer content as a file.
 * @param {string} name
 * @param {Blob} content
 */
export function save(name, content) {
  const link = h("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/**
 * Rows as CSV. A cell that a spreadsheet would compute is quoted with an apostrophe.
 * @param {Child[][]} rows
 */
export function csv(rows) {
  /** @param {Child} cell */
  const quoted = (cell) => {
    const text = String(cell ?? "");
    const safe = /^[=+@\t\r]/.test(text) || /^-(?![\d.])/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return new Blob([rows.map((row) => row.map(quoted).join(",") + "\r\n").join("")], { type: "text/csv" });
}

/**
 * A number with about four digits.
 * @param {number | null | undefined} value
 */
export function short(value) {
  if (value == null) return "";
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return value.toLocaleString("en");
  return Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}

/**
 * Seconds as people say them.
 * @param {number} seconds
 */
export function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}
