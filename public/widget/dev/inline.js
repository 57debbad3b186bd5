// Markdown to DOM nodes, for untrusted text: emphasis, code, links, citations and formulas.
//
// Links go only to http(s). Images become links, because loading one would tell a stranger that the
// answer was read. It knows nothing of blocks, and fetches nothing but math.js.

// What is nested deeper than this is shown as text: no answer can exhaust the stack.
export const MAX_DEPTH = 8;
// After as many marks that mean nothing the rest is text: no answer can stall the page.
const MAX_MISSES = 2000;
// And so many formulas are drawn.
const MAX_FORMULAS = 200;

const FROM_THE_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

// What a character may begin, as [form, what it becomes]: the first form that matches wins, and else
// the character is text. Forms are bounded in length, and emphasis goes over whole pieces of code.
const emphasis = (name) => ([, text], answer) => make(name, inline(text, answer));
const address = ([all, address = all], answer) => link(address, '', answer) ?? all;
const bracket = [
  /!?\[([^\]\n]{0,500})\]\(\s{0,9}<?([^\s<>()]{1,2000}(?:\([^\s()]{0,200}\)[^\s<>()]{0,2000})?)>?(?:\s{1,9}"[^"\n]{0,300}")?\s{0,9}\)/y,
  ([all, text, address], answer) => link(address, text, answer) ?? all,
];
const FORMS = {
  '\\': [
    [/\\\(([^]{1,2000}?)\\\)/y, ([, tex], answer) => formula(tex, false, answer)],
    [/\\\[([^]{1,2000}?)\\\]/y, ([, tex], answer) => (isTex(tex) ? formula(tex, true, answer) : `[${tex}]`)],
    [/\\([!-/:-@[-`{-~])/y, ([, char]) => char],
    [/\\\n/y, () => make('br')],
  ],
  '$': [
    [/\$\$([^$]{1,2000})\$\$/y, ([, tex], answer) => formula(tex, true, answer)],
    // "$5 and $10" is money.
    [/(?<![\w$])\$(?![\s$])([^$\n]{1,500})(?<!\s)\$(?![\w$])/y, ([, tex], answer) => formula(tex, false, answer)],
  ],
  '`': [[/(?<!`)(`{1,20})(?!`)([^]{0,2000}?[^`])\1(?!`)/y,
    ([, , text]) => leftToRight(make('code', [text.replace(/^ (.*\S.*) $/s, '$1')]))]],
  '!': [bracket],
  '[': [bracket],
  '<': [[/<(https?:\/\/[^\s<>]{1,2000})>/y, address], [/<br ?\/?>/y, () => make('br')]],
  // A sentence's punctuation is not part of the address before it.
  'h': [[/(?<!\w)https?:\/\/[^\s<>*`"[\]]{0,2000}[^\s<>*`"[\].,;:!?'’)]/y, address]],
  '~': [[/~~(?!\s)([^~]{1,1000})(?<!\s)~~/y, emphasis('del')]],
  '*': [
    // Not in powers: x**2.
    [/\*\*(?!\s)(?<!\w\*\*(?=\d)|\d\*\*(?=\w))((?:`[^`]{1,80}`|[^`]){1,1000}?)(?<!\s)\*\*(?!\*)/y, emphasis('strong')],
    // Only around words: "2*3*4" and "snake_case_name" are not emphasis.
    [/(?<![\w*])\*(?![\s*])((?:`[^`]{1,80}`|[^`]){1,1000}?)(?<![\s*])\*(?![\w*])/y, emphasis('em')],
  ],
  '_': [
    [/(?<!\w)__(?!\s)((?:`[^`]{1,80}`|[^`]){1,1000}?)(?<!\s)__(?!\w)/y, emphasis('strong')],
    [/(?<![\w_])_(?![\s_])((?:`[^`]{1,80}`|[^`]){1,1000}?)(?<![\s_])_(?!\w)/y, emphasis('em')],
  ],
  // A line break is kept: models mean it.
  '\n': [[/\n/y, () => make('br')]],
};
const SPECIAL = /[\\$`![<*_~\n]|https?:/g;

export function inline(text, answer) {
  if (answer.depth > MAX_DEPTH) return [text];
  answer.depth += 1;
  const parts = [];
  let at = 0;
  while (at < text.length) {
    SPECIAL.lastIndex = at;
    const next = answer.misses < MAX_MISSES ? SPECIAL.exec(text)?.index ?? text.length : text.length;
    if (next > at) parts.push(text.slice(at, next));
    at = next;
    if (at < text.length) at += special(text, at, parts, answer);
  }
  answer.depth -= 1;
  return parts;
}

// Adds what a special character begins, and returns its length.
function special(text, at, parts, answer) {
  for (const [form, build] of FORMS[text[at]]) {
    form.lastIndex = at;
    const found = form.exec(text);
    if (found) {
      parts.push(build(found, answer));
      return found[0].length;
    }
    answer.misses += 1;
  }
  parts.push(text[at]);
  return 1;
}

// Null where the address is not a web address: `javascript:`, `data:` and the like stay text.
function link(address, text, answer) {
  const url = webAddress(address, answer);
  if (!url) return null;
  const node = make('a', text ? inline(text, answer) : [address]);
  for (const inner of node.querySelectorAll('a')) inner.replaceWith(...inner.childNodes);
  node.href = url;
  if (node.origin !== location.origin) {
    node.target = '_blank';
    node.rel = 'noopener noreferrer';
  }
  // A citation is the number of a source at its address; it says little to who only hears it.
  const source = answer.sources?.find(({ id }) => String(id) === text);
  if (source && webAddress(source.url, answer) === url) {
    node.className = 'citation';
    const name = answer.words.source.replace('{n}', text);
    node.setAttribute('aria-label', source.title ? `${name}: ${source.title}` : name);
  }
  return node;
}

function webAddress(address, { base }) {
  // As the server writes them in links.
  const escaped = address.replace(/[\\()|]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  try {
    const { protocol, href } = new URL(escaped, base ?? document.baseURI);
    return /^https?:$/.test(protocol) ? href : null;
  } catch {
    return null;
  }
}

// ---- Formulas: their source, until and unless math.js can draw them.

let drawing = null;
let draw = null; // math.js's, once it is there with what it needs

export function formula(tex, display, answer) {
  const node = leftToRight(make('span', [make('code', [tex])], display ? 'math display' : 'math'));
  if (display) node.tabIndex = 0; // It may scroll sideways.
  answer.formulas += 1;
  if (answer.formulas > MAX_FORMULAS) return node;
  if (draw) {
    draw(node, tex, display);
  } else {
    drawing ??= import('./math.js').then(({ load }) => load()).catch(() => () => {});
    drawing.then((loaded) => (draw = loaded)(node, tex, display));
  }
  return node;
}

// "\[1\]" is a number in brackets.
export function isTex(text) {
  return /[\\^_{}=+<>*/]/.test(text);
}

// ---- Nodes

// `children` are nodes and strings; there may be more than a call can have arguments.
export function make(name, children = [], className = '') {
  const node = document.createElement(name);
  if (className) node.className = className;
  let text = '';
  const flush = () => text && node.appendChild(document.createTextNode(text));
  for (const child of children) {
    if (typeof child === 'string') {
      text += child;
      continue;
    }
    flush();
    text = '';
    node.appendChild(child);
  }
  flush();
  return node;
}

// Copies the code beside it.
export function copyButton({ words, onCopy }) {
  const button = make('button', [words.copyCode]);
  button.type = 'button';
  button.onclick = async () => {
    const code = button.closest('.code').querySelector('code');
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code); // for the reader to copy
      return;
    }
    button.textContent = words.copied;
    setTimeout(() => (button.textContent = words.copyCode), 2000);
    onCopy?.(code.textContent);
  };
  return button;
}

// Not `dir=auto`, which goes by the first letter: a sentence in Urdu may begin with "ZMP".
export function direction(node) {
  if (!FROM_THE_RIGHT.test(node.textContent)) return 'ltr';
  const prose = node.cloneNode(true);
  for (const other of prose.querySelectorAll('code, math')) other.remove();
  const words = prose.textContent.match(/[\p{L}\p{M}]+/gu) ?? [];
  return words.filter((word) => FROM_THE_RIGHT.test(word)).length * 3 > words.length ? 'rtl' : 'ltr';
}

// Code and formulas do so wherever they stand.
export function leftToRight(node) {
  node.dir = 'ltr';
  return node;
}
