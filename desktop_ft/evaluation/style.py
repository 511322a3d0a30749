"""The report's style sheet: light and dark, for screen and paper."""

CSS = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #ffffff; --panel: #f6f8fa; --edge: #d8dee4;
  --train: #2456c9; --val: #c2410c; --good: #1a7f37; --bad: #c4261d;
  --series3: #1a7f37; --series4: #8250df; --series5: #0e7490; --series6: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --paper: #0f1419; --panel: #171d24;
  --edge: #2d363f; --train: #7aa7ff; --val: #ffa05c; --good: #4cc069; --bad: #ff7066;
  --series3: #4cc069; --series4: #c297ff; --series5: #4fc3d9; --series6: #e3b341; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; padding-bottom: .3rem; border-bottom: 1px solid var(--edge); }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .5rem 0; max-width: 46rem; }
.soft, figcaption, dt, summary, footer { color: var(--soft); }
.figures { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; }
.figures div { flex: 1 1 11rem; background: var(--panel); border: 1px solid var(--edge); border-radius: .5rem;
  padding: .75rem 1rem; }
.figures strong { display: block; font-size: 1.7rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.figures span { display: block; color: var(--soft); font-size: .875rem; }
dl { margin: 0; } dl div { display: grid; grid-template-columns: 11rem 1fr; gap: 1rem; padding: .25rem 0; }
dd { margin: 0; }
@media (max-width: 34rem) { dl div { grid-template-columns: 1fr; gap: 0; } }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9375rem; }
th, td { padding: .3rem .7rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--edge); }
th { color: var(--soft); font-weight: 500; } td.number, th.number { text-align: right; white-space: nowrap; }
.bar { display: inline-block; min-width: 6.5rem; padding: 0 .35rem; border-radius: .2rem; text-align: right;
  background: linear-gradient(to right, color-mix(in srgb, var(--val) 24%, transparent) calc(var(--share) * 100%), transparent 0);
  }
.matrix td { text-align: center; min-width: 2.5rem; border: 1px solid var(--paper);
  background: color-mix(in srgb, var(--tone) calc(var(--share) * 45%), var(--panel)); }
.matrix .right { --tone: var(--good); } .matrix .wrong { --tone: var(--bad); }
.matrix .none { --share: 0; --tone: var(--panel); color: var(--soft); opacity: .55; }
.matrix thead th { vertical-align: bottom; text-align: center; }
.matrix thead bdi { display: inline-block; writing-mode: vertical-rl; transform: rotate(180deg); max-height: 10rem;
  overflow: hidden; }
.matrix tbody th { text-align: right; max-width: 14rem; }
.matrix bdi, .short bdi { max-width: 14rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  vertical-align: bottom; }
.matrix tbody bdi, .short bdi { display: inline-block; }
figure { margin: 1.25rem 0; } figcaption { display: flex; flex-wrap: wrap; justify-content: space-between;
  gap: .25rem 1.5rem; }
svg { display: block; width: 100%; height: auto; margin-top: .35rem; }
svg text { fill: var(--soft); font-size: 12px; } .grid { stroke: var(--edge); } .axis, .tick { stroke: var(--soft);
  fill: none; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke: currentColor; }
.train { color: var(--train); } .val, .rate { color: var(--val); } .ideal { color: var(--soft); stroke-dasharray: 5 4;
  stroke-width: 1.5; }
.series1 { color: var(--val); } .series2 { color: var(--train); } .series3 { color: var(--series3); }
.series4 { color: var(--series4); } .series5 { color: var(--series5); } .series6 { color: var(--series6); }
.whisker { fill: none; stroke: currentColor; stroke-width: 1.25; opacity: .55; }
.faint { color: var(--train); stroke-width: 1; opacity: .35; } circle, rect { fill: currentColor; }
  rect { opacity: .55; } .band { fill: var(--train); opacity: .18; stroke: none; }
.key { opacity: 1; margin-left: 1rem; font-size: .875rem; white-space: nowrap; }
.key::before { content: ""; display: inline-block; width: 1.1rem; margin-right: .4rem; vertical-align: middle;
  border-top: 3px solid currentColor; }
.key.faint::before { border-top-width: 1px; } .key.ideal::before { border-top-style: dashed; border-top-width: 2px; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 1rem; padding: 0;
  list-style: none; }
.gallery li { font-size: .875rem; line-height: 1.35; } .gallery img, .gallery .lost { display: flex; width: 100%;
  height: 7.5rem;
  object-fit: cover; border-radius: .4rem; background: var(--panel); border: 1px solid var(--edge);
  margin-bottom: .35rem; }
.gallery .lost { align-items: center; justify-content: center; color: var(--soft); text-align: center; padding: .5rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .file { color: var(--soft); font-size: .8125rem; }
details { margin: .75rem 0; } summary { cursor: pointer; } pre { background: var(--panel);
  border: 1px solid var(--edge);
  border-radius: .5rem; padding: 1rem; overflow-x: auto; font-size: .8125rem; line-height: 1.45; }
ul.notes { padding-left: 1.2rem; } footer { margin-top: 3rem; font-size: .875rem; }
@media print {
  :root { color-scheme: light; --ink: #000000; --soft: #444444; --paper: #ffffff; --panel: #f6f8fa; --edge: #c8ced4;
    --train: #2456c9; --val: #c2410c; --good: #1a7f37; --bad: #c4261d; }
  @page { margin: 16mm; }
  body { max-width: none; padding: 0; font-size: 11pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  h2, h3 { break-after: avoid; }
  figure, tr, .figures, .gallery li { break-inside: avoid; }
  thead { display: table-header-group; }
  pre { white-space: pre-wrap; }
  .scroll { overflow: visible; }
}
"""
