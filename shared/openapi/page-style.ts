/** The whole look of the page; nothing is fetched. */
export const PAGE_STYLE = `
:root{color-scheme:light dark;--text:#1d2733;--soft:#5b6775;--line:#dfe4ea;--back:#fff;--panel:#f5f7f9;--link:#0b5cad;--good:#1a7f4b;--bad:#b3352b;--way:#8a6100}
@media (prefers-color-scheme:dark){:root{--text:#e4e9ef;--soft:#9ba7b4;--line:#313a45;--back:#14191f;--panel:#1c232b;--link:#7ab8f5;--good:#4cc38a;--bad:#f2877d;--way:#e0b457}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;overflow-wrap:anywhere}
main,header,footer{max-width:54rem;margin:0 auto;padding:0 1rem}
header{padding-top:2rem}
footer{padding-block:2rem;color:var(--soft);font-size:.875rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 .25rem}
h2{font-size:1.375rem;margin:3rem 0 1rem;padding-bottom:.35rem;border-bottom:1px solid var(--line)}
h3{font-size:1.125rem;margin:0 0 .5rem}
h4{font-size:.8125rem;margin:1.5rem 0 .5rem;text-transform:uppercase;letter-spacing:.05em;color:var(--soft)}
p{margin:.6rem 0}
a{color:var(--link)}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.875em}
code{background:var(--panel);border-radius:.25rem;padding:.1em .3em}
pre{background:var(--panel);border:1px solid var(--line);border-radius:.5rem;padding:.75rem;overflow-x:auto;overflow-wrap:normal;line-height:1.45}
pre code{background:none;padding:0;font-size:.8125rem}
.version,.type,.about,.server,.closed{color:var(--soft)}
.about,.limits,.closed,.server{font-size:.9375rem}
.about{margin-top:.1rem}
nav{background:var(--panel);border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem;margin-top:1.5rem}
nav ul{list-style:none;margin:.25rem 0 .75rem;padding:0}
nav li{display:flex;gap:.6rem;align-items:baseline;padding:.2rem 0}
nav li a{text-decoration:none}
nav li a:hover{text-decoration:underline}
nav .group{font-weight:600}
article{border:1px solid var(--line);border-radius:.75rem;padding:1.1rem 1.1rem 1.25rem;margin:0 0 1.5rem;scroll-margin-top:1rem}
article:target{border-color:var(--link)}
.route{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center}
.route code{font-size:.9375rem}
.method,.status{display:inline-block;flex:none;border-radius:.3rem;padding:.05rem .45rem;font:600 .75rem/1.6 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;border:1px solid currentColor;vertical-align:middle}
nav .method{min-width:4.2rem;text-align:center}
.method{color:var(--link)}.method.post{color:var(--good)}.method.delete{color:var(--bad)}
.status.good{color:var(--good)}.status.bad{color:var(--bad)}.status.way{color:var(--way)}
.required{color:var(--bad);font-size:.75rem;font-weight:600;text-transform:none;letter-spacing:0}
.type{font-size:.875rem}
.members{list-style:none;margin:.25rem 0;padding:0}
.members>li{padding:.55rem 0;border-top:1px solid var(--line)}
.members>li:first-child{border-top:0}
.members .members,.alternatives>ul{margin-left:.25rem;padding-left:.85rem;border-left:2px solid var(--line)}
.limits{list-style:none;margin:.15rem 0;padding:0;color:var(--soft);display:flex;flex-wrap:wrap;gap:.1rem .9rem}
.alternatives p{margin:.4rem 0 .2rem;font-size:.9375rem;color:var(--soft)}
.alternatives>ul{list-style:none;margin-block:0}
.alternatives>ul>li{padding:.3rem 0}
.alternatives>ul>li+li{border-top:1px dashed var(--soft)}
.content{margin:.4rem 0}
.response{margin:.5rem 0;padding:.1rem 0}
details{margin:.5rem 0}
summary{cursor:pointer;color:var(--link);font-size:.9375rem}
@media (max-width:30rem){body{font-size:15px}article{padding:.9rem}h1{font-size:1.5rem}}
`
