// The latent plane: a point is dragged, and what it decodes to follows at once.
"use strict";

const REACH = 3, GRID = 15;

function latentPage() {
  const count = content.network.input[0], z = new Float32Array(count);
  let axes = [0, Math.min(1, count - 1)];
  const label = () => Number(classes.select.value || 0);
  const decode = (point) => network(point, label());
  const name = (axis) => `z${axis + 1}`;
  const number = (value) => value.toFixed(2).replace("-", "−");

  const plane = element("canvas", {className: "plane", width: GRID * WIDTH, height: GRID * HEIGHT, tabIndex: 0,
    role: "slider", "aria-label": "Point in the latent plane", "aria-valuemin": -REACH, "aria-valuemax": REACH});
  const image = picture("large"), value = element("p", {className: "value", "aria-live": "polite"});
  const backdrop = element("canvas", {width: plane.width, height: plane.height});

  const drawPlane = () => {
    const context = plane.getContext("2d"), scale = plane.width / 400;
    const place = ([x, y]) => [(x + REACH) / (2 * REACH) * plane.width, (REACH - y) / (2 * REACH) * plane.height];
    context.drawImage(backdrop, 0, 0);
    context.lineWidth = 1.5 * scale;
    for (const radius of [1, 2]) {  // one and two standard deviations of the prior
      context.beginPath();
      const [x, y] = place([0, 0]);
      context.ellipse(x, y, radius / (2 * REACH) * plane.width, radius / (2 * REACH) * plane.height, 0, 0, 7);
      context.strokeStyle = "rgba(120, 180, 255, .8)";
      context.stroke();
    }
    const [x, y] = place([z[axes[0]], z[axes[1]]]);
    for (const [width, colour] of [[5, "#000"], [2.5, "#ff9a3c"]]) {
      context.beginPath();
      context.lineWidth = width * scale;
      context.strokeStyle = colour;
      context.arc(x, y, 7 * scale, 0, 7);
      context.stroke();
    }
  };
  const paintBackdrop = inPieces(() => GRID * GRID, (at) => {
    const row = Math.floor(at / GRID), column = at % GRID, point = Float32Array.from(z);
    point[axes[1]] = REACH * (1 - (2 * row + 1) / GRID);
    point[axes[0]] = REACH * ((2 * column + 1) / GRID - 1);
    backdrop.getContext("2d").putImageData(imageOf(decode(point)), column * WIDTH, row * HEIGHT);
    if (column === GRID - 1) drawPlane();
  });
  const show = oncePerFrame(() => {
    paint(image, decode(z));
    const shown = [...new Set(axes)].map((axis) => `${name(axis)} ${number(z[axis])}`).join(", ");
    const text = content.classes.length ? `${shown}, class ${content.classes[label()]}` : shown;
    value.textContent = text;
    image.setAttribute("aria-label", `image decoded from ${text}`);
    plane.setAttribute("aria-valuenow", z[axes[0]]);
    plane.setAttribute("aria-valuetext", text);
    sliders.forEach(({input, show: showNumber}, axis) => { input.value = z[axis]; showNumber(); });
    drawPlane();
  });
  const moveTo = (x, y) => {
    const inside = (number) => Math.min(Math.max(number, -REACH), REACH);
    z[axes[1]] = inside(y);
    z[axes[0]] = inside(x);
    show();
  };
  const drag = (event) => {
    const box = plane.getBoundingClientRect();
    moveTo(((event.clientX - box.left) / box.width * 2 - 1) * REACH, (1 - (event.clientY - box.top) / box.height * 2) * REACH);
  };
  plane.addEventListener("pointerdown", (event) => { plane.setPointerCapture(event.pointerId); drag(event); });
  plane.addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });
  plane.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.02 : 0.2;
    const moves = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step]};
    if (event.key === "Home") moveTo(0, 0);
    else if (event.key in moves) moveTo(z[axes[0]] + moves[event.key][0], z[axes[1]] + (axes[0] === axes[1] ? 0 : moves[event.key][1]));
    else return;
    event.preventDefault();
  });

  const everything = () => { show(); paintBackdrop(); morphing.redraw(); };
  const classes = classSelector(everything);
  const sliders = count > 2 ? Array.from({length: count}, (_, axis) =>
    range(name(axis), {min: -REACH, max: REACH, step: 0.02, value: 0}, () => {
      z[axis] = Number(sliders[axis].input.value);
      show();
      if (!axes.includes(axis)) paintBackdrop();
    })) : [];
  const axisSelectors = [0, 1].map((which) => element("select", {
    "aria-label": which ? "Dimension upwards" : "Dimension to the right",
    onchange: (event) => { axes[which] = Number(event.target.value); everything(); },
  }, ...Array.from({length: count}, (_, axis) => element("option", {value: axis, selected: axis === axes[which]}, name(axis)))));
  const morphing = morph((point) => { z.set(point); show(); }, label);
  const draw = () => morphing.set(noiseOf(Math.random), noiseOf(Math.random));
  const jump = (point) => { z.set(point); show(); paintBackdrop(); };

  panel("Latent plane",
    element("p", {className: "soft"}, "Drag over the plane, or focus it and use the arrow keys; Shift makes finer steps. Circles: one and two standard deviations of the prior."),
    plane,
    count > 2 ? element("div", {className: "row"}, element("label", {}, "Right ", axisSelectors[0]), element("label", {}, "Up ", axisSelectors[1])) : "").className = "main";
  panel("Decoded", classes.row, image, value,
    element("div", {className: "row"},
      element("button", {type: "button", onclick: () => jump(noiseOf(Math.random))}, "Random point"),
      element("button", {type: "button", onclick: () => jump(new Float32Array(count))}, "Centre")));
  if (count > 2) panel("All dimensions", element("div", {className: "sliders"}, ...sliders.map(({row}) => row)));
  panel("Morph between two random points", ...morphing.parts(
    element("button", {type: "button", onclick: () => { draw(); morphing.move(); }}, "Two other points")));
  draw();
  everything();
}
