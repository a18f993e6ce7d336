"""The look of a report: one column, light and dark, on a phone and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f7f7f5; --card: #ffffff; --ink: #1c1f24; --soft: #5a616b; --line: #e1e3e6; --marked: #fff4d6;
  --accent: #0b5fa5; --good: #0a6b48; --busy: #0b5fa5; --stopped: #8a5200; --bad: #b3261e; --code: #f0f1f3;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #121417; --card: #1a1d21; --ink: #e6e8eb; --soft: #a3abb5; --line: #2f343a; --marked: #332b14;
    --accent: #7bbdf2; --good: #63d2a8; --busy: #7bbdf2; --stopped: #f0b654; --bad: #ff8f85; --code: #23272c;
  }
  figure.chart img { filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen; }
  figure.picture img { filter: brightness(.9); }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 960px; padding: 40px 28px 56px; background: var(--page); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere;
}
h1 { font-size: 2.1rem; line-height: 1.2; letter-spacing: -.02em; margin: 0 0 .5rem; text-wrap: balance; }
h2 { font-size: 1.3rem; letter-spacing: -.01em; margin: 0 0 .9rem; }
h3 { font-size: 1.02rem; margin: 1.7rem 0 .5rem; }
p, ul { margin: 0 0 .85rem; max-width: 74ch; }
ul { padding-left: 1.2em; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: 3px; }
.kicker { color: var(--soft); font-size: .82rem; letter-spacing: .04em; margin: 0 0 .4rem; }
.subtitle { color: var(--soft); font-size: 1.06rem; max-width: none; margin-bottom: 1.3rem; }
.badge {
  display: inline-block; border: 1px solid currentColor; border-radius: 999px; padding: 0 .7em; margin-right: .35em;
  font-size: .85rem; font-weight: 600; line-height: 1.7; color: var(--soft); white-space: nowrap;
}
.badge.finished, .badge.true { color: var(--good); }
.badge.running { color: var(--busy); }
.badge.interrupted, .badge.waiting, .badge.undecided, .badge.only-if { color: var(--stopped); }
.badge.failed, .badge.damaged, .badge.false { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin: 0 0 1.2rem; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px 14px; }
.tiles dt { color: var(--soft); font-size: .85rem; }
.tiles dd { margin: 0; }
.tiles b { display: block; font-size: 1.65rem; line-height: 1.3; letter-spacing: -.02em; }
.tiles .about { display: block; color: var(--soft); font-size: .85rem; line-height: 1.4; }
.tiles b, td, th { font-variant-numeric: tabular-nums; }
.notice {
  border-left: 4px solid var(--stopped); background: var(--card); padding: .65em 1em; border-radius: 0 8px 8px 0;
  max-width: none;
}
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; border-block: 1px solid var(--line); padding: 10px 0;
  font-size: .92rem; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
section { padding: 30px 0 6px; scroll-margin-top: 8px; }
section + section { border-top: 1px solid var(--line); margin-top: 22px; }
blockquote { margin: 0 0 .85rem; padding: .1em 0 .1em 1em; border-left: 4px solid var(--line); font-size: 1.1rem; }
.scroll { overflow-x: auto; margin: 0 0 1rem; }
table { border-collapse: collapse; font-size: .92rem; line-height: 1.45; min-width: min(100%, 420px); }
.caption { color: var(--soft); margin-bottom: .35rem; font-size: .88rem; }
th { text-align: left; color: var(--soft); font-weight: 600; vertical-align: bottom;
  border-bottom: 1px solid var(--soft); }
th, td { padding: .36em 1.1em .36em 0; }
td { border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: normal; word-break: normal; }
td:first-child, th:first-child { padding-left: .5em; }
.number { text-align: right; white-space: nowrap; }
.marked td { background: var(--marked); }
td small { display: block; color: var(--soft); font-size: .88em; max-width: 34ch; }
td code { white-space: nowrap; }
.strip { display: block; margin-top: .2em; }
.strip .axis { stroke: var(--line); fill: none; }
.strip .interval { stroke: var(--accent); stroke-width: 4; opacity: .45; fill: none; }
.strip .floor { stroke: var(--stopped); stroke-width: 2; fill: none; }
.strip circle { fill: var(--accent); }
code, pre { font-size: .88em;
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { background: var(--code); border-radius: 4px; padding: .1em .35em; }
pre { background: var(--code); border-radius: 8px; padding: .9em 1.1em; margin: 0 0 1rem; white-space: pre-wrap;
  line-height: 1.5; }
pre code { background: none; padding: 0; font-size: 1em; }
figure { margin: 0 0 1.5rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 16px; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figure.picture img { background: #fff; border-radius: 6px; image-rendering: auto; }
figcaption { margin: 12px 0 0; color: var(--soft); font-size: .92rem; max-width: 76ch; }
.gallery { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 14px; }
.gallery span { display: block; color: var(--soft); font-size: .85rem; margin-top: 4px; text-align: center; }
details { margin: 0 0 1rem; }
summary { cursor: pointer; color: var(--accent); margin-bottom: .6rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
footer { border-top: 1px solid var(--line); margin-top: 34px; padding-top: 12px; color: var(--soft);
  font-size: .85rem; }
@media (max-width: 600px) {
  body { padding: 22px 16px 40px; font-size: 15.5px; }
  h1 { font-size: 1.6rem; }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 8px; }
  .tiles b { font-size: 1.35rem; }
  figure { padding: 10px; }
  .gallery { grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 10px; }
}
@page { size: A4; margin: 16mm 15mm; }
@media print {
  :root { color-scheme: light; --page: #ffffff; --code: #f4f4f4; }
  body { max-width: none; padding: 0; font-size: 10pt; line-height: 1.5; }
  nav, summary { display: none; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
  h1 { font-size: 20pt; }
  h2, h3, h2 + p, .caption { break-after: avoid; }
  section { padding-top: 14pt; }
  section + section { margin-top: 8pt; }
  figure, tr, .tiles div, pre, .notice { break-inside: avoid; }
  figure { padding: 8pt; }
  figure img { max-height: 10.5cm; width: auto; }
  .scroll table { font-size: 8.5pt; }
  th, td { padding-block: .2em; }
  .scroll { overflow: visible; }
  .tiles { grid-template-columns: repeat(3, 1fr); }
  a { color: inherit; text-decoration: none; }
}
"""
