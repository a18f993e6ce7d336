// Samples from a seed; two of them are morphed into each other.
"use strict";

const TILES = 24;

function samplesPage() {
  const label = () => Number(classes.select.value || 0);
  const image = picture("large"), value = element("p", {className: "value", "aria-live": "polite"});
  const seed = element("input", {type: "number", min: 0, max: 4294967295, value: 0, oninput: () => everything()});
  let noises = [], chosen = [0, 1], current = null;
  const tiles = Array.from({length: TILES}, (_, i) => {
    const canvas = picture("");
    const button = element("button", {type: "button", "aria-pressed": false, onclick: () => {
      chosen = [chosen[1], i];
      choose();
    }}, canvas);
    return {canvas, button};
  });
  const show = oncePerFrame(() => {
    if (!current) return;
    paint(image, network(current, label()));
    image.setAttribute("aria-label", "generated image");
  });
  const morphing = morph((point) => { current = point; show(); }, label);
  const choose = () => {
    tiles.forEach(({button}, i) => button.setAttribute("aria-pressed", chosen.includes(i)));
    value.textContent = `A is sample ${chosen[0] + 1}, B is sample ${chosen[1] + 1}, of seed ${seed.value}`;
    morphing.set(noises[chosen[0]], noises[chosen[1]]);
    morphing.move();
  };
  const paintTiles = inPieces(() => TILES, (i) => {
    paint(tiles[i].canvas, network(noises[i], label()));
    tiles[i].canvas.setAttribute("aria-label", `sample ${i + 1}`);
  });
  const everything = () => {
    const random = randomOf(Number(seed.value) || 0);
    noises = tiles.map(() => noiseOf(random));
    choose();
    paintTiles();
  };
  const classes = classSelector(everything);
  panel("Samples",
    element("div", {className: "row"}, element("label", {}, "Seed ", seed),
      element("button", {type: "button", onclick: () => { seed.value = Math.floor(Math.random() * 1e6); everything(); }}, "Another seed"),
      classes.row),
    element("p", {className: "soft"}, "Choose two samples: the last two chosen are A and B."),
    element("div", {className: "tiles"}, ...tiles.map(({button}) => button)));
  panel("Morph from A to B", image, value, ...morphing.parts());
  everything();
}
