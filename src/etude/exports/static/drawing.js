// A drawing is rasterised and centred as the data are; bars show the probabilities of the classes.
"use strict";

const FINE = 8, SIDE = 336;

// Flat pixels (H, W) blurred by a Gaussian of that many pixels.
function blurred(pixels, sigma) {
  const reach = Math.ceil(3 * sigma);
  if (!reach) return pixels;
  const weights = Array.from({length: 2 * reach + 1}, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma * sigma)));
  const total = weights.reduce((a, b) => a + b, 0);
  const along = (source, stepX, stepY) => source.map((_, at) => {
    const [x, y] = [at % WIDTH, Math.floor(at / WIDTH)];
    let sum = 0;
    for (let i = -reach; i <= reach; i++) {
      const [column, row] = [x + i * stepX, y + i * stepY];
      if (column >= 0 && column < WIDTH && row >= 0 && row < HEIGHT) sum += weights[i + reach] * source[row * WIDTH + column];
    }
    return sum / total;
  });
  return along(along(pixels, 1, 0), 0, 1);
}

function drawingPage() {
  const frame = content.frame, largest = Math.max(WIDTH, HEIGHT);
  const sheet = element("canvas", {className: "sheet", width: SIDE * WIDTH / largest, height: SIDE * HEIGHT / largest,
    tabIndex: 0, role: "img", "aria-label": "Sheet to draw on: arrow keys move the pen, Space lowers and raises it, Delete clears"});
  const seen = picture("small"), value = element("p", {className: "value", "aria-live": "polite"});
  const bars = content.classes.map((name) => {
    const bar = element("i"), share = element("span");
    return {bar, share, row: element("li", {}, element("span", {title: name}, name), element("span", {}, bar), share)};
  });
  const pixels = new Float32Array(CHANNELS * HEIGHT * WIDTH);
  let strokes = [], opened = null, pen = [0.5, 0.5], isDown = false, usesKeys = false;

  // The strokes on a canvas of so many pixels per pixel of the network, after x → scale · x + shift.
  const stroked = (canvas, scale, shiftX, shiftY, width) => {
    const context = canvas.getContext("2d", {willReadFrequently: true});
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    Object.assign(context, {strokeStyle: "#fff", lineWidth: width, lineCap: "round", lineJoin: "round"});
    for (const stroke of strokes) {
      context.beginPath();
      stroke.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](x * scale + shiftX, y * scale + shiftY));
      const [[x, y]] = stroke;
      if (stroke.length === 1) context.lineTo(x * scale + shiftX, y * scale + shiftY + 0.01);  // a dot
      context.stroke();
    }
    return context;
  };

  // Ink (H, W) in [0, 1]: as large as the data's, its centre where theirs is, and the mass of that ink.
  const rasterised = () => {
    const fine = element("canvas", {width: WIDTH * FINE, height: HEIGHT * FINE});
    const points = strokes.flat(), xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const side = Math.max(right - left, bottom - top), wanted = FINE * Math.max(frame.extent * largest - frame.pen, 1);
    const scale = Math.min(wanted / Math.max(side, 1e-6), 4 * FINE * largest);
    let centre = [(left + right) / 2, (top + bottom) / 2];
    const ink = new Float32Array(WIDTH * HEIGHT);
    for (let pass = 0; pass < (frame.by_mass ? 2 : 1); pass++) {
      const shift = [frame.centre[0] * WIDTH * FINE - centre[0] * scale, frame.centre[1] * HEIGHT * FINE - centre[1] * scale];
      const data = stroked(fine, scale, shift[0], shift[1], frame.pen * FINE).getImageData(0, 0, fine.width, fine.height).data;
      let mass = 0, sumX = 0, sumY = 0;
      for (let y = 0; y < HEIGHT; y++)
        for (let x = 0; x < WIDTH; x++) {
          let sum = 0;
          for (let j = 0; j < FINE; j++)
            for (let i = 0; i < FINE; i++) sum += data[4 * ((y * FINE + j) * fine.width + x * FINE + i)];
          const value = sum / (255 * FINE * FINE);
          ink[y * WIDTH + x] = value;
          mass += value; sumX += value * (x + 0.5); sumY += value * (y + 0.5);
        }
      if (mass > 0) centre = [(sumX / mass * FINE - shift[0]) / scale, (sumY / mass * FINE - shift[1]) / scale];
    }
    return blurred(ink, frame.blur);
  };

  const show = oncePerFrame(() => {
    const scale = Math.max(sheet.width, sheet.height);
    const context = stroked(sheet, scale, 0, 0, scale * frame.pen / largest);
    if (opened) context.drawImage(opened, 0, 0, sheet.width, sheet.height);
    if (usesKeys) {
      context.fillStyle = isDown ? "#ff9a3c" : "#6db3ff";
      context.fillRect(pen[0] * scale - 4, pen[1] * scale - 4, 8, 8);
    }
    const empty = !strokes.length && !opened;
    if (opened) {
      const small = element("canvas", {width: WIDTH, height: HEIGHT}).getContext("2d");
      small.drawImage(opened, 0, 0, WIDTH, HEIGHT);
      const data = small.getImageData(0, 0, WIDTH, HEIGHT).data;
      for (let i = 0; i < WIDTH * HEIGHT; i++)
        for (let c = 0; c < CHANNELS; c++)
          pixels[c * WIDTH * HEIGHT + i] = (CHANNELS === 1
            ? 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2] : data[4 * i + c]) / 255;
    } else {
      const ink = empty ? new Float32Array(WIDTH * HEIGHT) : rasterised();
      for (let i = 0; i < pixels.length; i++) {
        const value = ink[i % (WIDTH * HEIGHT)];
        pixels[i] = frame.ink_is_dark ? 1 - value : value;
      }
    }
    paint(seen, pixels);
    seen.setAttribute("aria-label", "what the network sees");
    const probabilities = empty ? new Float32Array(bars.length) : network(pixels, 0);
    const best = probabilities.indexOf(Math.max(...probabilities));
    bars.forEach(({bar, share, row}, i) => {
      bar.style.width = `${100 * probabilities[i]}%`;
      share.textContent = empty ? "" : `${(100 * probabilities[i]).toFixed(1)} %`;
      row.className = !empty && i === best ? "first" : "";
    });
    value.textContent = empty ? "Nothing drawn yet." : `${content.classes[best]}, ${(100 * probabilities[best]).toFixed(1)} %`;
  });

  const at = (event) => {
    const box = sheet.getBoundingClientRect(), long = Math.max(box.width, box.height);
    return [(event.clientX - box.left) / long, (event.clientY - box.top) / long];
  };
  const clear = () => { strokes = []; opened = null; isDown = false; show(); };
  sheet.addEventListener("pointerdown", (event) => {
    sheet.setPointerCapture(event.pointerId);
    opened = null; usesKeys = false;
    strokes.push([at(event)]);
    show();
  });
  sheet.addEventListener("pointermove", (event) => {
    if (!event.buttons || !strokes.length || opened) return;
    for (const each of event.getCoalescedEvents ? [...event.getCoalescedEvents(), event] : [event]) strokes.at(-1).push(at(each));
    show();
  });
  sheet.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.01 : 0.04;
    const moves = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]};
    if (event.key in moves) {
      const [width, height] = [WIDTH / largest, HEIGHT / largest];
      pen = [Math.min(Math.max(pen[0] + moves[event.key][0], 0), width), Math.min(Math.max(pen[1] + moves[event.key][1], 0), height)];
      if (isDown) strokes.at(-1).push(pen);
    } else if (event.key === " ") {
      isDown = !isDown;
      opened = null;
      if (isDown) strokes.push([pen]);
    } else if (event.key === "Delete" || event.key === "Backspace") clear();
    else return;
    usesKeys = true;
    event.preventDefault();
    show();
  });
  const file = element("input", {type: "file", accept: "image/*", hidden: true, onchange: () => {
    const [chosen] = file.files, image = new Image();
    if (!chosen) return;
    image.onload = () => { strokes = []; opened = image; URL.revokeObjectURL(image.src); show(); };
    image.onerror = () => { value.textContent = "This file is no picture that the browser can read."; };
    image.src = URL.createObjectURL(chosen);
  }});

  panel("Draw", element("p", {className: "soft"}, content.advice), sheet,
    element("div", {className: "row"},
      element("button", {type: "button", onclick: clear}, "Clear"),
      element("button", {type: "button", onclick: () => { strokes.pop(); show(); }}, "Undo"),
      element("button", {type: "button", onclick: () => file.click()}, "Open a picture"), file));
  panel("Class", value, element("ul", {className: "bars"}, ...bars.map(({row}) => row)),
    element("p", {className: "soft"}, "What the network sees:"), seen);
  show();
}
