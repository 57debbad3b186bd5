// How an answer looks: what markdown.js makes, in an element of the class `answer`. The colours and
// fonts are custom properties of whoever shows it.

export const ANSWER_CSS = `
.answer { overflow-wrap: anywhere; counter-reset: tmlEqnNo; }
.answer > :first-child { margin-top: 0; }
.answer > :last-child { margin-bottom: 0; }
.answer :is(p, ul, ol, pre, blockquote, .code, .table) { margin: 0 0 0.8rem; }
.answer :is(h3, h4, h5, h6) { margin: 1.25rem 0 0.4rem; font: 600 1.0625rem/1.35 var(--serif); }
.answer h3 { font-size: 1.1875rem; }
.answer :is(ul, ol) { padding-inline-start: 1.6rem; }
.answer li { margin-block: 0.25rem; }
.answer li > :is(ul, ol, p, .code, .table) { margin-block: 0.35rem; }
.answer .task { list-style: none; }
.answer .task input { margin-inline: -1.35rem 0.35rem; vertical-align: -0.1em; }
.answer blockquote { padding-inline-start: 0.85rem; border-inline-start: 3px solid var(--line); color: var(--muted); }
.answer blockquote > :last-child { margin-bottom: 0; }
.answer hr { margin: 1.25rem 0; border: 0; border-top: 1px solid var(--line); }

/* Languages whose letters hang from a line, or stand above one another, need more room. */
.answer > [dir="rtl"] { line-height: 1.8; }

.answer code { padding: 0.1em 0.3em; border-radius: 0.25rem; background: var(--code); font: 0.9em/1.5 var(--mono); }
.answer .code { overflow: hidden; border-radius: 0.5rem; background: var(--code); }
.answer .code > div { display: flex; align-items: center; justify-content: space-between; padding-inline-start: 0.9rem; color: var(--muted); font: 0.8125rem/1.4 var(--sans); }
.answer .code button { min-height: 2rem; padding: 0.2rem 0.9rem; border: 0; background: none; color: inherit; font: inherit; cursor: pointer; }
.answer .code button:focus-visible, .answer .code pre:focus-visible { outline-offset: -2px; }
.answer .code pre { overflow-x: auto; margin: 0; padding: 0.15rem 0.9rem 0.75rem; }
.answer pre code { display: block; width: fit-content; padding: 0; background: none; font-size: 0.8125rem; overflow-wrap: normal; white-space: pre; }

.answer .table { overflow-x: auto; }
.answer table { border-collapse: collapse; font-size: 0.9375em; overflow-wrap: normal; }
.answer :is(th, td) { min-width: 3rem; padding: 0.35rem 0.65rem; border: 1px solid var(--line); text-align: -webkit-match-parent; text-align: match-parent; vertical-align: top; }
.answer th { background: var(--code); font-weight: 600; }
.answer :is(th, td).left { text-align: left; }
.answer :is(th, td).center { text-align: center; }
.answer :is(th, td).right { text-align: right; }

/* Nothing that a formula holds is drawn outside its place. */
.answer .math { display: inline-block; max-width: 100%; overflow: clip; overflow-clip-margin: 0.3em; }
.answer .display { display: block; overflow: auto hidden; padding-block: 0.2rem; text-align: center; }
.answer .math > code { white-space: pre-wrap; }
.answer .display > code { display: block; padding: 0.5rem 0.9rem; border-radius: 0.5rem; text-align: left; }
.answer .display > math { display: block; width: 100%; }

/* The number of a source: small, and yet 24 pixels to tap. Those areas meet, and do not overlap. */
.citation {
  position: relative;
  display: inline-block;
  min-width: 1.25rem;
  margin-inline: 0.125rem;
  padding-inline: 0.3rem;
  border: 1px solid var(--line);
  border-radius: 0.4rem;
  background: var(--code);
  font: 600 0.75rem/1rem var(--sans);
  text-align: center;
  text-decoration: none;
  vertical-align: 0.2em;
}
.citation::after { position: absolute; inset: -0.25rem -0.1875rem; content: ""; }

@media (hover: hover) {
  .citation:hover { border-color: var(--accent); }
  .answer .code button:hover { color: var(--accent); }
}
@media (pointer: coarse) {
  .answer .code button { min-height: 2.75rem; }
}
@media print {
  .answer .code button { display: none; }
  .answer :is(pre, .table, .display) { overflow: visible; }
  .answer pre code { width: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
}
`;
