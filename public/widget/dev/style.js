// How the panel looks: calm and bookish. An answer's own style is answer-css.js.

// Constructed sheets pass any Content-Security-Policy. A `rem` would be the site's, which may be
// anything; here it is what the reader has chosen in the browser.
export function sheet(css, box) {
  const rem = parseFloat(getComputedStyle(box).fontSize) || 16;
  const made = new CSSStyleSheet();
  made.replaceSync(css.replace(/([\d.]+)rem\b/g, (all, number) => `${number * rem}px`));
  return made;
}

export const CSS = `
.box {
  --serif: var(--textbook-chat-serif, "Iowan Old Style", Charter, "Palatino Linotype", Palatino, "Book Antiqua", P052, "URW Palladio L", Georgia, "Noto Serif", "Noto Nastaliq Urdu", "Liberation Serif", serif);
  --sans: var(--textbook-chat-font, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif);
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
  --radius: var(--textbook-chat-radius, 0.75rem);
  /* Every pair of text and ground that occurs has a contrast of 4.5 : 1 or more. */
  --paper: var(--textbook-chat-paper, #f7f2e7);
  --desk: var(--textbook-chat-desk, #fdfbf6);
  --ink: var(--textbook-chat-ink, #2a2520);
  --muted: var(--textbook-chat-muted, #665c4f);
  --line: var(--textbook-chat-line, #e0d8c7);
  --border: #8f8471;
  --accent: var(--textbook-chat-accent, var(--site));
  --on-accent: var(--textbook-chat-on-accent, #fff);
  --bubble: var(--textbook-chat-bubble, #ece6d8);
  --code: var(--textbook-chat-code, #f1ece0);
  --alarm: var(--textbook-chat-alarm, #8c2b1a);
  --alarm-ground: color-mix(in srgb, var(--alarm) 9%, var(--desk));
  color-scheme: light;
}
.box.dark {
  --lit: #8ecac9;
  --accent: var(--textbook-chat-accent, var(--lit));
  --paper: var(--textbook-chat-paper, #1a1815);
  --desk: var(--textbook-chat-desk, #211e1a);
  --ink: var(--textbook-chat-ink, #e9e2d5);
  --muted: var(--textbook-chat-muted, #aba091);
  --line: var(--textbook-chat-line, #38332c);
  --border: #7d7364;
  --on-accent: var(--textbook-chat-on-accent, #10282a);
  --bubble: var(--textbook-chat-bubble, #302b25);
  --code: var(--textbook-chat-code, #2b2722);
  --alarm: var(--textbook-chat-alarm, #f4b3a2);
  color-scheme: dark;
}
@supports (color: oklch(from red l c h)) {
  .box.dark { --lit: oklch(from var(--ifm-color-primary, var(--md-primary-fg-color, #8ecac9)) max(l, 0.74) min(c, 0.12) h); }
}

*, *::before, *::after { box-sizing: border-box; }
.panel {
  position: fixed;
  z-index: var(--textbook-chat-z, 390);
  inset-block-end: 1rem;
  inset-inline-end: 1rem;
  display: flex;
  flex-direction: column;
  width: min(26rem, 100vw - 2rem);
  height: min(44rem, 100dvh - 2rem);
  overflow: hidden;
  border: 1px solid var(--line);
  border-radius: var(--radius);
  background: var(--desk);
  box-shadow: 0 1px 3px rgb(0 0 0 / 0.12), 0 12px 40px rgb(0 0 0 / 0.22);
  color: var(--ink);
  font: 0.9375rem/1.55 var(--sans);
  overflow-wrap: break-word;
  text-size-adjust: 100%;
  -webkit-text-size-adjust: 100%;
}
.start .panel { inset-inline: 1rem auto; }
:host([inline]) .box { display: block; height: 100%; }
.panel.inline { position: static; width: 100%; height: 100%; box-shadow: none; }
.panel:focus { outline: 0; }
.scrim { position: fixed; inset: 0; z-index: var(--textbook-chat-z, 390); background: rgb(0 0 0 / 0.4); touch-action: none; }
.panel.sheet {
  inset-inline: 0;
  inset-block-end: var(--hidden, 0);
  width: auto;
  height: var(--visible, 85dvh);
  border-width: 1px 0 0;
  border-radius: 1rem 1rem 0 0;
}
.panel.peek { height: auto; }
.peek :is(.main, .earlier, h2) { display: none; }

.main, .earlier { display: flex; flex: 1; flex-direction: column; min-height: 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
::selection { background: color-mix(in srgb, var(--accent) 28%, var(--desk)); }
a { color: var(--accent); text-underline-offset: 0.15em; }
p, ul, ol, h2, blockquote { margin: 0; padding: 0; }
:is(.welcome, .sources, .earlier) :is(ul, ol) { list-style: none; }
.ears { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

button:not(.launcher) {
  min-height: 2.25rem;
  padding: 0.35rem 0.85rem;
  border: 1px solid var(--border);
  border-radius: 0.5rem;
  background: transparent;
  color: inherit;
  font: inherit;
  line-height: 1.3;
  cursor: pointer;
  user-select: none;
  -webkit-user-select: none;
}
button:not(.launcher):disabled { border-style: dashed; color: var(--muted); cursor: default; }
button.quiet { border-color: transparent; color: var(--muted); }
button.link:not(.launcher) { min-height: 1.5rem; padding: 0; border: 0; color: var(--accent); text-align: start; text-decoration: underline; text-underline-offset: 0.15em; }
button.alarm { border-color: var(--alarm); color: var(--alarm); }
button.quiet.alarm { border-color: transparent; }
button.primary { border-color: var(--accent); background: var(--accent); color: var(--on-accent); }
.icon { display: block; width: 1.25rem; height: 1.25rem; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; }
.icon-stop { fill: currentColor; }
.icon-back:dir(rtl) { scale: -1 1; }

.head {
  display: flex;
  flex: none;
  align-items: center;
  gap: 0.5rem;
  min-height: 3.25rem;
  padding: 0.3rem 0.5rem 0.3rem 1.1rem;
  border-block-end: 1px solid var(--line);
}
.head:dir(rtl) { padding: 0.3rem 1.1rem 0.3rem 0.5rem; }
.head h2 { flex: 1; min-width: 0; overflow: hidden; font: 600 1.125rem/1.5 var(--serif); text-overflow: ellipsis; white-space: nowrap; }
.tools { display: flex; }
.tools button { width: 2.5rem; min-height: 2.5rem; padding: 0.6rem; }
.head .expand { display: none; flex: 1; padding-inline: 0; text-align: start; }
.peek .head .expand { display: block; }
.sheet .head { position: relative; padding-block-start: 0.9rem; touch-action: none; cursor: grab; }
.sheet .head::before { position: absolute; inset-block-start: 0.45rem; inset-inline: calc(50% - 1.25rem); height: 0.25rem; border-radius: 1rem; background: var(--border); content: ""; }

.log { flex: 1; min-height: 0; padding: 1.1rem; overflow-y: auto; overscroll-behavior: contain; overflow-anchor: none; outline-offset: -3px; }
.aside { display: flex; flex-wrap: wrap; column-gap: 0.6rem; margin-block-end: 1rem; color: var(--muted); font-size: 0.875rem; }
.more button { display: block; margin: 0 auto 1.25rem; border-color: var(--line); color: var(--accent); }
.latest-place { position: relative; }
.latest-place .latest { position: absolute; inset-block-end: 0.6rem; inset-inline-start: calc(50% - 1.1rem); width: 2.25rem; padding: 0.45rem; border-color: var(--line); border-radius: 50%; background: var(--desk); box-shadow: 0 2px 8px rgb(0 0 0 / 0.18); }
.welcome { color: var(--muted); }
.welcome .lead { margin-block: 0.4rem 0.35rem; color: var(--ink); font: 600 1.3125rem/1.35 var(--serif); text-wrap: balance; }
.welcome ul { display: grid; justify-items: start; gap: 0.5rem; margin-block-start: 1.2rem; }
.example { border-color: var(--line) !important; color: var(--ink) !important; text-align: start; }

.turn + .turn { margin-block-start: 1.6rem; }
.question { position: relative; width: fit-content; max-width: 92%; margin-inline-start: auto; padding: 0.55rem 0.85rem; border-radius: 0.9rem 0.9rem 0.2rem 0.9rem; background: var(--bubble); }
.question:dir(rtl) { border-radius: 0.9rem 0.9rem 0.9rem 0.2rem; }
.question-text { white-space: pre-wrap; }
.quote { padding-inline-start: 0.75rem; border-inline-start: 3px solid var(--accent); color: var(--muted); font: italic 0.9375rem/1.5 var(--serif); white-space: pre-line; }
.question .quote { color: inherit; }
.quote.folded { display: -webkit-box; overflow: hidden; -webkit-box-orient: vertical; -webkit-line-clamp: 4; line-clamp: 4; }
.quote-actions { display: flex; flex-wrap: wrap; column-gap: 1rem; margin-block: 0.15rem 0.45rem; font-size: 0.8125rem; }
.quote-actions button { display: inline-flex; align-items: center; gap: 0.2rem; }
.quote-actions .icon { width: 0.9rem; height: 0.9rem; }

.thinking { display: flex; align-items: center; gap: 0.6rem; margin-block-start: 0.9rem; color: var(--muted); }
.dots { display: inline-flex; gap: 0.25rem; }
.dots i { width: 0.4rem; height: 0.4rem; border-radius: 50%; background: currentColor; opacity: 0.55; }
.reply { position: relative; margin-block-start: 0.9rem; }
.answer { white-space: pre-wrap; }
.answer:has(*) { white-space: normal; }
.sources { margin-block-start: 0.9rem; padding-block-start: 0.6rem; border-block-start: 1px solid var(--line); font-size: 0.875rem; }
.sources p { color: var(--muted); font: 600 0.8125rem/1.5 var(--serif); }
.sources a { display: flex; gap: 0.5rem; align-items: baseline; padding-block: 0.2rem; text-decoration: none; }
.sources .number { flex: none; min-width: 1.25rem; border: 1px solid var(--line); border-radius: 0.4rem; background: var(--code); font: 600 0.75rem/1.1rem var(--sans); text-align: center; }

.ending { display: flex; flex-wrap: wrap; align-items: center; gap: 0 0.6rem; min-height: 2rem; margin-block-start: 0.35rem; color: var(--muted); font-size: 0.8125rem; }
.ending-text:empty { display: none; }
.judging { display: flex; margin-inline: auto -0.4rem; }
.judging button { width: 2rem; min-height: 2rem; padding: 0.45rem; }
.judging .icon { width: 1.05rem; height: 1.05rem; }
.negative .icon { rotate: 180deg; }
[aria-pressed="true"] { color: var(--accent) !important; }
[aria-pressed="true"] .icon { fill: color-mix(in srgb, var(--accent) 30%, transparent); }

.failure { margin-block-start: 0.9rem; padding: 0.75rem 0.9rem; border-inline-start: 3px solid var(--alarm); border-radius: 0.35rem; background: var(--alarm-ground); }
.failure.calm { border-color: var(--border); background: var(--code); }
.failure:not(.calm) .failure-text { color: var(--alarm); }
.failure-wait:empty { display: none; }
.failure-wait { font-variant-numeric: tabular-nums; }
.failure-details { padding-inline-start: 1.1rem; list-style: disc; }
.failure-actions { display: flex; flex-wrap: wrap; gap: 0.5rem; margin-block-start: 0.6rem; }
.failure-id { margin-block-start: 0.6rem; font-size: 0.8125rem; }
.failure-id code { font-family: var(--mono); overflow-wrap: anywhere; user-select: all; -webkit-user-select: all; }

.composer { flex: none; max-height: 60%; padding: 0.7rem 1rem max(0.6rem, env(safe-area-inset-bottom)); overflow-y: auto; border-block-start: 1px solid var(--line); }
.composer-quote { display: flex; align-items: flex-start; justify-content: space-between; gap: 0.5rem; margin-block-end: 0.6rem; }
.composer-quote .quote { max-height: 4.5em; overflow-y: auto; }
.composer-quote button { flex: none; width: 2.25rem; margin-block: -0.3rem; padding: 0.45rem; }
.composer-row { display: flex; align-items: flex-end; gap: 0.5rem; }
.composer-row button { flex: none; width: 2.6rem; min-height: 2.6rem; padding: 0.6rem; border-radius: 50%; }
textarea { flex: 1; min-width: 0; min-height: 2.6rem; max-height: min(11rem, 30dvh); margin: 0; padding: 0.5rem 0.75rem; border: 1px solid var(--border); border-radius: 0.6rem; background: var(--paper); color: inherit; font: 1rem/1.5 var(--sans); resize: none; }
textarea::placeholder { color: var(--muted); opacity: 1; }
textarea:focus-visible { outline-offset: 0; }
.note { margin-block-start: 0.4rem; color: var(--muted); font-size: 0.875rem; }
.note:empty { display: none; }
.note.over { color: var(--alarm); }
.hint { margin-block-start: 0.45rem; color: var(--muted); font-size: 0.75rem; line-height: 1.4; }

.earlier { overflow-y: auto; padding: 0.5rem 0.6rem 1rem; }
.earlier-head button { display: flex; align-items: center; gap: 0.3rem; }
.earlier li { display: flex; align-items: center; }
.earlier .open { display: block; flex: 1; min-width: 0; text-align: start; }
.earlier .open[aria-current] { background: var(--code); }
.title { display: block; overflow: hidden; color: var(--ink); text-overflow: ellipsis; white-space: nowrap; }
.earlier time { font-size: 0.8125rem; }
.earlier li > :last-child { flex: none; width: 2.5rem; padding: 0.6rem; }
.earlier-foot { display: flex; flex-wrap: wrap; justify-content: space-between; margin-block-start: 0.6rem; }
.earlier-foot .alarm { margin-inline-start: auto; }
.none { padding: 1rem; color: var(--muted); }
.confirm { max-width: min(24rem, 100vw - 2rem); padding: 1.2rem 1.4rem; border: 1px solid var(--line); border-radius: var(--radius); background: var(--desk); color: var(--ink); font: 0.9375rem/1.55 var(--sans); }
.confirm::backdrop { background: rgb(0 0 0 / 0.45); }
.confirm h2 { margin-block-end: 0.4rem; font: 600 1.125rem/1.4 var(--serif); }
.confirm-actions { display: flex; flex-wrap: wrap; justify-content: flex-end; gap: 0.6rem; margin-block-start: 1rem; }

.box .offer { position: fixed; inset: auto; margin: 0; border-color: var(--accent); background: var(--accent); box-shadow: 0 3px 12px rgb(0 0 0 / 0.25); color: var(--on-accent); font: 600 0.875rem/1.3 var(--sans); white-space: nowrap; }
.offer:popover-open { display: flex; align-items: center; gap: 0.4rem; }

@media (hover: hover) {
  button:not(.launcher, .primary, .offer, .link):enabled:hover { border-color: var(--line); color: var(--accent); }
  .sources a:hover, button.link:hover { text-decoration-thickness: 2px; text-decoration-line: underline; }
  :is(.launcher, .primary, .offer):hover { filter: brightness(1.08); }
}
@media (max-height: 30rem) {
  .hint, .latest { display: none; }
  .head { min-height: 2.5rem; }
  .composer { padding-block: 0.4rem; }
}
@media (hover: none) { .keys { display: none; } }
@media (pointer: coarse) {
  button:not(.launcher) { min-height: 2.75rem; }
  button.link:not(.launcher), .latest-place .latest, .judging button, .tools button, .composer-row button, .composer-quote button, .earlier li > :last-child { min-width: 2.75rem; min-height: 2.75rem; }
  .sources a { min-height: 2.75rem; align-items: center; }
}
@media (prefers-reduced-motion: no-preference) {
  .dots i { animation: breathe 1.4s ease-in-out infinite; }
  .dots i:nth-child(2) { animation-delay: 0.2s; }
  .dots i:nth-child(3) { animation-delay: 0.4s; }
  @keyframes breathe { 50% { opacity: 1; transform: translateY(-2px); } }
  .panel:not(.inline) { animation: rise 0.16s ease-out; }
  @keyframes rise { from { opacity: 0; translate: 0 0.75rem; } }
}
@media (forced-colors: active) {
  .icon-stop { fill: ButtonText; }
  [aria-pressed="true"] { outline: 1px solid Highlight; }
  .question, .failure, .primary { border: 1px solid; }
}
`;
