"""The look of a page: one column, one hue and one accent, readable on a phone, in the dark and on paper."""

STYLE = """
:root { color-scheme: light dark;
        --ink: #1f2933; --soft: #56636f; --rule: #d5dce3; --paper: #ffffff; --tint: #f1f5f9; --pale: #bcd4ea;
        --hue: #0b5fa5; --accent: #b8480b; --grey: #66717d; --green: #2b7a4b; --violet: #7a4a9e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf0; --soft: #a9b4bf; --rule: #3a4550; --paper: #14191e; --tint: #1e262e; --pale: #2f4f6d;
          --hue: #74b6f2; --accent: #f29a66; --grey: #9aa6b2; --green: #74c798; --violet: #c3a0e4; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%;
       font: 16px/1.55 -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .25rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 0; }
.section { margin-top: 2rem; padding-top: 1rem; border-top: 1px solid var(--rule); }
.section > summary { display: flex; gap: .6rem; align-items: baseline; list-style: none; color: var(--ink); margin: 0; }
.section > summary::-webkit-details-marker { display: none; }
.section > summary::before { content: "▸"; color: var(--hue); font-size: 1rem; }
.section[open] > summary::before { content: "▾"; }
.section > div { scroll-margin-top: 4rem; padding-top: .5rem; }
.box { border: 2px solid var(--hue); border-radius: .6rem; padding: .9rem 1.1rem; margin: 1.5rem 0; }
.box h2 { margin-bottom: .4rem; }
.box ol { padding-left: 1.3rem; margin: .3rem 0; } .box li { margin: .5rem 0; }
a { color: var(--hue); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: .2rem; }
.contents ol { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; margin: 1.2rem 0 0; list-style: none;
               font-size: .88rem; }
.contents a { text-decoration: none; } .contents a:hover { text-decoration: underline; }
@media (min-width: 80rem) {
  main { margin-left: max(17rem, calc(50% - 30rem)); margin-right: auto; }
  .contents { position: fixed; top: 2.5rem; left: max(1.25rem, calc(50% - 46rem)); width: 14rem; max-height: 90vh;
              overflow-y: auto; }
  .contents ol { display: block; margin: 0; } .contents li { margin: .35rem 0; line-height: 1.35; }
}
pre { background: var(--tint); border-radius: .4rem; padding: .6rem .8rem; overflow-x: auto; margin: .5rem 0;
      line-height: 1.45; }
h3 { font-size: 1rem; margin: 1.6rem 0 .5rem; }
p { margin: .4rem 0 .8rem; max-width: 44rem; }
.lead, .note, figcaption, dt, th { color: var(--soft); }
.note { font-size: .9rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: .75rem; margin: 1.5rem 0; }
.figures div { background: var(--tint); border-radius: .5rem; padding: .8rem 1rem; color: var(--soft);
               font-size: .88rem; line-height: 1.4; }
summary { cursor: pointer; color: var(--hue); font-size: .9rem; margin: .6rem 0; }
.figures b { display: block; font-size: 1.7rem; line-height: 1.25; color: var(--hue); font-weight: 600; }
ul.findings, .box ul { padding-left: 1.2rem; max-width: 46rem; }
ul.findings li { margin: .45rem 0; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.1rem, 1fr)); gap: .6rem; padding: 0;
        margin: .8rem 0; list-style: none; }
.grid li { border: 1px solid var(--rule); border-radius: .5rem; padding: .45rem; text-align: center; font-size: .84rem;
           line-height: 1.35; break-inside: avoid; overflow-wrap: anywhere; }
.grid img { width: 100%; max-width: 5rem; aspect-ratio: 1; object-fit: contain; display: block; margin: 0 auto .35rem;
            image-rendering: pixelated; border-radius: .2rem; }
.grid .labels { font-weight: 600; }
.grid .number, .grid .verdict { color: var(--soft); font-size: .78rem; display: block;
                                font-variant-numeric: tabular-nums; }
.grid .yes, td.yes { color: var(--hue); }
.grid .no, td.no { color: var(--accent); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: .8rem; padding: 0;
         margin: .8rem 0; list-style: none; }
.card { border: 1px solid var(--rule); border-left: .3rem solid var(--rule); border-radius: .5rem;
        padding: .6rem .7rem; font-size: .88rem; line-height: 1.4; overflow-wrap: anywhere; min-width: 0; }
.card p { margin: 0; } .card .name, .card .labels { font-weight: 600; } .card .number { color: var(--soft); }
.card[data-decision="keep"] { border-left-color: var(--green); }
.card[data-decision="relabel"] { border-left-color: var(--hue); }
.card[data-decision="drop"] { border-left-color: var(--accent); }
.card .yes { color: var(--hue); } .card .no { color: var(--accent); }
.looks { display: grid; grid-template-columns: repeat(3, 1fr); gap: .4rem; margin: .4rem 0; }
.looks figure { margin: 0; text-align: center; } .looks figcaption { font-size: .78rem; line-height: 1.3; margin: 0; }
.looks img { width: 100%; max-width: 6rem; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated; }
.cards.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); }
.card table { font-size: .8rem; margin: .3rem 0; width: 100%; } .card td, .card th { padding: .15rem .5rem .15rem 0; }
.card th { white-space: normal; min-width: 3.5rem; } .card tbody th { min-width: 6rem; }
.acts, .controls { display: flex; flex-wrap: wrap; gap: .4rem .8rem; align-items: center; margin: .6rem 0 0;
                   font-size: .88rem; color: var(--soft); }
.acts { gap: .35rem; }
.acts button, .controls button, .acts select, .acts input, .controls select {
  font: inherit; color: var(--ink); cursor: pointer;
  background: var(--tint); border: 1px solid var(--grey); border-radius: .4rem; padding: .25rem .55rem;
  max-width: 11rem; }
.controls button { max-width: none; } .acts button:disabled, .controls button:disabled { opacity: .5; cursor: default; }
.acts button[aria-pressed="true"], .controls .main:enabled { background: var(--hue); color: var(--paper);
                                                             border-color: var(--hue); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; margin: .8rem 0; }
th, td { padding: .35rem .9rem .35rem 0; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { font-weight: 500; vertical-align: bottom; }
caption { text-align: left; color: var(--soft); caption-side: top; padding-bottom: .3rem; }
.crossed td, .crossed th { padding: .3rem .55rem; text-align: right; } .crossed th:first-child { text-align: left; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
tr.marked td { font-weight: 600; }
tr.marked td:first-child { color: var(--hue); }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
th button:hover, th[aria-sort] button { color: var(--hue); }
th[aria-sort="ascending"] button::after { content: " ↑"; }
th[aria-sort="descending"] button::after { content: " ↓"; }
.filter { display: flex; align-items: baseline; gap: .8rem; margin: .8rem 0 0; color: var(--soft); font-size: .9rem; }
.filter input { font: inherit; padding: .3rem .6rem; border: 1px solid var(--rule); border-radius: .4rem; }
.tall { max-height: 32rem; overflow-y: auto; }
.tall thead th { position: sticky; top: 0; background: var(--paper); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 1rem 2rem; }
figure { margin: .8rem 0; break-inside: avoid; container-type: inline-size; }
figcaption { font-size: .9rem; margin-bottom: .3rem; }
.chart { width: 100%; max-width: 40rem; height: auto; display: block; font-size: 13px; overflow: visible; }
@container (max-width: 26rem) { .chart { font-size: 16px; } }
.chart .tick { fill: var(--soft); }
.chart .axis { fill: var(--ink); }
.chart .grid { stroke: var(--rule); stroke-width: 1; }
.chart .line { fill: none; stroke-width: 2; }
.chart .band { opacity: .13; }
.chart .label { font-weight: 600; }
.chart .line.s0 { stroke: var(--hue); } .chart .line.s1 { stroke: var(--accent); stroke-dasharray: 7 4; }
.chart .line.s2 { stroke: var(--grey); stroke-dasharray: 2 4; }
.chart .line.s3 { stroke: var(--green); stroke-dasharray: 9 3 2 3; } .chart .line.s4 { stroke: var(--violet); }
.chart .s0:not(.line, .link) { fill: var(--hue); } .chart .s1:not(.line, .link) { fill: var(--accent); }
.chart .s2:not(.line, .link) { fill: var(--grey); } .chart .s3:not(.line, .link) { fill: var(--green); }
.chart .s4:not(.line, .link) { fill: var(--violet); }
.chart .link { fill: none; opacity: .55; }
.chart .link.s0 { stroke: var(--hue); } .chart .link.s1 { stroke: var(--accent); }
.chart .link.s2 { stroke: var(--grey); } .chart .link.s3 { stroke: var(--green); }
.chart .link.s4 { stroke: var(--violet); }
.chart .member { fill: var(--ink); }
.chart image { outline: 1px solid var(--rule); }
.chart .parting { stroke: var(--ink); stroke-width: .8; opacity: .6; }
.chart .bar { fill: var(--hue); } .chart .bar.faint { fill: var(--pale); stroke: var(--hue); stroke-width: 1; }
.chart .interval { stroke: var(--ink); stroke-width: 1.4; }
.chart .mark { stroke: var(--accent); stroke-width: 2.5; }
.chart .whisker { stroke: var(--hue); stroke-width: 1.4; }
.chart .box { fill: var(--pale); stroke: var(--hue); stroke-width: 1; }
.chart .median { stroke: var(--hue); stroke-width: 2.5; }
.chart .marked { fill: var(--accent); opacity: .75; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .15rem 1.2rem; font-size: .9rem;
     margin: .8rem 0; }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
code { font: .9em ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; }
@media print { main { max-width: none; padding: 0; } body { font-size: 11pt; } h2 { break-after: avoid; }
               .figures div { border: 1px solid var(--rule); }
               .filter, .contents, .acts, .controls { display: none; } .tall { max-height: none; }
               details::details-content { content-visibility: visible; } }
"""
