// What all panels share: elements, pictures, random numbers, and work in pieces so that the page stays responsive.
"use strict";

const content = JSON.parse(document.getElementById("content").textContent);
const network = content.network && makeNetwork(content.network);
const [CHANNELS, HEIGHT, WIDTH] = content.shape;

function element(tag, settings = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && !name.includes("-")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function panel(heading, ...children) {
  const made = element("section", {}, element("h2", {}, heading), ...children);
  document.querySelector("main").append(made);
  return made;
}

function picture(className) {
  return element("canvas", {className: `pixels ${className}`, width: WIDTH, height: HEIGHT, role: "img"});
}

// Numbers (C, H, W) in [0, 1] as pixels.
function imageOf(pixels) {
  const image = new ImageData(WIDTH, HEIGHT), area = WIDTH * HEIGHT;
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = Math.round(255 * pixels[(CHANNELS === 1 ? 0 : c) * area + i]);
    image.data[4 * i + 3] = 255;
  }
  return image;
}

function paint(canvas, pixels) {
  canvas.getContext("2d").putImageData(imageOf(pixels), 0, 0);
}

// Random numbers in [0, 1) that a seed determines (mulberry32).
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// What the network draws images from: numbers that are standard normal, or uniform in [-1, 1].
function noiseOf(random) {
  return Float32Array.from({length: content.network.input.reduce((a, b) => a * b, 1)}, () => content.noise === "normal"
    ? Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()) : 2 * random() - 1);
}

// From a to b: along a great circle where lengths matter, straight otherwise.
function between(a, b, share) {
  let dot = 0, aa = 0, bb = 0;
  a.forEach((value, i) => { dot += value * b[i]; aa += value * value; bb += b[i] * b[i]; });
  const cosine = dot / Math.sqrt(aa * bb || 1), angle = Math.acos(Math.min(Math.max(cosine, -1), 1));
  const straight = content.noise !== "normal" || Math.sin(angle) < 1e-4;
  const [first, second] = straight ? [1 - share, share]
    : [Math.sin((1 - share) * angle) / Math.sin(angle), Math.sin(share * angle) / Math.sin(angle)];
  return a.map((value, i) => first * value + second * b[i]);
}

// Runs at most once a frame, with what holds then: the latest wins.
function oncePerFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; work(); });
  };
}

// Runs work(0), work(1) … in pieces of a few milliseconds; a new call ends the one before.
function inPieces(count, work) {
  let turn = 0;
  return () => {
    const mine = ++turn;
    let at = 0;
    const go = () => {
      const end = performance.now() + 12;
      while (mine === turn && at < count() && performance.now() < end) work(at++);
      if (mine === turn && at < count()) setTimeout(go);
    };
    go();
  };
}

function classSelector(changed) {
  const select = element("select", {onchange: changed}, ...content.classes.map((name, i) =>
    element("option", {value: i}, name)));
  return {select, row: content.classes.length ? element("label", {}, "Class ", select) : ""};
}

function range(text, settings, changed) {
  const shown = element("b"), input = element("input", {type: "range", "aria-label": text, ...settings});
  const show = () => { shown.textContent = Number(input.value).toFixed(2); };
  input.addEventListener("input", () => { show(); changed(); });
  show();
  return {input, show, row: element("label", {}, element("span", {}, text, shown), input)};
}

// A slider from one point to another and back, with their pictures at its ends; calls shown(point) when it moves.
function morph(shown, label) {
  const [first, second] = [picture("small"), picture("small")];
  let a = null, b = null, playing = false;
  const move = () => { if (a) shown(between(a, b, Number(share.input.value))); };
  const share = range("From A to B", {min: 0, max: 1, step: 0.01, value: 0}, move);
  const play = element("button", {type: "button", onclick: () => { playing = !playing; begin(); }}, "Play");
  const begin = () => {
    play.textContent = playing ? "Stop" : "Play";
    const start = performance.now() - 1500 * Number(share.input.value);
    const frame = (now) => {
      if (!playing) return;
      const time = ((now - start) / 1500) % 2;
      share.input.value = time < 1 ? time : 2 - time;
      share.show();
      move();
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  };
  const redraw = () => {
    if (!a) return;
    [[first, a, "A"], [second, b, "B"]].forEach(([canvas, point, name]) => {
      paint(canvas, network(point, label()));
      canvas.setAttribute("aria-label", `image ${name}`);
    });
  };
  const set = (from, to) => { [a, b] = [from, to]; redraw(); };
  const ends = element("div", {className: "ends"}, element("figure", {}, first, "A"), element("figure", {}, second, "B"));
  return {set, redraw, move, parts: (...more) => [ends, share.row, element("div", {className: "row"}, play, ...more)]};
}
