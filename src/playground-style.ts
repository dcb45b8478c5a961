/** The style of the playground, on top of what all pages have. */
export const PLAYGROUND_STYLE = `
/* What gets the focus must not end up under the bar. */
html { scroll-padding: 5rem 0 1rem; }
h1 { max-width: 80rem; margin: 0 auto; padding: .75rem 1.25rem 0; font-size: 1.35rem; }
h1 a { color: inherit; }
h2 { margin: 0; font-size: 1.05rem; }
h2 span {
  display: inline-grid; place-items: center; width: 1.6em; height: 1.6em; margin-right: .35em;
  border-radius: 50%; background: var(--line); font-size: .85em;
}

/* In view wherever the page is scrolled to: what every action changes. */
.bar {
  position: sticky; z-index: 1; top: 0; display: flex; align-items: center; gap: .5rem 1rem;
  max-width: 80rem; margin: 0 auto; padding: .5rem 1.25rem; background: var(--back);
}
#state {
  display: flex; align-items: center; gap: .5rem; margin: 0; padding: .2rem .8rem;
  border: 1px solid var(--line); border-radius: 99px; background: var(--card); font-weight: 600; line-height: 1.3;
}
#state::before { content: ""; flex: none; width: .7rem; height: .7rem; border-radius: 50%; background: var(--soft); }
#state[data-state="busy"]::before { background: var(--wait); }
#state[data-state="open"]::before { background: var(--wait); }
#state[data-state="subscribed"]::before { background: var(--good); }
#state[data-state="closed"]::before { background: var(--bad); }

dl { display: flex; gap: 1.25rem; margin: 0 0 0 auto; }
dl div { display: flex; align-items: baseline; gap: .4rem; }
dt { color: var(--soft); font-size: .9rem; }
dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }

main { max-width: 80rem; margin: 0 auto; padding: .25rem 1.25rem 2rem; }
.columns { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); gap: 1rem; }
.steps { display: grid; gap: 1rem; align-content: start; }
section, details { padding: 1rem; border: 1px solid var(--line); border-radius: .75rem; background: var(--card); }
main > details { margin-top: 1rem; }
form { margin-top: .75rem; }
.row { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem; }
.row > input { flex: 1 1 10rem; width: auto; min-width: 0; }
.row > .hint { flex: 1 1 12rem; margin: 0; }
section > .row, textarea + .row { margin-top: .75rem; }

label { display: block; margin: .75rem 0 .25rem; font-weight: 600; font-size: .9rem; }
form label:first-child { margin-top: 0; }
input, textarea {
  display: block; width: 100%; padding: .45rem .6rem;
  border: 1px solid var(--soft); border-radius: .4rem; background: var(--back); color: inherit; font-size: .875rem;
}
textarea { resize: vertical; overflow-wrap: anywhere; }
#token { word-break: break-all; }
::placeholder { color: var(--soft); opacity: 1; font-family: system-ui, sans-serif; }
button {
  min-height: 2.25rem; padding: .3rem .9rem; border: 1px solid var(--soft); border-radius: .4rem;
  background: var(--card); color: inherit; font: inherit; font-size: .9rem; font-weight: 600; cursor: pointer;
}
button:hover { border-color: var(--accent); color: var(--accent); }
button.primary { border-color: var(--accent); background: var(--accent); color: var(--on-accent); }
button.primary:hover { filter: brightness(1.1); }
button[aria-disabled="true"], button[aria-disabled="true"]:hover {
  border-color: var(--line); background: none; color: var(--soft); font-weight: 400; cursor: default; filter: none;
}

#break { margin-top: .5rem; }
.hint { margin: .35rem 0 0; color: var(--soft); font-size: .85rem; }
.claims { margin: .35rem 0 0; color: var(--soft); font-size: .85rem; overflow-wrap: anywhere; }
.claims:empty, .report:empty, #subscriptions:empty { display: none; }
.report {
  margin: .75rem 0 0; padding: .5rem .75rem; border-left: 4px solid var(--line); border-radius: .25rem;
  background: var(--back); overflow-wrap: anywhere;
}
.report[data-kind="good"] { border-color: var(--good); }
.report[data-kind="bad"] { border-color: var(--bad); }
.report strong { display: block; }

#subscriptions {
  display: flex; flex-wrap: wrap; gap: .4rem; max-height: 8rem; margin: .75rem 0 0; padding: 0;
  overflow: auto; list-style: none;
}
#subscriptions li {
  max-width: 100%; padding: .05rem .6rem; border: 1px solid var(--good); border-radius: 99px;
  font-size: .875rem; overflow-wrap: anywhere;
}

.log {
  position: sticky; top: 3.75rem; display: flex; flex-direction: column;
  height: calc(100vh - 6.5rem); min-height: 20rem;
}
.log > .row { justify-content: space-between; margin: 0; }
#log { flex: 1; min-height: 0; margin: .5rem 0 0; padding: 0; overflow: auto; list-style: none; }
#log li {
  display: grid; grid-template-columns: auto auto 1fr; gap: 0 .75rem; align-items: baseline;
  padding: .4rem .5rem; border-top: 1px solid var(--line); font-size: .85rem;
}
#log time, #log .size { color: var(--soft); font-variant-numeric: tabular-nums; }
#log .size { text-align: right; }
#log .direction { font-weight: 600; }
#log [data-kind="sent"] .direction { color: var(--accent); }
#log [data-kind="received"] .direction { color: var(--good); }
#log [data-kind="note"] { color: var(--soft); }
#log .text { grid-column: 1 / -1; margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
#log details { grid-column: 1 / -1; padding: 0; border: 0; background: none; }
#log summary { overflow-wrap: anywhere; }

summary { cursor: pointer; font-weight: 600; }
#log summary { font-weight: 400; }
table { width: 100%; margin-top: .75rem; border-collapse: collapse; font-size: .9rem; }
th, td { padding: .4rem .5rem; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
tbody th { min-width: 8rem; }
th span { display: block; font-weight: 400; }
tr.latest { background: var(--back); box-shadow: inset 4px 0 var(--bad); }

@media (max-width: 52rem) {
  main { padding: .75rem .75rem 2rem; }
  .columns { grid-template-columns: minmax(0, 1fr); }
  h1 { padding: .5rem .75rem 0; }
  .bar { padding: .5rem .75rem; border-bottom: 1px solid var(--line); }
  #state { padding: .2rem .6rem; font-size: .85rem; }
  dl { gap: .75rem; }
  dl div { flex-direction: column; align-items: flex-end; gap: 0; line-height: 1.2; }
  dt { font-size: .75rem; }
  .log { position: static; height: auto; min-height: 0; }
  #log { max-height: 70vh; }
  table, tbody, tr, td, tbody th { display: block; }
  thead { display: none; }
  tr { padding: .5rem; border-top: 1px solid var(--line); }
  td, tbody th { padding: 0; border: 0; }
  th span { display: inline; margin-left: .4rem; }
}
`;
