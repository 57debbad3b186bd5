// Answers as a reader sees them: markdown.js, inline.js and math.js in a page of a strict host.
//
// Each case is a sentence. It never asks a server: the text of an answer is given.

const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const SOURCES = [
  { id: 1, title: 'Walking', section: 'The zero moment point', url: 'https://book.example/walking_(2)#zmp a' },
  { id: 2, title: 'توازن', url: 'https://book.example/توازن' },
  { id: 3, title: 'A trick', url: 'javascript:alert(3)' },
];
const WALKING = 'https://book.example/walking_%282%29#zmp%20a';

const COMPLEX = [
  '# Walking\r\n\r\nThe **zero moment point** (ZMP) is *where* `a * b` holds [1](' + WALKING + ').',
  'It is ~~not~~ a [page](../sensors "Sensors"), see https://example.org/a, or <https://example.org/b>.',
  '',
  '| Name | *n* | Formula |',
  '|:-----|:---:|--------:|',
  '| ZMP  | 1 \\| 2 | `p = x` |',
  '| ICP | 2 |',
  '',
  '#### Deeper',
  '',
  '- [x] done with `code`',
  '- [ ] open',
  '  1. inner',
  '     ```python',
  '     def f(x):',
  '     \treturn x ** 2',
  '     ```',
  '  2. next',
  '',
  '- last',
  '> A quote',
  '> - with a list',
  '',
  'Money: $5 and $10. Energy $E = mc^2$, and \\(a_1 * b_2 * c\\).',
  '$$',
  'p = x - \\frac{z}{g}',
  '- \\ddot{x}',
  '$$',
  '\\[ \\sum_{i=1}^n x_i \\]',
  '',
  '1986. was a year',
  '***',
  '~~~',
  'verbatim | ``` |',
  '~~~',
  '2. two',
  '',
  '3',
  '',
  'زیرو مومنٹ پوائنٹ ایک نقطہ ہے۔',
  '',
  '- پہلا',
  '- دوسرا',
  '',
].join('\n');

export const name = 'answers as a reader sees them';
// The library that draws formulas is kept from it on purpose.
export const allowed = [/404.*vendor/];

export async function run({ page, origin, check: given }) {
  const check = (words, truth, seen = '') => given(truth, `${words}: ${seen}`);

  const errors = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));

  await page.route(`${origin}/docs/walking/`, (route) => route.fulfill({
    contentType: 'text/html; charset=utf-8',
    headers: { 'content-security-policy': CSP },
    body: '<!doctype html><html lang="en"><title>A host</title><body></body></html>',
  }));
  const vendored = (await page.request.get(`${origin}/vendor/temml-0.13.5/temml.js`)).ok();
  check('Temml is vendored (sh temml/vendor.sh)', vendored);

  await open(page, origin);
  await blocks(page, check);
  await spans(page, origin, check);
  await links(page, origin, check);
  await directions(page, check);
  await hostile(page, check);
  await growing(page, check);
  await copying(page, check);
  await reports(page, check, errors, 'an answer');

  if (vendored) {
    await open(page, origin);
    await formulas(page, check);
    await reports(page, check, errors, 'a formula');
  }

  await page.route('**/vendor/**', (route) => route.fulfill({ status: 404 }));
  await open(page, origin);
  await withoutTemml(page, check);
  // The browser itself reports the 404.
  const ours = errors.filter((text) => !text.includes('404'));
  await reports(page, check, ours, 'a formula without Temml');
  await page.unroute('**/vendor/**');
  await page.unroute(`${origin}/docs/walking/`);
}

// A page of a host that allows next to nothing, with an answer's place in a shadow root.
async function open(page, origin) {
  await page.goto(`${origin}/docs/walking/`);
  await page.evaluate(async ([from, sources]) => {
    window.reports = [];
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, sample }) =>
      window.reports.push(`${violatedDirective} ${sample}`));
    const module = await import(`${from}/widget/dev/markdown.js`);
    const { ANSWER_CSS } = await import(`${from}/widget/dev/answer-css.js`);
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(ANSWER_CSS);
    const host = document.body.appendChild(document.createElement('div'));
    for (const [name, value] of Object.entries({
      '--ink': '#2a2520', '--muted': '#665c4f', '--line': '#e0d8c7', '--accent': '#1f5a61', '--code': '#f1ece0',
      '--sans': 'sans-serif', '--serif': 'serif', '--mono': 'monospace',
    })) host.style.setProperty(name, value);
    const root = host.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [sheet];
    window.sources = sources;
    window.answer = root.appendChild(document.createElement('div'));
    window.answer.className = 'answer';
    window.grow = module.growMarkdown;
    window.show = (text, options = {}) => {
      window.answer.replaceChildren(module.renderMarkdown(text, { sources, ...options }));
      return window.answer;
    };
    // What there is, in brief: names, and what they hold.
    window.brief = (node) => [...node.childNodes].map((child) =>
      child.nodeType === 3 ? child.data : `<${child.localName}>${window.brief(child)}</>`).join('');
  }, [origin, SOURCES]);
}

async function reports(page, check, errors, what) {
  const reported = await page.evaluate(() => window.reports);
  check(`${what} offends neither the policy nor Trusted Types of its host`, reported.length === 0, reported);
  check(`${what} leaves no error in the console`, errors.length === 0, errors);
  errors.length = 0;
}

const brief = (page, text, options) =>
  page.evaluate(([text, options]) => window.brief(window.show(text, options)), [text, options]);

async function expectAll(page, check, cases) {
  for (const [sentence, text, expected] of cases) {
    const got = await brief(page, text);
    check(sentence, got === expected, `${JSON.stringify(text)} gave ${got}, not ${expected}`);
  }
}

async function blocks(page, check) {
  await expectAll(page, check, [
    ['a paragraph keeps its line breaks', 'a\nb\n\nc', '<p>a<br></>b</><p>c</>'],
    ['the first heading is one below the panel\'s, and none is left out',
      '# a\n### b\n#### c\n## d\n# e\n####### f', '<h3>a</><h4>b</><h5>c</><h4>d</><h3>e</><p>####### f</>'],
    ['a heading may be closed', '## C # and F ##', '<h3>C # and F</>'],
    ['a nested list is a list in an item', '- a\n  - b\n    1. c\n- d',
      '<ul><li>a<ul><li>b<ol><li>c</></></></></><li>d</></>'],
    ['a list goes on after an empty line', '1. a\n\n2. b\n\n\n3. c', '<ol><li>a</><li>b</><li>c</></>'],
    ['an item holds paragraphs', '- a\n\n  b\n\nc', '<ul><li>a<p>b</></></><p>c</>'],
    ['a quote holds blocks', '> a\n> - b\n\nc', '<blockquote><p>a</><ul><li>b</></></><p>c</>'],
    ['a year is no list in the middle of a paragraph', 'In\n1986. it\n1. a', '<p>In<br></>1986. it</><ol><li>a</></>'],
    ['a table has a head and a body', '| a | b |\n|---|---|\n| 1 | 2 |\nc',
      '<div><table><thead><tr><th>a</><th>b</></></><tbody><tr><td>1</><td>2</></></></></><p>c</>'],
    ['a table needs no outer bars, and may hold bars, marks and line breaks', 'a | b\n-|-\n*1* | `x \\| y`<br>z',
      '<div><table><thead><tr><th>a</><th>b</></></><tbody><tr><td><em>1</></><td><code>x | y</><br></>z</></></></></>'],
    ['a table may follow a paragraph', 'So:\n| a |\n|---|\n', '<p>So:</><div><table><thead><tr><th>a</></></><tbody></></></>'],
    ['bars alone are no table', '| a | b |\n| 1 | 2 |', '<p>| a | b |<br></>| 1 | 2 |</>'],
    ['a table\'s short rows stay short, and long ones are cut', '|a|b|\n|-|-|\n|1|\n|1|2|3|',
      '<div><table><thead><tr><th>a</><th>b</></></><tbody><tr><td>1</></><tr><td>1</><td>2</></></></></>'],
    ['code is verbatim and says its language', '```c++ title="x"\n\tif (a < b && *c) {\n\n  }\n```\nd',
      '<div><div><span>c++</><button>Copy code</></><pre><code>\tif (a < b && *c) {\n\n  }</></></><p>d</>'],
    ['code in an item may be indented as models like it', '1. a\n   ```py\nx = 1\n  y = 2\n```\n2. b',
      '<ol><li>a<div><div><span>py</><button>Copy code</></><pre><code>x = 1\ny = 2</></></></><li>b</></>'],
    ['code may hold other fences', '````\n```\na\n```\n````', '<div><div><span></><button>Copy code</></><pre><code>```\na\n```</></></>'],
    ['a rule is a rule', 'a\n* * *\nb', '<p>a</><hr></><p>b</>'],
  ]);
  const task = await page.evaluate(() => {
    const answer = window.show('- [x] read *this*\n- [ ] write');
    return [...answer.querySelectorAll('input')].map((box) =>
      [box.type, box.disabled, box.checked, box.labels[0].textContent.trim()].join());
  });
  check('a task is a checkbox that has a name and cannot be changed',
    task.join('; ') === 'checkbox,true,true,read this; checkbox,true,false,write', task);
  const table = await page.evaluate(() => {
    const box = window.show('|a|b|c|d|\n|:-|-:|:-:|-|\n|1|2|3|4|').querySelector('.table');
    const sides = [...box.querySelectorAll('td')].map((cell) => getComputedStyle(cell).textAlign);
    return { role: box.getAttribute('role'), name: box.getAttribute('aria-label'), tab: box.tabIndex, sides };
  });
  check('a table is in a box that can be reached, has a name, and keeps its sides',
    table.role === 'group' && table.name === 'Table' && table.tab === 0
    && table.sides.slice(0, 3).join() === 'left,right,center', JSON.stringify(table));
  const wide = await page.evaluate(() => {
    window.answer.parentNode.host.style.width = '300px';
    const answer = window.show(`\`\`\`\n${'x '.repeat(200)}\n\`\`\`\n\n|${'abcdefghij|'.repeat(12)}\n|${'-|'.repeat(12)}`);
    return [answer, ...answer.querySelectorAll('pre, .table')].map((box) => box.scrollWidth > box.clientWidth);
  });
  check('long lines and wide tables scroll in their boxes, the answer does not', wide.join() === 'false,true,true', wide);
}

async function spans(page, origin, check) {
  await expectAll(page, check, [
    ['emphasis nests', '**a *b*** and ***c*** and __d _e_ f__', '<p><strong>a <em>b</></> and <strong><em>c</></> and <strong>d <em>e</> f</></>'],
    ['powers, products and names are no emphasis', 'x**2 + y**2, 2**n * 2**m, 2*3*4, snake_case_name, a * b * c',
      '<p>x**2 + y**2, 2**n * 2**m, 2*3*4, snake_case_name, a * b * c</>'],
    ['part of a word may be strong', 'walk**ing** and پیدل**چلنا**', '<p>walk<strong>ing</> and پیدل<strong>چلنا</></>'],
    ['what is struck through is', '~~a *b*~~ but ~5 and ~6', '<p><del>a <em>b</></> but ~5 and ~6</>'],
    ['emphasis goes over code', '**`**kwargs` and `a`** *`*`*', '<p><strong><code>**kwargs</> and <code>a</></> <em><code>*</></></>'],
    ['code is taken as it is', '`` a`b `` and `\\(x\\)` and `$x$` and `<br>`', '<p><code>a`b</> and <code>\\(x\\)</> and <code>$x$</> and <code><br></></>'],
    ['unclosed marks are text', '**a *b _c ~~d `e [f](g [h] $i \\(j', '<p>**a *b _c ~~d `e [f](g [h] $i (j</>'],
    ['marks can be escaped', '\\*a\\* \\_b\\_ \\# \\`c\\` \\[1\\] 1\\. \\q', '<p>*a* _b_ # `c` [1] 1. \\q</>'],
    ['money is no formula', 'It costs $5 and $10, or US$6-$7; $HOME and $PATH.', '<p>It costs $5 and $10, or US$6-$7; $HOME and $PATH.</>'],
    ['markup is text', '<b onclick="x">a</b> <img src=x onerror=alert(1)> <script>alert(1)</script> &lt;',
      '<p><b onclick="x">a</b> <img src=x onerror=alert(1)> <script>alert(1)</script> &lt;</>'],
  ]);
  const images = await brief(page, `![a *b*](${origin}/favicon.svg) ![](x.png)`);
  check('an image is a link, and is not loaded', images === '<p><a>a <em>b</></> <a>x.png</></>', images);
}

async function links(page, origin, check) {
  const all = (text, options) => page.evaluate(([text, options]) =>
    [...window.show(text, options).querySelectorAll('a')].map((a) =>
      ({ href: a.href, target: a.target, rel: a.rel, name: a.getAttribute('aria-label'), kind: a.className, text: a.textContent })),
  [text, options]);

  const base = `${origin}/docs/walking/balance`;
  const [up, root, anchor, query] = await all('[a](../sensors) [b](/x) [c](#zmp) [d](?q=1)', { base });
  check('relative links are relative to the page that asked',
    [up, root, anchor, query].map(({ href }) => href.slice(origin.length)).join(' ')
    === '/docs/sensors /x /docs/walking/balance#zmp /docs/walking/balance?q=1', JSON.stringify([up, root, anchor, query]));
  check('a link to the same site stays in its tab', up.target === '' && up.rel === '');
  const [away, protocol] = await all('[a](https://example.org/) [b](//example.org/x)');
  check('a link to another site opens another tab, which knows nothing of this one',
    [away, protocol].every(({ target, rel }) => target === '_blank' && rel === 'noopener noreferrer'));

  const refused = await all(['javascript:alert(1)', 'JavaScript:alert(1)', 'java\tscript:alert(1)', '&#106;avascript:alert(1)',
    'data:text/html,x', 'vbscript:x', 'blob:https://a/b', 'file:///etc/passwd', 'mailto:a@b.example', ' javascript:alert(1)']
    .map((address) => `[a](${address}) <${address}> ![b](${address})`).join('\n\n'));
  const schemes = refused.filter(({ href }) => !/^https?:/.test(href));
  check('a link that is not to the web is text', schemes.length === 0, JSON.stringify(schemes));

  const [bare, angled] = await all('See https://example.org/a_b?c=1. Or <https://example.org/d>!');
  check('a bare address is a link, without its sentence\'s punctuation',
    bare.href === 'https://example.org/a_b?c=1' && angled.href === 'https://example.org/d', JSON.stringify([bare, angled]));
  const inner = await all('[see https://example.org/a](https://example.org/b)');
  check('a link is in no other link', inner.length === 1 && inner[0].href.endsWith('/b'), JSON.stringify(inner));

  const [one, two] = await all(`Stiff. [1](${WALKING}) [2](https://book.example/%D8%AA%D9%88%D8%A7%D8%B2%D9%86)`);
  check('a citation says its source', one.kind === 'citation' && one.name === 'Source 1: Walking' && one.text === '1', JSON.stringify(one));
  check('a citation\'s address may be written in another way', two.kind === 'citation' && two.name === 'Source 2: توازن', JSON.stringify(two));
  const [ur] = await all(`[1](${WALKING})`, { words: { source: 'ماخذ {n}' } });
  check('a citation speaks the reader\'s language', ur.name === 'ماخذ 1: Walking', ur.name);
  const [other, wrong, strong, long, trick] = await all(
    `[1](https://evil.example/) [2](${WALKING}) [**1**](${WALKING}) [01](${WALKING}) [3](javascript:alert(3)) [4](https://book.example/)`);
  check('what only looks like a citation is a link',
    [other, wrong, strong, long, trick].every((link) => link.kind === '' && link.name === null), JSON.stringify([other, wrong, strong, long, trick]));
  const [unknown] = await all(`[1](${WALKING})`, { sources: null });
  check('nothing is a citation while the sources are unknown', unknown.kind === '');
}

async function directions(page, check) {
  const text = [
    '### زیرو مومنٹ پوائنٹ', 'ZMP وہ نقطہ ہے جہاں `torque = 0` ہے۔', '- ZMP (zero moment point)\n- پہلا نقطہ یہاں ہے\n- دوسرا نقطہ وہاں ہے',
    '> یہ ایک اقتباس ہے۔ `some_code(of, many, words)` $a + b + c + d$', '| نام | Name |\n|---|---|\n| توازن | balance (ICP) |', '```python\nx = 1  # یہ ایک تبصرہ ہے\n```',
    'The word is توازن in Urdu.', '\\(a+b\\)', '- [ ] یہ کام باقی ہے',
  ].join('\n\n');
  const seen = await page.evaluate((text) => {
    const answer = window.show(text);
    const edges = (outer, inner) => {
      const [a, b] = [outer, inner].map((it) => it.getBoundingClientRect());
      return Math.abs(a.right - b.right) > Math.abs(a.left - b.left) ? 'right' : 'left';
    };
    const direction = (selector) => [...answer.querySelectorAll(selector)].map((node) => getComputedStyle(node).direction).join();
    const quote = getComputedStyle(answer.querySelector('blockquote'));
    return {
      heading: direction('h3'), paragraphs: direction('.answer > p'), list: direction('ul'), items: direction('li'),
      bullets: edges(answer.querySelector('ul'), answer.querySelector('li')),
      quote: direction('blockquote, blockquote p'), bar: `${parseInt(quote.borderRightWidth)} ${parseInt(quote.borderLeftWidth)}`,
      table: direction('table'), cells: direction('th, td'),
      sides: [...answer.querySelectorAll('td')].map((cell) => getComputedStyle(cell).textAlign).join(),
      code: direction('code, pre, .code'), math: direction('.math'),
    };
  }, text);
  check('an Urdu heading reads from the right', seen.heading === 'rtl', seen.heading);
  check('an Urdu sentence does even if it begins with a Latin word; an English one with an Urdu word does not',
    seen.paragraphs === 'rtl,ltr,ltr', seen.paragraphs);
  check('an Urdu list reads from the right, with all its items', seen.list === 'rtl,rtl' && seen.items === 'rtl,rtl,rtl,rtl', JSON.stringify(seen));
  check('its bullets hang inside, on the right', seen.bullets === 'right', seen.bullets);
  check('an Urdu quote has its bar on the right', seen.quote === 'rtl,rtl' && seen.bar === '3 0', `${seen.quote} ${seen.bar}`);
  check('an Urdu table begins on the right, and its Latin cells read from the left',
    seen.table === 'rtl' && seen.cells === 'rtl,ltr,rtl,ltr', `${seen.table} ${seen.cells}`);
  check('all cells of a column stand on the same side', seen.sides === 'right,right', seen.sides);
  check('code and formulas read from the left', !`${seen.code},${seen.math}`.includes('rtl'), `${seen.code} ${seen.math}`);
}

// What takes time in proportion to the square of its length takes minutes; what does not, less than
// this, however busy the machine is.
const STALLED = 10_000;

// Texts that could stall a page, and what each is made of.
const HOSTILE = {
  stars: '*a ', 'strong marks': '**a', 'closed and open marks': '*_a_ **b ', underscores: '_a ', brackets: '[', 'link heads': '[a](',
  'link heads with room': '[[[[](       ', images: '![', backticks: '`', 'runs of backticks': '` `` ``` ', 'code and stars': '*a `b` ',
  'angles': '<http://a', addresses: 'https://a.b/))))))) ', 'punctuation': 'https://' + ')'.repeat(1900) + 'x ', dollars: '$a ', 'double dollars': '$$', 'display marks': '\\[\n', 'inline marks': '\\(a ',
  backslashes: '\\', quotes: '> ', 'nested items': '- ', 'quoted items': '> - ', items: '- a\n', 'indented items': '  - a\n', 'empty items': '-\n',
  'blank lines': '- a\n\n\n\n\n\n', 'headings': '# a\n', 'heading tails': '# a ' + ' '.repeat(5000) + 'b #', 'bars': '|', 'rows': '|a|b|\n|-|-|\n',
  'wide rows': '|a', 'near tables': 'a|b\n- - -' + ' '.repeat(3000) + 'x\n', fences: '```\n', tildes: '~', rules: '- - - ', formulas: '$x$ ', 'formulas of all kinds': '$$\\frac{a}{b}$$\n\n', lines: 'a\n', words: 'word ', 'urdu': 'نقطہ ', spaces: ' ',
};

async function hostile(page, check) {
  const times = await page.evaluate((kinds) => Object.entries(kinds).map(([name, piece]) => {
    const text = piece.repeat(Math.ceil(1_000_000 / piece.length));
    const began = performance.now();
    const answer = document.createElement('div');
    let failed = null;
    try {
      window.grow(answer, text, {});
    } catch (error) {
      failed = String(error);
    }
    const ms = performance.now() - began;
    let depth = 0;
    for (let node = answer; node; node = node.lastElementChild) depth += 1;
    const letters = (text) => text.replace(/[^a-z]/g, '').length;
    const lost = /link|address|punctuation|angles|fences|formulas/.test(name) ? 0 : letters(text) - letters(answer.textContent);
    return { name, ms: Math.round(ms), failed, depth, lost };
  }), HOSTILE);
  for (const { name, ms, failed, depth, lost } of times) {
    check(`a megabyte of ${name} loses no letter`, lost <= 0, lost);
    check(`a megabyte of ${name} is shown in time`, !failed && ms < STALLED, failed ?? `${ms} ms`);
    check(`a megabyte of ${name} is not nested without end`, depth < 100, depth);
  }
  const strong = await page.evaluate(() =>
    ['*a '.repeat(500), '*a '.repeat(3000)].map((stars) => window.show(`${stars}\n\n**b**`).querySelectorAll('strong').length));
  check('after thousands of marks that mean nothing the rest is text', strong.join() === '1,0', strong);
  const prose = await page.evaluate((text) => {
    const whole = text.repeat(Math.ceil(1_000_000 / text.length));
    const began = performance.now();
    window.grow(document.createElement('div'), whole, {});
    return performance.now() - began;
  }, COMPLEX);
  check('a megabyte of an answer is shown in time', prose < STALLED, `${prose} ms`);
}

async function growing(page, check) {
  const seen = await page.evaluate(([text, sources]) => {
    const once = (text) => window.show(text, { sources }).cloneNode(true);
    const growing = document.createElement('div');
    growing.className = 'answer';
    window.answer.parentNode.append(growing);
    const failures = [];
    for (let length = 1; length <= text.length; length += 1) {
      const prefix = text.slice(0, length);
      try {
        window.grow(growing, prefix, { sources });
        if (!growing.isEqualNode(once(prefix))) failures.push(`differs after ${JSON.stringify(prefix.slice(-40))}`);
      } catch (error) {
        failures.push(`${error} after ${JSON.stringify(prefix.slice(-40))}`);
      }
    }
    growing.remove();
    return failures;
  }, [COMPLEX, SOURCES]);
  check('each beginning of an answer grows to what it is at once', seen.length === 0, seen.slice(0, 3));

  // Pieces in any order: what no author would write.
  const random = await page.evaluate(([text, sources]) => {
    let seed = 7;
    const next = (below) => (seed = (seed * 48271) % 2147483647) % below;
    const pieces = [...text.split(/(?<=[\n |*`$\\])/), '- ', '1. ', '> ', '\n', '\n\n', '  ', '```', '$$', '\\[', '\\]', '|', '|-|', '\n---', '#'];
    const failures = [];
    for (let round = 0; round < 150; round += 1) {
      const growing = document.createElement('div');
      growing.className = 'answer';
      let whole = '';
      for (let count = 0; count < 40; count += 1) {
        whole += pieces[next(pieces.length)];
        window.grow(growing, whole, { sources });
        if (growing.isEqualNode(window.show(whole, { sources }))) continue;
        failures.push(JSON.stringify(whole));
        break;
      }
    }
    return failures;
  }, [COMPLEX, SOURCES]);
  check('so do pieces in any order', random.length === 0, random.slice(0, 2).join('\n'));

  const kept = await page.evaluate(async () => {
    const answer = window.answer;
    answer.replaceChildren();
    window.grow(answer, 'One\n\n- two\n\n  ```js\n  a();\n', {});
    const paragraph = answer.firstChild;
    const button = answer.querySelector('button');
    button.focus();
    window.grow(answer, 'One\n\n- two\n\n  ```js\n  a();\n  b();\n  ```\n- three\n\nFour **and', {});
    const focused = answer.parentNode.activeElement === button && button.isConnected;
    const text = answer.querySelector('li').nextSibling.firstChild;
    getSelection().setBaseAndExtent(text, 0, text, 2);
    const range = getSelection().getComposedRanges?.({ shadowRoots: [answer.getRootNode()] })[0];
    window.grow(answer, 'One\n\n- two\n\n  ```js\n  a();\n  b();\n  ```\n- three and more', {});
    const selected = !range || (range.startContainer === text && text.isConnected
      && getSelection().getComposedRanges({ shadowRoots: [answer.getRootNode()] })[0].endOffset === 2);
    window.grow(answer, 'Another', {});
    return { selected, paragraph: paragraph.textContent === 'Another', focused, text: answer.textContent };
  });
  check('focus stays while the block around it grows', kept.focused, JSON.stringify(kept));
  check('so does what is selected in it', kept.selected, JSON.stringify(kept));
  check('an answer may be replaced by another', kept.text === 'Another', kept.text);

  const cited = await page.evaluate(([text, sources]) => {
    const element = document.createElement('div');
    window.grow(element, `${text}\n\nb\n\nc\n\nd`, { sources: null });
    window.grow(element, `${text}\n\nb\n\nc\n\nd`, { sources });
    return element.querySelectorAll('.citation').length;
  }, [`a [1](${WALKING})`, SOURCES]);
  check('a citation is known as soon as its source is', cited === 1, cited);

  const frame = await page.evaluate(([text]) => {
    const rounds = {};
    for (const [name, whole] of Object.entries({
      mixed: text.repeat(Math.ceil(20000 / text.length)),
      list: '- an item with **words** and `code` in it\n'.repeat(490),
      table: `| a | b |\n|---|---|\n${'| one **two** | `three` four |\n'.repeat(670)}`,
      code: `\`\`\`py\n${'x = [i ** 2 for i in range(10)]\n'.repeat(640)}`,
      paragraph: 'Some *words* of a sentence that has no end, '.repeat(450),
    })) {
      const element = window.answer;
      element.replaceChildren();
      window.grow(element, whole.slice(0, 19500), {});
      const times = [];
      for (let length = 19500; length < 20000; length += 5) {
        const began = performance.now();
        window.grow(element, whole.slice(0, length), {});
        times.push(performance.now() - began);
      }
      times.sort((a, b) => a - b);
      rounds[name] = times[50].toFixed(2);
    }
    return rounds;
  }, [COMPLEX]);
  // A single block that long is parsed anew as a whole; an answer of many is not.
  check('a piece of an answer of 20 kB costs less than a frame', frame.mixed < 4, JSON.stringify(frame));
  check('and of one huge block, little more', Object.values(frame).every((ms) => ms < 100), JSON.stringify(frame));
  const long = await page.evaluate(() => {
    const [text, element] = ['a *b*\n\n'.repeat(40_000), document.createElement('div')];
    for (const length of [199_990, 199_999, 200_000, 200_001, 200_006, 280_000]) window.grow(element, text.slice(0, length), {});
    return { rest: element.lastChild.textContent.length };
  });
  check('what is longer than any answer ends as text', long.rest === 80_000, JSON.stringify(long));

  const header = await page.evaluate(() => {
    const heights = [];
    const text = 'Before\n\n| a | b |\n|---|---|\n| 1 | 2 |';
    window.answer.replaceChildren();
    for (let length = 9; length <= text.length; length += 1) {
      window.grow(window.answer, text.slice(0, length), {});
      heights.push(window.answer.offsetHeight);
    }
    return heights.slice(1).map((height, index) => height - heights[index]);
  });
  check('a table that is half written does not jump', Math.min(...header) > -30 && Math.max(...header) < 60, header.join());
}

async function copying(page, check) {
  const copied = await page.evaluate(async () => {
    const written = [];
    Object.defineProperty(navigator, 'clipboard', { configurable: true, value: undefined });
    const [first] = window.show('```\nselected\n```').querySelectorAll('button');
    first.click();
    await Promise.resolve();
    const selected = first.textContent === 'Copy code' && first.getRootNode().querySelector('code').textContent;
    Object.defineProperty(navigator, 'clipboard', { configurable: true, value: { writeText: async (text) => written.push(text) } });
    const told = [];
    const answer = window.show('- a\n  ```sh\n  \techo "*a*" \\\n    | wc\n  ```', { onCopy: (text) => told.push(text), words: { copyCode: 'کاپی', copied: 'ہو گیا' } });
    const button = answer.querySelector('button');
    const before = button.textContent;
    button.click();
    await Promise.resolve();
    await Promise.resolve();
    return { selected, written, told, before, after: button.textContent };
  });
  check('a button copies the code as it is', copied.written[0] === '\techo "*a*" \\\n  | wc' && copied.told[0] === copied.written[0], JSON.stringify(copied));
  check('where nothing can be copied, it does not say that it was', copied.selected === 'selected', JSON.stringify(copied));
  check('it says so, in the reader\'s language', copied.before === 'کاپی' && copied.after === 'ہو گیا', JSON.stringify(copied));
}

async function formulas(page, check) {
  await page.evaluate(() => window.show('\\(a\\)'));
  await page.waitForFunction(() => window.answer.querySelector('math'));
  const drawn = (text) => page.evaluate((text) => [...window.show(text).querySelectorAll('.math')].map((node) =>
    [node.firstChild.localName, node.className, node.querySelector('annotation')?.textContent ?? node.textContent].join(' ')).join('; '), text);
  for (const [sentence, text, expected] of [
    ['a formula between \\( and \\) is drawn, whatever marks it holds', 'so \\(a_1 * b_2 * c\\) is', 'math math a_1 * b_2 * c'],
    ['a formula between dollars is drawn', 'so $E=mc^2$, and $x$.', 'math math E=mc^2; math math x'],
    ['so is one between \\[ and \\]', '1. a\n   \\[\n   x_1 = 2\n   \\],\n2. b', 'math math display \n'],
    ['a formula that is wrong stays TeX', '$\\frac{a$ and \\(\\nonsense{x}\\)', 'code math \\frac{a; code math \\nonsense{x}'],
    ['a formula that leads elsewhere stays TeX', '\\(\\href{javascript:alert(1)}{x}\\) \\(\\ref{a}\\) \\(\\style{color:red}{x}\\)',
      'code math \\href{javascript:alert(1)}{x}; code math \\ref{a}; code math \\style{color:red}{x}'],
    ['a formula may have no blank line in it, and what follows is drawn', '$$\na\n\nb\n$$\n\n$c$', 'math math c'],
    ['a formula without end stays TeX', '\\(\\def\\a{\\a\\a}\\a\\)', 'code math \\def\\a{\\a\\a}\\a'],
  ]) {
    const got = await drawn(text);
    check(sentence, got.replace(/\s+/g, ' ').startsWith(expected.replace(/\s+/g, ' ').trim()), got);
  }
  const block = await page.evaluate(() => {
    const answer = window.show('So:\n$$\np = x\n- \\ddot{x}\n$$\nand');
    return { brief: [...answer.children].map((node) => node.localName).join(), display: answer.querySelector('math').getAttribute('display'), annotation: answer.querySelector('annotation').textContent };
  });
  check('a formula\'s lines are no list and no heading', block.brief === 'p,p,p' && block.display === 'block', JSON.stringify(block));
  const many = await page.evaluate(() => {
    const formulas = ['\\pmb{x}', '\\boldsymbol{x}', '\\cancel{x}', '\\hspace{-100em}x', '\\color{red}x', '\\begin{pmatrix}a&b\\\\c&d\\end{pmatrix}',
      '\\sqrt[3]{x}', '\\overbrace{a+b}^{n}', '\\text{if } x', '\\mathscr{L}', '\\tag{1} x', '\\colorbox{red}{x}', '\\rule{1em}{1em}'];
    const text = formulas.map((tex) => `$$${tex}$$`).join('\n\n');
    window.show(text);
    const answer = window.show(text); // from what is kept
    return { drawn: answer.querySelectorAll('math').length, of: formulas.length, links: answer.querySelectorAll('a').length, wide: answer.scrollWidth > answer.clientWidth };
  });
  check('formulas of many kinds are drawn', many.drawn >= many.of - 2 && many.links === 0 && !many.wide, JSON.stringify(many));
  const flood = await page.evaluate(() => {
    const began = performance.now();
    const text = Array.from({ length: 5000 }, (_, index) => `$x_{${index}}$`).join(' ');
    const answer = window.show(`$$${'x+'.repeat(1500)}x$$\n\n${text}`);
    return { ms: performance.now() - began, drawn: answer.querySelectorAll('math').length, long: answer.firstChild.querySelectorAll('math').length };
  });
  check('a flood of formulas, and a very long one, are not drawn', flood.ms < STALLED && flood.drawn < 200 && flood.long === 0, JSON.stringify(flood));
  const sheets = await page.evaluate(() => window.answer.getRootNode().adoptedStyleSheets.length);
  check('the look of formulas is in the answer\'s own root, once', sheets === 2 && await page.evaluate(() => document.adoptedStyleSheets.length) === 0, sheets);
  const grows = await page.evaluate(() => {
    window.answer.replaceChildren();
    window.grow(window.answer, 'So \\(a\\) an', {});
    const math = window.answer.querySelector('math');
    window.grow(window.answer, 'So \\(a\\) and \\(b\\)', {});
    return math === window.answer.querySelector('math') && window.answer.querySelectorAll('math').length === 2;
  });
  check('a formula is not drawn again while its paragraph grows', grows);
}

async function withoutTemml(page, check) {
  const asked = page.waitForResponse(/temml\.js$/);
  await page.evaluate(() => window.show('so \\(a_1\\) is\n\n$$\nb\n$$'));
  const address = (await asked).url();
  // It has failed for math.js too by then.
  const shown = await page.evaluate(async (address) => {
    await import(address).catch(() => {});
    return window.brief(window.answer);
  }, address);
  check('without Temml a formula is its TeX', shown === '<p>so <span><code>a_1</></> is</><p><span><code>\nb\n</></></>', shown);
}
