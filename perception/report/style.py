"""The look of a page: light or dark as the reader has set it."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f4f6f8; --card: #ffffff; --text: #17202b; --faint: #5d6b7a; --line: #dde3ea;
  --accent: #0b8f74; --wrong: #d0344a; --second: #3867c8; --heat: 11, 143, 116;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1117; --card: #151c25; --text: #e2e8f0; --faint: #8b99ab; --line: #2a3544;
    --accent: #2ec4a0; --wrong: #ff6b7d; --second: #7aa5ff; --heat: 46, 196, 160;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; background: var(--page);
  color: var(--text); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans",
    sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
header { margin: 0 .25rem 1.25rem; }
h1 {
  font-size: 1.7rem; line-height: 1.2; letter-spacing: -.015em; margin: 0;
  overflow-wrap: anywhere;
}
header p { color: var(--faint); margin: .35rem 0 0; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 1.1rem 1.25rem 1.25rem; margin: 0 0 1rem;
}
h2 { font-size: 1.05rem; margin: 0 0 .35rem; }
h3 { font-size: .9rem; font-weight: 600; margin: 1rem 0 .4rem; }
.note {
  color: var(--faint); font-size: .87rem; max-width: 48rem; margin: 0 0 .8rem;
  text-wrap: pretty;
}
.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(8.2rem, 1fr)); gap: 1rem;
  margin: 0;
}
.tiles dt { color: var(--faint); font-size: .82rem; }
.tiles dd {
  font-size: 1.75rem; font-weight: 650; letter-spacing: -.02em; line-height: 1.25; margin: 0;
}
.tiles small { color: var(--faint); }
.columns {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  gap: 1.5rem;
}
.columns > * { min-width: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th { color: var(--faint); font-weight: 500; font-size: .8rem; }
th, td {
  padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap;
}
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tr:last-child td { border-bottom: 0; }
.bar {
  min-width: 6rem;
  background: linear-gradient(90deg, rgba(var(--heat), .26) var(--v), transparent var(--v))
    no-repeat
    0 50% / 100% 72%;
}
.matrix { font-size: .78rem; width: auto; }
.matrix th, .matrix td { border: 0; padding: .35rem .2rem; text-align: center; }
.matrix td {
  background: rgba(var(--heat), var(--v)); min-width: 2.15rem; border: 1px solid var(--card);
}
.matrix .zero { color: var(--faint); opacity: .55; }
.matrix th:first-child { text-align: right; padding-right: .5rem; }
.matrix .down {
  writing-mode: vertical-rl; transform: rotate(180deg); text-align: left;
  vertical-align: bottom; margin: auto;
}
svg { display: block; max-width: 100%; height: auto; }
.plot { width: 100%; max-width: 30rem; overflow: visible; }
.plot text { fill: var(--faint); font-size: 11px; }
.plot .title { fill: var(--text); font-size: 13px; font-weight: 600; }
.plot .grid { stroke: var(--line); stroke-width: 1; }
.plot .bars { fill: var(--accent); fill-opacity: .75; }
.plot .over { fill: var(--wrong); fill-opacity: .22; }
.plot .over, .plot .under { stroke: var(--wrong); stroke-width: .8; }
.plot .under { fill: none; }
.plot .count { fill: var(--faint); fill-opacity: .45; }
.plot .ideal { stroke: var(--faint); stroke-dasharray: 4 4; }
.plot .line { stroke: var(--second); stroke-width: 1.8; fill: none; stroke-linejoin: round; }
.plot .band { fill: var(--second); fill-opacity: .16; }
figure { margin: 0 0 1.4rem; }
figure:last-child { margin-bottom: 0; }
figcaption { font-size: .87rem; margin-bottom: .45rem; overflow-wrap: anywhere; }
figcaption span { color: var(--faint); }
.panes {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr));
  gap: .5rem;
}
.panes svg { width: 100%; border-radius: 6px; background: #000; }
.panes rect { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.panes .right { stroke: #3ddc84; }
.panes .false { stroke: #ff4d61; }
.panes .missed { stroke: #ff4d61; stroke-dasharray: 5 3; }
.panes .ignored { stroke: #c8ced6; stroke-width: 1; stroke-dasharray: 2 3; }
.legend {
  display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .82rem; color: var(--faint);
  margin: 0 0 1rem; padding: 0; list-style: none;
}
.legend i {
  display: inline-block; width: .8em; height: .8em; border-radius: 3px; margin-right: .4em;
  vertical-align: -.05em;
}
@media (max-width: 34rem) {
  body { padding: 1rem .5rem 3rem; }
  section { padding: .9rem .85rem 1rem; border-radius: 10px; }
  h1 { font-size: 1.35rem; }
  .tiles { grid-template-columns: repeat(2, 1fr); }
  .tiles dd { font-size: 1.4rem; }
  th, td { padding: .3rem .35rem; }
  .bar { min-width: 4.5rem; }
}
"""
