// Pictures drawn at export, where the network cannot be computed in a page.
"use strict";

function picturesPage() {
  const image = element("img", {alt: content.caption});
  const show = () => { image.src = content.pictures[Number(classes.select.value || 0)]; };
  const classes = classSelector(show);
  panel("Pictures drawn at export", element("p", {}, content.reason), classes.row, image,
    element("p", {className: "soft"}, content.caption)).className = "wide";
  show();
}
