// @ts-check
/** Requests to the studio. Polls send the tag of what they have, and get no body while it is the same. */
import { complain } from "./dom.js";

/** @typedef {{name: string, type: "uint8" | "int32" | "uint32" | "float32", shape: number[]}} Described */
/** @typedef {Uint8Array | Int32Array | Uint32Array | Float32Array} Numbers */
/** @typedef {{about: any, arrays: Record<string, Numbers>, shapes: Record<string, number[]>, order: string[]}} Arrays */

const TYPES = { uint8: Uint8Array, int32: Int32Array, uint32: Uint32Array, float32: Float32Array };

/** What the studio said was wrong. */
export class Refused extends Error {}

/**
 * @param {string} url
 * @param {RequestInit} [options]
 */
async function ask(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { cache: "no-store", credentials: "same-origin", ...options });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused("The studio does not answer: has it been stopped?");
  }
  if (response.ok || response.status === 304) return response;
  const text = await response.text();
  let told = text;
  try {
    told = JSON.parse(text).error;
  } catch {
    // A refusal in plain text.
  }
  throw new Refused(told.trim());
}

/** @param {Response} response */
async function content(response) {
  if (response.headers.get("content-type") === "application/json") return response.json();
  return parsed(await response.arrayBuffer());
}

/**
 * The arrays of an answer: see `Arrays` in answers.py.
 * @param {ArrayBuffer} buffer
 * @returns {Arrays}
 */
function parsed(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const { about, arrays: described } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  /** @type {Arrays} */
  const found = { about, arrays: {}, shapes: {}, order: [] };
  let offset = 4 + length;
  for (const { name, type, shape } of /** @type {Described[]} */ (described)) {
    const size = shape.reduce((product, side) => product * side, 1);
    const array = new TYPES[type](buffer, offset, size);
    found.arrays[name] = array;
    found.shapes[name] = shape;
    found.order.push(name);
    offset += Math.ceil(array.byteLength / 4) * 4;
  }
  return found;
}

/**
 * @param {string} url
 * @param {AbortSignal} [signal]
 */
export async function get(url, signal) {
  return content(await ask(url, { signal }));
}

/**
 * @param {string} url
 * @param {unknown} [body]
 * @param {AbortSignal} [signal]
 */
export async function post(url, body = {}, signal) {
  const headers = { "content-type": "application/json" };
  return content(await ask(url, { method: "POST", headers, body: JSON.stringify(body), signal }));
}

/** An address that is read again and again; final. */
export class Polled {
  /** @param {string} url */
  constructor(url) {
    this.url = url;
    this.tag = "";
    /** @type {any} */
    this.value = undefined;
  }

  /**
   * Read it again. Whether it has changed.
   * @param {AbortSignal} [signal]
   */
  async update(signal) {
    const response = await ask(this.url, { signal, headers: this.tag ? { "if-none-match": this.tag } : {} });
    if (response.status === 304) return false;
    this.value = await content(response);
    this.tag = response.headers.get("etag") ?? "";
    return true;
  }
}

/** Tell a person what the studio refused. @param {unknown} error */
function wrong(error) {
  if (error instanceof Refused) complain(error.message);
  else if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
}

/**
 * Calls that may come faster than they are answered: one is in flight, and of those that wait the latest counts.
 * @template Given, Answer
 * @param {(given: Given) => Promise<Answer>} call
 * @param {(answer: Answer, given: Given) => void} then
 * @param {(error: unknown) => void} [otherwise]
 */
export function latest(call, then, otherwise = wrong) {
  let busy = false;
  /** @type {{given: Given} | null} */
  let waiting = null;
  /** @param {Given} given */
  const run = async (given) => {
    if (busy) {
      waiting = { given };
      return;
    }
    busy = true;
    try {
      then(await call(given), given);
    } catch (error) {
      otherwise(error);
    } finally {
      busy = false;
      const next = waiting;
      waiting = null;
      if (next) run(next.given);
    }
  };
  return run;
}
