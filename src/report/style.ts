/** How a report looks: ink on paper, one colour a board, red for what failed; light, dark and printed. */
import { Markup } from "./markup.ts";

export const style = new Markup(`
:root{color-scheme:light dark;
--paper:#fff;--ink:#1a1d21;--soft:#5b636c;--rule:#dfe3e7;--wash:#f5f6f7;
--a:#5b7083;--b:#0b7a75;--phase:#9aa7b3;--quiet:#cfd6dc;--mark:#1a1d21;--on:#fff;--bad:#b3261e;--badwash:#fbeeed;--warn:#96590b;
--s0:#0b7a75;--s1:#a15c07;--s2:#6a4fa3;--s3:#5b7083}
@media (prefers-color-scheme:dark){:root{
--paper:#14171a;--ink:#e6e8ea;--soft:#9aa4ad;--rule:#2b3137;--wash:#1c2024;
--a:#7f95a8;--b:#2fa59f;--phase:#66727d;--quiet:#3a434b;--mark:#e6e8ea;--on:#0e1113;--bad:#f2857c;--badwash:#2c1b1a;--warn:#d79a4a;
--s0:#2fa59f;--s1:#d79a4a;--s2:#a993dc;--s3:#8fa4b6}}
*{box-sizing:border-box}
html{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
body{margin:0}
main{max-width:64rem;margin:0 auto;padding:2.5rem 1.5rem 4rem}
h1,h2,h3,h4,p,dl,ul,figure,pre{margin:0}
header.page{margin-bottom:2.5rem}
h1{font-size:1.6rem;line-height:1.25;font-weight:600;letter-spacing:-.01em}
h2{font-size:1.25rem;line-height:1.3;font-weight:600}
h3{font-size:.95rem;font-weight:600;margin-bottom:.5rem}
h4{font-size:.85rem;font-weight:600;margin:.9rem 0 .35rem}
.sentence{font-size:1.35rem;line-height:1.4;font-weight:500;letter-spacing:-.005em;max-width:46rem;margin:.35rem 0 1.1rem;overflow-wrap:anywhere}
article .sentence{text-wrap:pretty}
p.sentence{font-size:1.12rem}
.eyebrow+h2{margin-top:.5rem}.eyebrow{font-size:.85rem;color:var(--soft);overflow-wrap:anywhere}
.outcome{display:inline-block;font-weight:600;color:var(--paper);background:var(--soft);border-radius:3px;padding:0 .45em;margin-right:.35em}
.outcome.committed{background:var(--b)}.outcome.failed,.outcome.stuck{background:var(--bad)}.outcome.rolled-back{background:var(--warn)}
.mono,.code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.86em}
.code{color:var(--soft)}
article,section.text{border-top:1px solid var(--rule);padding-top:2rem;margin-top:2.5rem}
main>:first-child{border-top:0;padding-top:0;margin-top:0}
article>section{margin-top:1.8rem}
section.text>p{max-width:46rem;margin:.5rem 0}
.facts{display:flex;flex-wrap:wrap;gap:.5rem 2rem}
.facts.wide{display:block;margin-bottom:.8rem}
.facts.wide>div{display:grid;grid-template-columns:6rem 1fr;margin:.15rem 0}
.facts.wide dt{padding-top:.1em}
dt{font-size:.78rem;color:var(--soft)}dd{margin:0;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.hash{overflow-wrap:anywhere;word-break:break-all}
figure{margin-top:1.6rem}
figcaption{font-size:.85rem;color:var(--soft);margin-bottom:.4rem}
.chart{display:grid;grid-template-columns:max-content minmax(0,1fr) max-content;column-gap:.9rem;font-size:.82rem}
.names>div,.values>div{height:26px;line-height:26px;white-space:nowrap}
.names>div{max-width:11rem;overflow:hidden;text-overflow:ellipsis}.values{color:var(--soft);text-align:right;font-variant-numeric:tabular-nums}
.chart svg{display:block;overflow:visible}.chart svg.cut{overflow:hidden}
.chart text{font:11px system-ui,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--soft)}
.chart text.mark{fill:var(--ink);font-weight:600}.chart text.bad{fill:var(--bad);font-weight:600}
.chart text.in{fill:var(--on);font-weight:600}
line.grid{stroke:var(--rule);stroke-width:1;vector-effect:non-scaling-stroke}
line.mark{stroke:var(--mark);stroke-width:1.25}line.bad{stroke:var(--bad);stroke-width:1.25}
.bar{fill:var(--phase)}.edge{stroke:var(--phase);stroke-width:3}
.bar.a{fill:var(--a)}.edge.a{stroke:var(--a)}.bar.b{fill:var(--b)}.edge.b{stroke:var(--b)}
.bar.quiet{fill:var(--quiet)}.edge.quiet{stroke:var(--quiet)}
.bar.undone{fill:var(--paper);stroke:var(--phase);stroke-width:1.25}.edge.undone{stroke:var(--phase)}
.bar.failed{fill:var(--bad)}.edge.failed{stroke:var(--bad)}
.bar.interrupted{fill:none;stroke:var(--warn);stroke-width:1.25;stroke-dasharray:3 2}.edge.interrupted{stroke:var(--warn)}
.bar.under-way{fill:var(--quiet);stroke:var(--soft);stroke-width:1;stroke-dasharray:3 2}
.latency{margin-top:14px}
.scale{position:relative;margin-top:14px}.scale span{position:absolute;right:0;transform:translateY(-50%);font-size:11px;color:var(--soft);font-variant-numeric:tabular-nums}
.unit{margin-top:8px;font-size:11px;color:var(--soft);max-width:5.5rem}
.dots{fill:none;stroke-width:3.5;stroke-linecap:round;vector-effect:non-scaling-stroke}
.dots.s0{stroke:var(--s0)}.dots.s1{stroke:var(--s1)}.dots.s2{stroke:var(--s2)}.dots.s3{stroke:var(--s3)}
line.failure{stroke:var(--bad);stroke-width:2}
.legend{grid-column:1/-1;margin-top:6px;color:var(--soft);display:flex;flex-wrap:wrap;gap:0 1.2rem;overflow-wrap:anywhere}
.legend i{display:inline-block;width:8px;height:8px;border-radius:50%;margin-right:.45em;background:var(--s0)}
.legend i.s1{background:var(--s1)}.legend i.s2{background:var(--s2)}.legend i.s3{background:var(--s3)}
.legend b,td.bad{color:var(--bad);font-weight:600}
.scroll{overflow-x:auto}figure+.scroll{margin-top:1.2rem}
table{border-collapse:collapse;font-size:.88rem}
th{font-weight:500;color:var(--soft);text-align:left;font-size:.8rem}
th,td{padding:.28rem 1.4rem .28rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
td{overflow-wrap:break-word;font-variant-numeric:tabular-nums}
.n{text-align:right}td.n{white-space:nowrap}th{white-space:nowrap}th{vertical-align:bottom}
.sum td{font-weight:600;border-bottom:0}
ul{padding-left:1.1rem}.note{font-size:.85rem;color:var(--soft);margin-top:.4rem}
.failure{background:var(--badwash);border-left:3px solid var(--bad);padding:.9rem 1.1rem}
.failure .message{font-weight:500;overflow-wrap:anywhere}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--wash);padding:.7rem .9rem;line-height:1.45}
.failure pre{background:none;padding:0}
details{margin-top:1rem;font-size:.88rem;color:var(--soft)}summary{cursor:pointer}details pre{margin-top:.6rem;color:var(--ink)}
@media (max-width:36rem){html{font-size:14px}main{padding:1.2rem 1rem 3rem}.chart{column-gap:.55rem;font-size:.76rem}.tick.odd{display:none}th,td{padding-right:.9rem}h1,.sentence{font-size:1.15rem}th{white-space:normal;min-width:2.6rem}.names>div{max-width:5.4rem}.facts{gap:.4rem 1.3rem}.facts.wide>div{grid-template-columns:1fr}}
@media print{:root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#444;--rule:#ccc;--wash:#f5f6f7;--a:#5b7083;--b:#0b7a75;--phase:#9aa7b3;--quiet:#cfd6dc;--mark:#000;--on:#fff;--bad:#b3261e;--badwash:#fff;--warn:#96590b;--s0:#0b7a75;--s1:#a15c07;--s2:#6a4fa3;--s3:#5b7083}
html{font-size:11px}main{max-width:none;padding:0}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}figure,tr,.failure,header{break-inside:avoid}article{break-before:page}main>:first-child{break-before:auto}details{display:none}}
`);
