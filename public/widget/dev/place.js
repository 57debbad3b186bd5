// Places in the book: leads the reader back to a passage, and marks where they have arrived, for two
// seconds. Nothing of the page's own tree is changed: the mark is a highlight of the browser's.

import { leaves } from './passage.js';

const NAME = 'textbook-chat';
const SHOWN_MS = 2_000;

let sheet = null;
let timer = null;

/** Shows a passage (`{ text, range }` or its text) in the article; false if it is not there. */
export function leadBack(passage, article) {
  const { text, range } = typeof passage === 'string' ? { text: passage } : passage;
  const there = range && !range.collapsed && range.startContainer.isConnected;
  const found = there ? range : article && find(text, article);
  if (!found) return false;
  const { startContainer } = found;
  show(startContainer.nodeType === Node.TEXT_NODE ? startContainer.parentElement : startContainer);
  mark(found);
  return true;
}

/** Marks what the address points to: the heading, if it is a section's. */
export function markTarget(hash = location.hash) {
  const target = document.getElementById(decode(hash.slice(1)));
  if (!target) return false;
  const heading = 'h1, h2, h3, h4, h5, h6';
  // An empty anchor stands in its heading, or before it.
  const marked = target.querySelector(heading) ?? target.closest(heading)
    ?? (target.textContent ? target : target.nextElementSibling ?? target.parentElement);
  const { top, bottom } = marked.getBoundingClientRect();
  if (bottom < 0 || top > innerHeight) show(marked);
  const range = document.createRange();
  range.selectNodeContents(marked);
  mark(range);
  return true;
}

function show(element) {
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  element.scrollIntoView({ block: 'center', behavior: calm ? 'instant' : 'smooth' });
}

function mark(range) {
  if (!globalThis.Highlight) {
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return;
  }
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(`::highlight(${NAME}) { background-color: Mark; color: MarkText }`);
  }
  clear();
  CSS.highlights.set(NAME, new Highlight(range));
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  timer = setTimeout(clear, SHOWN_MS);
}

function clear() {
  clearTimeout(timer);
  CSS.highlights.delete(NAME);
  document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
}

// The text of the article is made as that of the passage was. White space may differ, for it
// depends on where a passage begins and ends.
function find(text, article) {
  const all = document.createRange();
  all.selectNodeContents(article);
  const places = []; // of each character: its piece, and where in it
  let whole = '';
  for (const piece of leaves(all, article)) {
    const data = piece.node?.data?.slice(piece.from) ?? piece.text;
    for (let at = 0; at < data.length; at += 1) {
      if (/[\s\u200b]/.test(data[at])) continue;
      whole += data[at];
      places.push([piece.node, piece.from + at]);
    }
  }
  const sought = text.replace(/[\s\u200b]+/g, '');
  const at = whole.indexOf(sought);
  if (at < 0 || !sought) return null;
  const [first, from] = places[at];
  const [last, to] = places[at + sought.length - 1];
  if (!first || !last) return null;
  if (first.data) all.setStart(first, from);
  else all.setStartBefore(first);
  if (last.data) all.setEnd(last, to + 1);
  else all.setEndAfter(last);
  return all;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
