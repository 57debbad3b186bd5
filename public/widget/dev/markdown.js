// Markdown to DOM nodes, for untrusted text.
//
// Safe by construction: nodes come from createElement and text from text nodes; there is no
// innerHTML, so markup in an answer is only ever shown. Links go only to http(s).
// Images become links, because loading one would tell a stranger that the answer was read.
//
// It knows what answers use: paragraphs, headings, lists, quotes, code, emphasis, links.
// Anything else stays text. It must cope with half an answer (an unclosed fence, half a
// link), because it is called again with every piece of a stream.

// Quotes and lists nested deeper than this are shown as text: no answer can exhaust the stack.
const MAX_DEPTH = 8;

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const TABLE_ROW = /^\s*\|.*\|\s*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])(?:\s+|$)/;

export function renderMarkdown(text) {
  const fragment = document.createDocumentFragment();
  fragment.append(...blocks(text.replace(/\r\n?/g, '\n').split('\n'), 0));
  return fragment;
}

// The same, for an answer that is still growing: blocks that have not changed stay, and so does
// what a reader has selected or scrolled in them.
export function growMarkdown(element, text) {
  const old = [...element.childNodes];
  const grown = [...renderMarkdown(text).childNodes];
  let same = 0;
  while (same < grown.length && old[same]?.isEqualNode(grown[same])) same += 1;
  for (const node of old.slice(same)) node.remove();
  element.append(...grown.slice(same));
}

// ---- Blocks: each parser takes lines from `at` on, and returns its node and the line after it.

function blocks(lines, depth) {
  const nodes = [];
  let at = 0;
  while ((at = skipBlank(lines, at)) < lines.length) {
    const [node, next] = block(lines, at, depth);
    nodes.push(node);
    at = next;
  }
  return nodes;
}

function block(lines, at, depth) {
  const line = lines[at];
  if (FENCE.test(line)) return fence(lines, at);
  if (HEADING.test(line)) return heading(lines, at);
  if (RULE.test(line)) return [make('hr'), at + 1];
  if (TABLE_ROW.test(line)) return table(lines, at);
  if (depth < MAX_DEPTH && QUOTE.test(line)) return quote(lines, at, depth);
  if (depth < MAX_DEPTH && ITEM.test(line)) return list(lines, at, depth);
  return paragraph(lines, at, depth);
}

function fence(lines, at) {
  const marker = lines[at].match(FENCE)[1];
  const closes = (line) => {
    const mark = line.trim();
    return mark.length >= marker.length && mark === marker[0].repeat(mark.length);
  };
  let end = at + 1;
  while (end < lines.length && !closes(lines[end])) end += 1;
  return [code(lines.slice(at + 1, end)), end + 1];
}

// A table keeps its columns as the model aligned them, in a fixed-width block.
function table(lines, at) {
  let end = at;
  while (end < lines.length && TABLE_ROW.test(lines[end])) end += 1;
  return [code(lines.slice(at, end)), end];
}

function code(lines) {
  const pre = make('pre', make('code', lines.join('\n')));
  pre.tabIndex = 0; // It may scroll sideways, and the keyboard must be able to reach it.
  return pre;
}

// The page itself uses the first two levels.
function heading(lines, at) {
  const [, marks, text] = lines[at].match(HEADING);
  return [auto(make(`h${Math.min(marks.length + 2, 6)}`, ...inline(text))), at + 1];
}

function quote(lines, at, depth) {
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const inner = lines.slice(at, end).map((line) => line.replace(QUOTE, ''));
  return [auto(make('blockquote', ...blocks(inner, depth + 1))), end];
}

function list(lines, at, depth) {
  const ordered = /\d/.test(lines[at].match(ITEM)[2]);
  const node = auto(make(ordered ? 'ol' : 'ul'));
  if (ordered) node.start = parseInt(lines[at].match(ITEM)[2], 10);

  let next = at;
  while (next < lines.length) {
    const marker = lines[next].match(ITEM);
    if (!marker || /\d/.test(marker[2]) !== ordered || RULE.test(lines[next])) break;
    const end = itemEnd(lines, next, marker[1].length);
    const inner = [lines[next].slice(marker[0].length), ...dedent(lines.slice(next + 1, end))];
    node.append(item(inner, depth));
    next = end;
    // Blank lines between two items do not end the list.
    const after = skipBlank(lines, next);
    if (after < lines.length && ITEM.test(lines[after])) next = after;
  }
  return [node, next];
}

// An item goes on while its lines are indented, or follow without a blank line.
function itemEnd(lines, at, indent) {
  let end = at + 1;
  while (end < lines.length) {
    const line = lines[end];
    if (line.trim() === '') {
      const following = skipBlank(lines, end);
      if (following === lines.length || leading(lines[following]) < indent + 2) break;
    } else if (leading(line) < indent + 2 && startsBlock(line)) {
      break;
    }
    end += 1;
  }
  return end;
}

function item(lines, depth) {
  const nodes = blocks(lines, depth + 1);
  // "- text" is an item of text, not an item holding a paragraph.
  const content = nodes.flatMap((node, index) =>
    index === 0 && node.localName === 'p' ? [...node.childNodes] : [node],
  );
  return auto(make('li', ...content));
}

function paragraph(lines, at, depth) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() !== '') {
    if (depth < MAX_DEPTH && interruptsParagraph(lines[end])) break;
    end += 1;
  }
  return [auto(make('p', ...inline(lines.slice(at, end).join('\n')))), end];
}

function startsBlock(line) {
  return [FENCE, HEADING, RULE, QUOTE, TABLE_ROW, ITEM].some((pattern) => pattern.test(line));
}

// "1." opens a list in the middle of a paragraph, "1986." does not.
function interruptsParagraph(line) {
  const number = line.match(/^\s*(\d+)[.)]/)?.[1];
  return startsBlock(line) && (number === undefined || Number(number) === 1);
}

// The next line with something on it, or the end.
function skipBlank(lines, at) {
  let next = at;
  while (next < lines.length && lines[next].trim() === '') next += 1;
  return next;
}

function dedent(lines) {
  const indent = Math.min(...lines.filter((line) => line.trim() !== '').map(leading));
  return lines.map((line) => line.slice(Math.min(indent, leading(line))));
}

function leading(line) {
  return line.length - line.trimStart().length;
}

// ---- Inline: the first form that matches at a position wins; anything else is text.
// Spans are bounded in length, so that a text full of unclosed marks cannot stall the page.

const INLINE = [
  [/\\([\\`*_#+.!>~|-])/y, ([, char]) => char],
  [/(`+)(?!`)([^]{1,2000}?[^`])\1(?!`)/y, ([, , text]) => make('code', text.replace(/^ (.*\S.*) $/s, '$1'))],
  [/!?\[([^\]\n]{0,500})\]\(\s*<?([^\s<>()]{1,2000}(?:\([^\s()]{0,200}\)[^\s<>()]{0,2000})?)>?(?:\s+"[^"\n]{0,300}")?\s*\)/y,
    ([all, text, address]) => link(address, all[0] === '!' ? [text || 'image'] : inline(text)) ?? all],
  [/<(https?:\/\/[^\s<>]{1,2000})>/y, ([all, address]) => link(address, [address]) ?? all],
  [/https?:\/\/[^\s<>*`"]{1,2000}/y, ([all]) => bareLink(all)],
  [/\*\*(?=\S)([^]{1,1000}?[^\s*]\*?|[^\s*])\*\*(?!\*)/y, ([, text]) => make('strong', ...inline(text))],
  [/(?<!\w)__(?=\S)([^]{0,1000}?\S)__(?!\w)/y, ([, text]) => make('strong', ...inline(text))],
  // Only around words: "2*3*4" and "snake_case_name" are not emphasis.
  [/(?<![\w*])\*(?=[^\s*])([^]{0,1000}?[^\s*])\*(?![\w*])/y, ([, text]) => make('em', ...inline(text))],
  [/(?<![\w_])_(?=[^\s_])([^]{0,1000}?[^\s_])_(?!\w)/y, ([, text]) => make('em', ...inline(text))],
  // A line break is kept: models mean it.
  [/[ \\]{0,20}\n/y, () => make('br')],
];
const MAY_BE_SPECIAL = /[\\`!\[<h*_\n ]/g;

function inline(text) {
  const nodes = [];
  let plain = '';
  let at = 0;
  while (at < text.length) {
    const found = match(text, at);
    if (!found) {
      MAY_BE_SPECIAL.lastIndex = at + 1;
      const next = MAY_BE_SPECIAL.exec(text)?.index ?? text.length;
      plain += text.slice(at, next);
      at = next;
      continue;
    }
    if (typeof found.node === 'string') {
      plain += found.node;
    } else {
      nodes.push(plain, found.node);
      plain = '';
    }
    at += found.length;
  }
  return [...nodes, plain].filter((node) => node !== '');
}

function match(text, at) {
  for (const [pattern, build] of INLINE) {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) return { node: build(found), length: found[0].length };
  }
  return null;
}

// A sentence's punctuation is not part of the address before it.
function bareLink(text) {
  const address = text.replace(/[.,;:!?'’)\]]+$/, '');
  const node = link(address, [address]);
  if (!node) return text;
  const fragment = document.createDocumentFragment();
  fragment.append(node, text.slice(address.length));
  return fragment;
}

// Null where the address is not a web address: `javascript:`, `data:` and the like stay text.
function link(address, content) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return null;
  const node = make('a', ...content);
  node.href = url.href;
  node.target = '_blank';
  node.rel = 'noopener noreferrer';
  // A number alone is a source of the answer, and says little to who only hears it.
  if (/^\d{1,3}$/.test(node.textContent)) {
    node.className = 'citation';
    node.setAttribute('aria-label', `Source ${node.textContent}`);
  }
  return node;
}

// ---- Nodes

function make(tag, ...children) {
  const node = document.createElement(tag);
  node.append(...children);
  return node;
}

// Every block finds its own direction: an answer in Urdu or Arabic reads from the right.
function auto(node) {
  node.dir = 'auto';
  return node;
}
