// What the reader has selected, as text: prose in whole words, code and its indentation as it is,
// formulas as the TeX that they were made of. Never changes the page or the selection.

/** The longest passage that the backend takes, in code points. */
export const MAX_PASSAGE = 20_000;

// A selection is made when it has not changed for this long.
const SETTLED_MS = 200;

const FORMULA = '.katex, mjx-container, math, script[type^="math/tex"], img.math';
// What is drawn beside the text or instead of it. Most of it cannot be selected anyway.
const NO_TEXT = 'script, style, template, button, select, textarea, svg, textbook-chat, [aria-hidden=true], [role=tab], '
  + '.tabbed-labels, .hash-link, .headerlink, .header-anchor, .linenos, .lineno, .MathJax, .MathJax_Display, .MathJax_Preview, '
  + '[role=doc-noteref], [data-footnote-ref], .footnote-ref, .footnote-reference, a.footnote, sup.footnote, '
  + '[role=doc-backlink], [data-footnote-backref], .footnote-backref, .footnote-back';
const GROUP = 'table, ul, ol, dl';
const CODE = 'pre, code, kbd, samp';

/** `{ text, range, rect, tooLong }`, `rect` where the selection ends; null if nothing is selected. */
export function passageOf(selection, article) {
  if (!article || !selection?.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0).cloneRange();
  if (!range.intersectsNode(article)) return null;
  if (range.comparePoint(article, 0) === 0) range.setStart(article, 0);
  if (range.comparePoint(article, article.childNodes.length) === 0) range.setEnd(article, article.childNodes.length);
  grow(range);
  const pieces = [...leaves(range, article)];
  const text = join(pieces);
  const solid = pieces.filter((piece) => piece.node && piece.text.trim());
  if (!solid.length) return null;
  // Not the blank beginning of the next paragraph, which a triple click selects, too.
  const { node: first, from } = solid[0];
  const { node: last, to } = solid.at(-1);
  if (first.data) range.setStart(first, from);
  else range.setStartBefore(first);
  if (last.data) range.setEnd(last, to);
  else range.setEndAfter(last);
  const rect = [...range.getClientRects()].at(-1) ?? range.getBoundingClientRect();
  return { text, range, rect, tooLong: text.length > MAX_PASSAGE && [...text].length > MAX_PASSAGE };
}

/**
 * Calls `onChange` with the passage when a selection in `article()` has been made, by whatever means,
 * and with null when there is none any more; until `signal`.
 */
export function watchSelection({ article, onChange, signal }) {
  let timer = null;
  let pressed = false;
  let known; // not yet whether there is one

  function soon({ type }) {
    if (type === 'mousedown') pressed = true;
    else if (type !== 'selectionchange') pressed = false;
    clearTimeout(timer);
    timer = setTimeout(settled, SETTLED_MS);
  }

  function settled() {
    if (pressed) return; // it is being dragged
    const next = passageOf(getSelection(), article());
    if (next || known !== null) onChange(next);
    known = next;
  }

  for (const type of ['selectionchange', 'mousedown', 'mouseup', 'dragend', 'touchend']) {
    document.addEventListener(type, soon, { signal, capture: true, passive: true });
  }
  signal?.addEventListener('abort', () => clearTimeout(timer));
}

// ---- Whole words

function grow(range) {
  const start = word(range.startContainer, range.startOffset);
  if (start) range.setStart(range.startContainer, start.index);
  const end = word(range.endContainer, range.endOffset - 1);
  if (end) range.setEnd(range.endContainer, end.index + end.segment.length);
}

function word(node, at) {
  if (!node.data || at < 0 || !Intl.Segmenter || node.parentElement.closest(CODE)) return null;
  const found = new Intl.Segmenter(undefined, { granularity: 'word' }).segment(node.data).containing(at);
  return found?.isWordLike ? found : null;
}

// ---- Text

/**
 * The pieces of text in `range`, in order: `{ text, node, from, to }`, with `node` the text (and
 * where in it) or the formula that it is of, null for what only stands between two blocks.
 */
export function* leaves(range, article) {
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) => {
    if (!range.intersectsNode(node)) return NodeFilter.FILTER_REJECT;
    return !node.data && !isFormula(node) && isNoText(node) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT;
  });
  let last = null; // the block of the leaf before
  let formula = null;
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (formula?.contains(node)) continue;
    const pre = (node.data ? node.parentElement : node).closest('pre');
    let text = '';
    let from = 0;
    let to = 0;
    if (node.nodeType === Node.TEXT_NODE) {
      from = node === range.startContainer ? range.startOffset : 0;
      to = node === range.endContainer ? range.endOffset : node.length;
      text = node.data.slice(from, to);
      if (!pre) text = text.replace(/\s+/g, ' ');
    } else if (isFormula(node)) {
      formula = node;
      text = tex(node);
    } else if (node.localName === 'br') {
      text = '\n';
    }
    if (!text) continue;
    const block = pre ?? blockOf(node);
    if (block !== last) {
      if (!pre && !text.trim()) continue; // between two blocks
      if (last) yield { text: between(last, block, article), node: null };
      last = block;
    }
    yield { text, node, from, to, pre };
  }
}

function join(pieces) {
  let text = '';
  let prose = '';
  const flush = () => {
    text += prose.replace(/ +/g, ' ').replace(/ ?\n ?/g, '\n').replace(/^ | $/g, '');
    prose = '';
  };
  for (const piece of pieces) {
    if (piece.node && !piece.pre) {
      prose += piece.text;
      continue;
    }
    flush();
    text = (piece.node ? text : text.trimEnd()) + piece.text;
  }
  flush();
  return text.replaceAll('\u200b', '').replace(/^\s*\n/, '').trimEnd();
}

function between(before, after, article) {
  const row = before.closest('tr');
  if (row && row === after.closest('tr') && article.contains(row)) return ' | ';
  const together = [before, after].some((block) => {
    const group = block.closest(GROUP);
    return group && group.contains(before) && group.contains(after) && article.contains(group);
  });
  return together ? '\n' : '\n\n';
}

function blockOf(node) {
  let block = node.parentElement;
  while (/^(inline|contents|ruby|math)/.test(getComputedStyle(block).display)) block = block.parentElement;
  return block;
}

function isFormula(node) {
  return node.nodeType === Node.ELEMENT_NODE && node.matches(FORMULA);
}

function tex(formula) {
  const source = formula.localName === 'script' ? formula : formula.querySelector('annotation[encoding*=tex]');
  const text = (source ?? formula.querySelector('math') ?? formula).textContent || formula.alt || '';
  const display = formula.matches('.katex-display *, [display=true], [display=block], [type*=display]');
  const mark = display ? '$$' : '$';
  return text && mark + text.trim() + mark;
}

function isNoText(element) {
  if (element.matches(NO_TEXT) || element.checkVisibility?.() === false) return true;
  const { userSelect, position } = getComputedStyle(element);
  // The last is text for screen readers alone.
  return userSelect === 'none' || (position === 'absolute' && element.offsetWidth < 2);
}
