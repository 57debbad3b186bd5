// Markdown to DOM nodes, for untrusted text: its blocks. The text in them is inline.js.
//
// Safe by construction: nodes come from createElement and text from text nodes; there is no
// innerHTML, so markup in an answer is only ever shown.
//
// It knows what answers use; anything else stays text. It must cope with half an answer, because
// it is called again with every piece of a stream.

import { copyButton, direction, formula, inline, isTex, leftToRight, make, MAX_DEPTH } from './inline.js';

// No answer is longer; what is all the same is shown as text from here on.
const MAX_LENGTH = 200_000;

// In English; callers may have them in another language.
const WORDS = { copyCode: 'Copy code', copied: 'Copied', source: 'Source {n}', table: 'Table' };

const FENCE = /^\s*(`{3,}(?=[^`]*$)|~{3,})\s*(\S{0,40})/;
const MATH = /^\s*(\$\$|\\\[)(?!.*(?:\$\$|\\\])[.,;:]?\s*[^\s.,;:])/;
const FORMULA = /^\s*(?:\$\$([^]+)\$\$|\\\[([^]+)\\\])([.,;:]?)\s*$/;
const HEADING = /^ {0,3}(#{1,6})\s/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const DELIMITERS = /^(?:\|\s*)?:?-+:?(?:\s*\|\s*:?-+:?)*(?:\s*\|)?$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])(?:\s+|$)/;
const TASK = /^\[([ xX])\]\s/;

// `options`: `base`, what relative links are relative to; `sources`, the [{ id, title, url }] that
// may be cited; `words`, WORDS in another language; `onCopy(text)`, called when code was copied.
export function renderMarkdown(text, options) {
  const fragment = document.createDocumentFragment();
  for (const { node } of parse(lined(text), 0, start(options))) fragment.append(node);
  return fragment;
}

const grown = new WeakMap(); // element → the text it shows, and where its blocks begin

// The same, for an answer that is still growing: what has not changed stays, and so does what a
// reader has selected, focused or scrolled in it.
export function growMarkdown(element, text, options) {
  const all = lined(text);
  const cited = options?.sources?.length;
  const old = grown.get(element);
  const grows = old && old.cited === cited && all.startsWith(old.all)
    && element.childNodes.length === old.blocks.length;
  // More text can change the last block, or join it to the one before it.
  const kept = grows ? old.blocks.slice(0, -2) : [];
  const { at, levels } = (grows && old.blocks[kept.length]) || { at: 0, levels: [] };
  const nodes = [];
  for (const { node, ...begin } of parse(all.slice(at), at, start(options, levels))) {
    nodes.push(node);
    kept.push(begin);
  }
  liken(element, nodes, kept.length - nodes.length);
  grown.set(element, { all, cited, blocks: kept });
}

// Makes the children of a node, from `first` on, like these.
function liken(parent, nodes, first = 0) {
  nodes.forEach((node, index) => {
    const old = parent.childNodes[first + index];
    if (!old) parent.append(node);
    else if (old.isEqualNode(node)) return;
    else if (old.nodeName !== node.nodeName || node.classList?.contains('math')) old.replaceWith(node);
    else if (!node.attributes) {
      const same = node.data.startsWith(old.data) ? old.length : 0;
      old.replaceData(same, old.length, node.data.slice(same));
    } else {
      for (const name of old.getAttributeNames()) if (!node.hasAttribute(name)) old.removeAttribute(name);
      for (const { name, value } of node.attributes) old.setAttribute(name, value);
      liken(old, [...node.childNodes]);
    }
  });
  while (parent.childNodes.length > first + nodes.length) parent.lastChild.remove();
}

function lined(text) {
  return text.replace(/\r\n?/g, '\n');
}

// What the parts of an answer share; `levels` are those of the headings above.
function start(options, levels = []) {
  const words = { ...WORDS, ...options?.words };
  return { ...options, words, levels: [...levels], depth: 0, misses: 0, formulas: 0 };
}

// ---- Blocks: each parser takes lines from `at` on, and returns its node and the line after it.

// The blocks of a text that begins at a character of the answer, and where each begins.
function* parse(text, from, answer) {
  const rest = text.slice(MAX_LENGTH - from);
  const lines = text.slice(0, MAX_LENGTH - from).split('\n');
  let [at, line] = [from, 0];
  const move = (to) => {
    for (; line < to && line < lines.length; line += 1) at += lines[line].length + 1;
  };
  for (move(skipBlank(lines, 0)); line < lines.length; move(skipBlank(lines, line))) {
    const begin = { at, levels: [...answer.levels] };
    const [node, next] = block(lines, line, 0, answer);
    // What is inside goes along, so that bullets and bars are where the text begins.
    node.dir ||= direction(node);
    yield { ...begin, node };
    move(next);
  }
  if (rest) yield { at: MAX_LENGTH, levels: [], node: make('p', [rest]) };
}

function blocks(lines, depth, answer) {
  const nodes = [];
  for (let at = skipBlank(lines, 0); at < lines.length; at = skipBlank(lines, at)) {
    const [node, next] = block(lines, at, depth, answer);
    nodes.push(node);
    at = next;
  }
  return nodes;
}

function block(lines, at, depth, answer) {
  const line = lines[at];
  if (FENCE.test(line)) return fence(lines, at, answer);
  if (MATH.test(line)) return math(lines, at, answer);
  if (HEADING.test(line)) return heading(lines, at, answer);
  if (isTable(lines, at)) return table(lines, at, answer);
  if (RULE.test(line)) return [make('hr'), at + 1];
  if (depth < MAX_DEPTH && QUOTE.test(line)) return quote(lines, at, depth, answer);
  if (depth < MAX_DEPTH && ITEM.test(line)) return list(lines, at, depth, answer);
  return paragraph(lines, at, depth, answer);
}

function fence(lines, at, answer) {
  const [, marker, language] = lines[at].match(FENCE);
  let end = at + 1;
  while (end < lines.length && !closes(lines[end], marker)) end += 1;
  const text = lines.slice(at + 1, end).map((line) => dedent(line, leading(lines[at])));
  const pre = make('pre', [make('code', [text.join('\n')])]);
  pre.tabIndex = 0; // It may scroll sideways, and the keyboard must be able to reach it.
  const head = make('div', [make('span', [language]), copyButton(answer)]);
  return [leftToRight(make('div', [head, pre], 'code')), end + 1];
}

function closes(line, marker) {
  const mark = line.trim();
  return mark.length >= marker.length && mark === marker[0].repeat(mark.length);
}

// A formula with lines of its own, up to its closing mark, or to a blank line if it has none.
function math(lines, at, answer) {
  const [opened, mark] = lines[at].match(MATH);
  const closing = mark === '$$' ? mark : '\\]';
  let end = at + 1;
  for (let line = lines[at].slice(opened.length); !line.includes(closing) && lines[end]?.trim(); end += 1) {
    line = lines[end];
  }
  const text = lines.slice(at, end).join('\n');
  const [, dollars, brackets, stop] = text.match(FORMULA) ?? [];
  const tex = dollars ?? (isTex(brackets ?? '') ? brackets : '');
  return [make('p', tex?.trim() ? [formula(tex + stop, true, answer)] : inline(text, answer)), end];
}

// The panel has the first two levels; and none is left out, whatever an answer does.
function heading(lines, at, answer) {
  const [{ length }, { length: level }] = lines[at].match(HEADING);
  while (answer.levels.at(-1) >= level) answer.levels.pop();
  answer.levels.push(level);
  const text = lines[at].slice(length).trim().replace(/(^|\s)#+$/, '');
  return [make(`h${Math.min(answer.levels.length + 2, 6)}`, inline(text, answer)), at + 1];
}

function isTable(lines, at) {
  const below = lines[at + 1];
  return lines[at].includes('|') && below?.includes('|') && DELIMITERS.test(below.trim())
    && cells(lines[at]).length === cells(below).length;
}

function table(lines, at, answer) {
  const sides = cells(lines[at + 1]).map((cell) =>
    cell.endsWith(':') ? (cell[0] === ':' ? 'center' : 'right') : cell[0] === ':' ? 'left' : '');
  // A short row is not filled up: a small text could make a great many cells.
  const row = (line, name) => make('tr', cells(line).slice(0, sides.length).map((text, index) => {
    const cell = make(text ? name : 'td', inline(text, answer), sides[index]);
    cell.dir = direction(cell);
    return cell;
  }));
  const head = row(lines[at], 'th');
  const rows = [];
  let end = at + 2;
  for (; lines[end]?.includes('|') && !startsBlock(lines, end); end += 1) rows.push(row(lines[end], 'td'));
  const box = make('div', [make('table', [make('thead', [head]), make('tbody', rows)])], 'table');
  box.tabIndex = 0;
  box.setAttribute('role', 'group');
  box.setAttribute('aria-label', answer.words.table);
  return [box, end];
}

function cells(line) {
  return line.trim().replace(/^\||(?<!\\)\|$/g, '').split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));
}

function quote(lines, at, depth, answer) {
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const inner = lines.slice(at, end).map((line) => line.replace(QUOTE, ''));
  return [make('blockquote', blocks(inner, depth + 1, answer)), end];
}

function list(lines, at, depth, answer) {
  const [, , first] = lines[at].match(ITEM);
  const ordered = /\d/.test(first);
  const node = make(ordered ? 'ol' : 'ul');
  if (ordered) node.start = parseInt(first, 10);
  let next = at;
  while (next < lines.length) {
    const marker = lines[next].match(ITEM);
    if (!marker || /\d/.test(marker[2]) !== ordered || RULE.test(lines[next])) break;
    const [{ length }, { length: indent }] = marker;
    const inner = [lines[next].slice(length)];
    const end = itemEnd(lines, next, indent, inner[0]);
    for (const line of lines.slice(next + 1, end)) inner.push(dedent(line, length));
    node.append(item(inner, depth, answer));
    // Blank lines between two items do not end the list.
    const after = skipBlank(lines, end);
    next = ITEM.test(lines[after] ?? '') ? after : end;
  }
  return [node, next];
}

// An item goes on while its lines are indented, or follow without a blank line, or are of its code,
// which models indent as they like.
function itemEnd(lines, at, indent, first) {
  let fenced = first.match(FENCE)?.[1];
  let end = at + 1;
  for (let next = end; next < lines.length; next += 1) {
    const line = lines[next];
    if (fenced) {
      if (closes(line, fenced)) fenced = null;
    } else {
      if (!line.trim()) continue;
      if (leading(line) < indent + 2 && (next > end || startsBlock(lines, next))) break;
      fenced = line.match(FENCE)?.[1];
    }
    end = next + 1;
  }
  return end;
}

function item(lines, depth, answer) {
  const task = lines[0].match(TASK);
  if (task) lines[0] = lines[0].slice(task[0].length);
  const nodes = blocks(lines, depth + 1, answer);
  // "- text" is an item of text, not an item holding a paragraph.
  const text = nodes[0]?.localName === 'p' ? [...nodes.shift().childNodes] : [];
  if (!task) return make('li', [...text, ...nodes]);
  const box = make('input');
  box.type = 'checkbox';
  box.disabled = true;
  box.defaultChecked = task[1] !== ' ';
  return make('li', [make('label', [box, ' ', ...text]), ...nodes], 'task');
}

function paragraph(lines, at, depth, answer) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim()) {
    if (depth < MAX_DEPTH && interruptsParagraph(lines, end)) break;
    end += 1;
  }
  return [make('p', inline(lines.slice(at, end).join('\n'), answer)), end];
}

function startsBlock(lines, at) {
  if (!/^\s*[`~$\\#*_>+\d-]|\|/.test(lines[at])) return false; // as most lines
  return [FENCE, MATH, HEADING, RULE, QUOTE, ITEM].some((pattern) => pattern.test(lines[at])) || isTable(lines, at);
}

// "1." opens a list in the middle of a paragraph, "1986." does not.
function interruptsParagraph(lines, at) {
  const number = lines[at].match(/^\s*(\d+)[.)]/)?.[1];
  return startsBlock(lines, at) && (number === undefined || Number(number) === 1);
}

// The next line with something on it, or the end.
function skipBlank(lines, at) {
  let next = at;
  while (next < lines.length && !lines[next].trim()) next += 1;
  return next;
}

function dedent(line, indent) {
  return line.slice(Math.min(indent, leading(line)));
}

function leading(line) {
  return line.length - line.trimStart().length;
}
