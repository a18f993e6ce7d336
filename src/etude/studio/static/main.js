// @ts-check
/** From the address to a view, and on while it is open: one view at a time, polled while the page is seen. */
import * as address from "./address.js";
import { Refused } from "./api.js";
import { complain, h, replace } from "./dom.js";
import { runPage } from "./run.js";
import { runsPage } from "./runs.js";
import { studiesPage, studyPage } from "./studies.js";
import { trainPage } from "./train.js";

/**
 * A view: what it draws into, and what it does every second.
 * @typedef {{main: HTMLElement, query: URLSearchParams, signal: AbortSignal, every: (tick: () => Promise<void>) => void}} View
 */

const POLL_MILLISECONDS = 1000;
let closing = new AbortController();

async function open() {
  closing.abort();
  closing = new AbortController();
  const { signal } = closing;
  complain("");
  const { path, query } = address.read();
  const main = /** @type {HTMLElement} */ (document.getElementById("main"));
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.getAttribute("href") === `#/${path[0] ?? "runs"}`;
    here ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
  /** @type {View} */
  const view = { main, query, signal, every: (tick) => void poll(tick, signal) };
  replace(main, h("p", { className: "waits" }, "…"));
  try {
    await page(path, view);
    if (!signal.aborted) document.title = `${main.querySelector("h1")?.textContent ?? "studio"} · étude studio`;
  } catch (error) {
    fail(error, main, signal);
  }
}

/**
 * @param {string[]} path
 * @param {View} view
 */
function page(path, view) {
  const [what = "runs", name] = path;
  if (what === "run" && name) return runPage(view, name, path[2]);
  if (what === "train") return trainPage(view);
  if (what === "studies") return name ? studyPage(view, name) : studiesPage(view);
  if (what === "runs") return runsPage(view);
  throw new Refused(`There is no page #/${path.join("/")} in the studio.`);
}

/**
 * Do it now and every second, while the view is open and the page is seen. What fails is tried again.
 * @param {() => Promise<void>} tick
 * @param {AbortSignal} signal
 */
async function poll(tick, signal) {
  let failed = false;
  while (!signal.aborted) {
    if (!document.hidden) {
      try {
        await tick();
        if (failed) complain("");
        failed = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof Refused)) throw error;
        complain(error.message);
        failed = true;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
  }
}

/**
 * @param {unknown} error
 * @param {HTMLElement} main
 * @param {AbortSignal} signal
 */
function fail(error, main, signal) {
  if (signal.aborted) return;
  if (!(error instanceof Refused)) throw error;
  replace(main, h("h1", {}, "This cannot be shown"), h("p", { className: "wrong" }, error.message),
    h("p", {}, h("a", { href: "#/runs" }, "All runs")));
  document.title = "étude studio";
}

addEventListener("hashchange", open);
// A question of a view that was left is not a fault; what the studio refused is told.
addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof Refused) complain(event.reason.message);
  if (event.reason instanceof Refused || event.reason?.name === "AbortError") event.preventDefault();
});
open();
