// What a reader selects, in books by three generators: the text that comes of it, and when.

import { readFileSync, readdirSync } from 'node:fs';

const MODULES = ['passage', 'page', 'place'];

/** Opens a page and gets the modules to it, as the widget would. */
async function read(page, address, origin) {
  await page.goto(address);
  await page.evaluate(
    async ([origin, names]) => {
      const all = names.map((name) => import(`${origin}/widget/dev/${name}.js`));
      window.modules = Object.assign({}, ...(await Promise.all(all)));
    },
    [origin, MODULES],
  );
}

/**
 * Selects from the words `from` to the end of the words `to` (each found in the rendered text of
 * the page), and gives the passage's text.
 */
function select(page, from, to = from, { backwards = false } = {}) {
  return page.evaluate(
    ([from, to, backwards]) => {
      const { passageOf, articleOf } = window.modules;
      const find = (words) => {
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
          const at = walker.currentNode.data.indexOf(words);
          const { parentElement: parent } = walker.currentNode;
          if (at < 0 || parent.closest('nav, script, annotation')) continue;
          return [walker.currentNode, at];
        }
        throw new Error(`no text ${words}`);
      };
      const [start, at] = find(from);
      const [end, before] = find(to);
      const points = [start, at, end, before + to.length];
      if (backwards) points.push(...points.splice(0, 2));
      getSelection().setBaseAndExtent(...points);
      return passageOf(getSelection(), articleOf())?.text ?? null;
    },
    [from, to, backwards],
  );
}

/** The passage of all of an element. */
function selectAll(page, selector) {
  return page.evaluate((selector) => {
    const { passageOf, articleOf } = window.modules;
    getSelection().selectAllChildren(document.querySelector(selector));
    return passageOf(getSelection(), articleOf())?.text ?? null;
  }, selector);
}

const PYTHON = `def tilt(angle, gyro, accel, dt):
    # The gyroscope for what is fast,
    # the accelerometer for what is slow.
    fast = angle + gyro * dt

    return 0.98 * fast + 0.02 * accel`;

async function docusaurus({ page, origin, site, check }) {
  const sensors = `${site.docusaurus}/docs/sensors`;
  await read(page, sensors, origin);
  const expected = [
    ['half words', ['bot knows', 'inert'], 'robot knows the angles of its joints from encoders, and its tilt from an inertial'],
    ['backwards', ['bot knows', 'ang', { backwards: true }], 'robot knows the angles'],
    ['a heading without its sign', ['The inertial measure', 'holds two'], 'The inertial measurement unit\n\nAn inertial measurement unit holds two'],
    ['items, nested ones too', ['an accelero', 'quickly'], 'an accelerometer, which feels gravity and every push;\na gyroscope, which feels turning, and whose error grows with time:\nslowly, if it is expensive,\nquickly'],
    ['numbered items', ['Read both', 'is fast.'], 'Read both a thousand times a second.\nTrust the gyroscope for what is fast.'],
    ['an admonition', ['Complementary', 'often enough.'], 'Complementary\n\nThe two err in opposite ways, so a complementary filter of one line is often enough.'],
    ['rows of a table', ['Sensor', 'Encoder'], 'Sensor | Error | Remedy\nAccelerometer | 0.05 m/s² | average\nGyroscope | 3°/h | filter.py\nEncoder'],
    ['a cell', ['0.05 m/s²'], '0.05 m/s²'],
    ['a quote', ['sensor never', 'asked.'], 'sensor never lies; it answers another question than the one that was asked.'],
    ['a tab that is shown', ['At 100 Hz', 'milliseconds.'], 'At 100 Hz the filter lags behind a push by ten milliseconds.'],
    ['a summary', ['What about cam'], 'What about cameras'],
    ['code, not in whole words', ['he gyroscope for what is fast,', ' gyro '], 'he gyroscope for what is fast,\n    # the accelerometer for what is slow.\n    fast = angle + gyro'],
  ];
  for (const [words, selected, text] of expected) check.equal(await select(page, ...selected), text, words);
  check.equal(await selectAll(page, 'pre code'), PYTHON, 'code with its lines and indentation');
  check.equal(await selectAll(page, 'pre'), PYTHON, 'the same from outside');
  const across = await select(page, 'filter.py', 'ten milli');
  check.equal(across, `filter.py\n\n${PYTHON}\n\nAt 100 Hz the filter lags behind a push by ten milliseconds`, 'code between others');

  // From the first word of the page to the last: what is outside the article is cut off.
  const article = await selectAll(page, 'body');
  check(article.startsWith('How a Robot Feels Itself\n\nA robot knows'), article.slice(0, 80));
  check(article.endsWith('What about cameras?'), article.slice(-80));
  for (const words of ['On this page', 'one millisecond', 'thirty times', 'Next', '\u200b']) {
    check(!article.includes(words), `there is no ${JSON.stringify(words)} in the article`);
  }
  check.equal(await selectAll(page, 'nav'), null, 'a selection outside the article');
  await page.locator('summary').click();
  check.equal(await select(page, 'camera sees', 'thirty'), 'camera sees the drift of all the others, thirty', 'an opened detail');

  await read(page, `${site.docusaurus}/docs/software`, origin);
  const cpp = '{\n\tauto state = estimate(sensors.read());\n\tauto torque = balance(state);   // never blocks';
  check.equal(await select(page, '{', '// never blocks'), cpp, 'tabs and spaces in code');
  check.equal(await select(page, 'stimate()', 'first'), 'stimate() first', 'code in a sentence, as it is');

  await read(page, `${site.docusaurus}/docs/walking/gait`, origin);
  const terms = 'Single support\nOne foot carries the body, the other swings.\nDouble support\nBoth feet';
  check.equal(await select(page, 'Single support', 'Both feet'), terms, 'terms and what they mean');

  await read(page, `${site.docusaurus}/docs/urdu`, origin);
  const urdu = 'روبوٹ کھڑے رہنے کے لیے';
  check.equal(await select(page, urdu.slice(2, -1)), urdu, 'words from right to left');

  await read(page, `${site.docusaurus}/blog/first-steps`, origin);
  check.equal(await select(page, 'took its', 'Wednes'), 'took its first step on a Tuesday, and its second one on Wednesday', 'a note');
}

async function formulas({ page, origin, site, check }) {
  await read(page, `${site.docusaurus}/docs/balance`, origin);
  const text = await select(page, 'point where', 'does not tip.');
  check.equal(
    text,
    'point where the tipping moment vanishes. With the height $z$ of the centre of mass and gravity $g$, it lies at\n\n'
      + '$$p = x - \\frac{z}{g}\\,\\ddot{x}$$\n\n'
      + 'As long as $p$ stays inside the foot, the foot does not tip.',
    'formulas by their TeX',
  );
  const inside = await page.evaluate(() => {
    const { passageOf, articleOf } = window.modules;
    const drawn = [...document.querySelectorAll('.katex-display .katex-html .mord')].at(-1);
    getSelection().selectAllChildren(drawn);
    return passageOf(getSelection(), articleOf()).text;
  });
  check.equal(inside, '$$p = x - \\frac{z}{g}\\,\\ddot{x}$$', 'a part of a formula is all of it');

  const mathjax = site.variant({
    pages: {
      '/': `<main><p>First <span class="MathJax_Preview">x</span><span class="MathJax"><nobr>x²</nobr></span><script type="math/tex">x^2</script>
        and <mjx-container><mjx-math aria-hidden="true">y</mjx-math><mjx-assistive-mml><math><mi>y</mi></math></mjx-assistive-mml></mjx-container> then
        <math display="block"><semantics><mi>z</mi><annotation encoding="application/x-tex">z_0</annotation></semantics></math> last.</p></main>`,
    },
  });
  await read(page, mathjax, origin);
  check.equal(await selectAll(page, 'p'), 'First $x^2$ and $y$ then $$z_0$$ last.', 'MathJax and MathML');
}

async function others({ page, origin, site, check }) {
  await read(page, `${site.mkdocs}/`, origin);
  const python = PYTHON.split('\n').filter((line) => !line.includes('#')).join('\n');
  check.equal(await selectAll(page, '.highlighttable'), python, 'code beside its line numbers');
  const all = await selectAll(page, 'article');
  check(all.startsWith('How a Robot Feels Itself\n\nA robot'), all.slice(0, 60));
  check(all.includes(`The filter\n\n${python}\n\nSensor | Error\nAccelerometer | 0.05 m/s²\n`), all);
  check(all.includes('Complementary\n\nThe two err in opposite ways.\n\nCameras'), all);
  check(!all.includes('¶'), 'no signs of links');

  await read(page, `${site.mdbook}/ch04-01-what-is-ownership.html`, origin);
  check.equal(
    await select(page, 'ership?', 'is a set'),
    'Ownership?\n\nOwnership is a set',
    'a heading that is a link',
  );
  check.equal(await selectAll(page, 'pre'), 'let s = "hello";', 'code between lines that are hidden');
}

async function made({ page, origin, site, check }) {
  await read(page, `${site.docusaurus}/docs/sensors`, origin);
  await page.evaluate(() => {
    const { watchSelection, articleOf } = window.modules;
    window.changes = [];
    window.watch = new AbortController();
    watchSelection({
      article: () => articleOf(),
      onChange: (passage) => window.changes.push(passage?.text ?? null),
      signal: window.watch.signal,
    });
  });
  const changes = (count) => page.waitForFunction((n) => window.changes.length >= n && window.changes, count);
  const told = async (count) =>
    (await changes(count).catch(async () => {
      throw new Error(`${count} changes: ${JSON.stringify(await page.evaluate(() => window.changes))}`);
    })).jsonValue();
  const paragraph = page.getByText('An inertial measurement unit holds');
  const { x, y, width, height } = await paragraph.boundingBox();

  // The mouse: nothing while it is pressed, however long.
  await page.mouse.move(x + 2, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width / 4, y + height / 2, { steps: 4 });
  await page.waitForFunction(() => !getSelection().isCollapsed);
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 300)));
  check.equal(await page.evaluate(() => window.changes), [], 'while it is dragged');
  await page.mouse.up();
  check((await told(1))[0].startsWith('An inertial'), 'by mouse');
  await page.mouse.click(x + width - 4, y + height / 2);
  check.equal((await told(2))[1], null, 'and taken back');

  // A double and a triple click.
  await page.mouse.dblclick(x + 40, y + height / 2);
  check.equal((await told(3))[2], 'inertial', 'a word');
  await page.mouse.click(x + 40, y + height / 2, { clickCount: 3 });
  check.equal((await told(4))[3], 'An inertial measurement unit holds two instruments:', 'a paragraph, and nothing of the next');

  // The keyboard makes it longer.
  await page.mouse.dblclick(x + 40, y + height / 2);
  await told(5);
  for (let letter = 0; letter < 6; letter += 1) await page.keyboard.press('Shift+ArrowRight');
  check.equal((await told(6)).at(-1), 'inertial measurement', 'by keyboard');

  // In a box of the page's own nothing is a passage.
  await page.evaluate(() => {
    getSelection().removeAllRanges();
    document.querySelector('article').insertAdjacentHTML('beforeend', '<textarea id="box">some text</textarea>');
  });
  check.equal((await told(7)).at(-1), null, 'nothing selected');
  await page.locator('#box').press('Control+a');
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 300)));
  check.equal(await page.evaluate(() => window.changes.length), 7, 'in a text box');

  await page.evaluate(() => {
    window.watch.abort();
    getSelection().selectAllChildren(document.querySelector('article p'));
  });
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 300)));
  check.equal(await page.evaluate(() => window.changes.length), 7, 'when nobody watches any more');
}

async function touched({ open, origin, site, check }) {
  const page = await open({ phone: true });
  await read(page, `${site.docusaurus}/docs/sensors`, origin);
  await page.evaluate(() => {
    const { watchSelection, articleOf } = window.modules;
    window.changes = [];
    watchSelection({ article: () => articleOf(), onChange: (passage) => window.changes.push(passage?.text ?? null) });
    // A long press makes no selection in a browser without a screen: its events, then, and a selection.
    const { firstChild } = document.querySelector('article p');
    const touch = (type) => document.body.dispatchEvent(new TouchEvent(type, { bubbles: true }));
    touch('touchstart');
    getSelection().setBaseAndExtent(firstChild, 3, firstChild, 6);
    touch('touchend');
  });
  await page.waitForFunction(() => window.changes.length);
  check.equal(await page.evaluate(() => window.changes), ['robot'], 'by touch');
}

async function long({ page, origin, site, check }) {
  const many = '\u{1F916}'.repeat(20_000);
  const book = site.variant({ pages: { '/': `<main><p>${many}</p><p>${many}!</p></main>` } });
  await read(page, book, origin);
  const tooLong = (selector) =>
    page.evaluate((selector) => {
      const { passageOf, articleOf } = window.modules;
      getSelection().selectAllChildren(document.querySelector(selector));
      return passageOf(getSelection(), articleOf()).tooLong;
    }, selector);
  check.equal(await tooLong('p'), false, '20,000 characters of two units each');
  check.equal(await tooLong('p + p'), true, 'one more');
}

async function back({ page, origin, site, check, picture }) {
  await read(page, `${site.docusaurus}/docs/sensors`, origin);
  const marked = () =>
    page.evaluate(() => {
      const [range] = CSS.highlights.get('textbook-chat') ?? [];
      const { top, bottom } = range?.getBoundingClientRect() ?? {};
      return range ? [range.toString(), top >= 0 && bottom <= innerHeight] : null;
    });
  await page.locator('.markdown details[class*=isBrowser]').waitFor(); // Docusaurus has changed what it changes
  const tree = () => page.evaluate(() => document.head.innerHTML.length + document.body.innerHTML.length);
  const before = await tree();
  for (const selector of ['p', 'pre code', 'table', 'blockquote', 'ul', '.theme-admonition']) {
    // Text alone, as another page of the site has kept it.
    const found = await page.evaluate((selector) => {
      const { passageOf, articleOf, leadBack } = window.modules;
      getSelection().selectAllChildren(document.querySelector(`.markdown ${selector}`));
      const { text } = passageOf(getSelection(), articleOf());
      const selected = getSelection().toString();
      getSelection().removeAllRanges();
      scrollTo(0, 1e6);
      return leadBack(text, articleOf()) && selected;
    }, selector);
    check(found, `${selector} is found`);
    await page.waitForFunction(() => {
      const [range] = CSS.highlights.get('textbook-chat');
      const { top, bottom } = range.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    });
    const squeezed = (text) => text.replace(/\s+/g, '').toLowerCase();
    check(squeezed((await marked())[0]).includes(squeezed(found).slice(0, 20)), `${selector}: ${(await marked())[0]}`);
  }
  await picture('marked');
  const gone = await page.evaluate(() => window.modules.leadBack('not in the book', window.modules.articleOf()));
  check.equal(gone, false, 'a text that is not there');
  await page.waitForFunction(() => !CSS.highlights.get('textbook-chat') && !document.adoptedStyleSheets.length);
  check.equal(await tree(), before, "the page's tree");

  // A formula, by its text; and the range that was kept.
  await read(page, `${site.docusaurus}/docs/balance`, origin);
  const formula = 'lies at\n\n$$p = x - \\frac{z}{g}\\,\\ddot{x}$$\n\nAs long as $p$';
  check(await page.evaluate((text) => window.modules.leadBack(text, window.modules.articleOf()), formula), 'a formula is found');
  check((await marked())[0].endsWith('p'), (await marked())[0].slice(-20));
  const kept = await page.evaluate(() => {
    const { passageOf, articleOf, leadBack } = window.modules;
    const last = [...document.querySelectorAll('article p')].at(-1);
    getSelection().selectAllChildren(last);
    const passage = passageOf(getSelection(), articleOf());
    return leadBack({ ...passage, text: 'changed' }, null);
  });
  check(kept, 'by its range');

  // Where a citation leads.
  await page.goto(`${site.docusaurus}/docs/sensors#which-sensor-errs-how`);
  await read(page, page.url(), origin);
  check(await page.evaluate(() => window.modules.markTarget()), 'there is such a heading');
  check(/^Which sensor errs how/.test((await marked())[0]), (await marked())[0]);
  check.equal(await page.evaluate(() => window.modules.markTarget('#nowhere')), false, 'and no such');
  check.equal(await page.evaluate(() => window.modules.markTarget('#%')), false, 'nor such');
}

async function now({ page, origin, site, check }) {
  const told = () => page.evaluate(() => window.modules.pageNow());
  await read(page, `${site.docusaurus}/docs/balance?theme=dark#ankle-hip-step`, origin);
  await page.waitForFunction(() => document.title.startsWith('Balance'));
  check.equal(await told(), {
    url: `${site.docusaurus}/docs/balance`,
    title: 'Balance | Robots That Walk',
    heading: 'Standing Still Is Work',
  });
  await page.getByRole('link', { name: 'Gait' }).first().click();
  await page.getByRole('heading', { name: 'A Controlled Fall' }).waitFor();
  await page.waitForFunction(() => document.title.startsWith('Gait'));
  check.equal(await told(), {
    url: `${site.docusaurus}/docs/walking/gait`,
    title: 'Gait | Robots That Walk',
    heading: 'A Controlled Fall',
  });
  await read(page, `${site.mkdocs}/walking/`, origin);
  check.equal((await told()).heading, 'A Controlled Fall', 'without its sign');
  await read(page, `${site.mdbook}/ch04-01-what-is-ownership.html`, origin);
  check((await told()).title.startsWith('What is Ownership?'), 'of mdBook');
  check.equal(await page.evaluate(() => window.modules.articleOf('.nowhere')), null, "the owner's selector is the owner's");
}

// Of each generator a page as it was built, without its styles and scripts.
async function generators({ page, origin, site, check }) {
  const books = new URL('../../../stories/book/fixtures/', import.meta.url);
  const builds = { docusaurus: 'docs/motion/walking/index.html', 'mkdocs-material': 'walking/index.html' };
  for (const generator of readdirSync(books)) {
    if (generator.includes('.')) continue;
    const file = new URL(`${generator}/site/${builds[generator] ?? 'walking.html'}`, books);
    const html = readFileSync(file, 'utf8').replace(/<(script|style)\b.*?<\/\1>|<link\b[^>]*>/gs, '');
    await read(page, site.variant({ pages: { '/': html }, tag: '' }), origin);
    const { title, heading } = await page.evaluate(() => window.modules.pageNow());
    check.equal(heading, 'Walking', `the heading of ${generator}`);
    check(/walking/i.test(title), title);
    const text = await selectAll(page, 'body');
    check(text.startsWith('Walking\n'), `${generator} begins with ${JSON.stringify(text.slice(0, 60))}`);
    for (const words of ['kxnav', 'Next', 'Previous', 'Search', '¶', '#\n', 'Skip to']) {
      check(!text.includes(words), `${generator} has ${words}: ${JSON.stringify(text)}`);
    }
  }
}

// The numbers of notes, and the signs that lead back from them, as each generator writes them.
async function notes({ page, origin, site, check }) {
  const books = new URL('../../../stories/book/fixtures/', import.meta.url);
  const builds = { docusaurus: 'docs/notes/index.html', 'mkdocs-material': 'notes/index.html' };
  for (const generator of readdirSync(books)) {
    if (generator.includes('.')) continue;
    const file = new URL(`${generator}/site/${builds[generator] ?? 'notes.html'}`, books);
    const html = readFileSync(file, 'utf8').replace(/<(script|style)\b.*?<\/\1>|<link\b[^>]*>/gs, '');
    await read(page, site.variant({ pages: { '/': html }, tag: '' }), origin);
    const text = await select(page, 'A statement with', 'kwfootref');
    check.equal(text, 'A statement with a note. Another. kwfootref', `notes of ${generator}`);
    // mdBook's sign has no name.
    check(generator === 'mdbook' || !(await selectAll(page, 'body')).includes('↩'), `${generator} leads back from its notes`);
  }
  const others = site.variant({
    pages: {
      '/': `<main><p>Pandoc<a href="#fn1" class="footnote-ref" role="doc-noteref"><sup>1</sup></a>,
        Asciidoctor<sup class="footnote">[<a class="footnote" href="#_footnotedef_1">1</a>]</sup>, DocBook<a class="footnote" href="#ftn"><sup>[1]</sup></a>
        and x<sup>2</sup> <a href="#x">1</a>.</p></main>`,
    },
  });
  await read(page, others, origin);
  check.equal(await selectAll(page, 'p'), 'Pandoc, Asciidoctor, DocBook and x2 1.', 'notes of others');
}

async function chatkit({ page, origin, site, check }) {
  // ChatKit's own script is on another host: without its window, as far as the page itself goes.
  await page.goto(`${origin}/chatkit.html`);
  await page.evaluate(async () => {
    const { watchPassage } = await import('/chatkit-passage.js');
    window.asked = [];
    watchPassage(document.getElementById('passage'), document.getElementById('ask-selection'), (text) => window.asked.push(text));
    for (const button of document.querySelectorAll('.ask-section')) button.hidden = false;
  });
  const paragraph = page.locator('#passage section p').first();
  await paragraph.evaluate((element) => getSelection().selectAllChildren(element));
  await page.locator('#ask-selection').click();
  const words = (await paragraph.textContent()).replace(/\s+/g, ' ').trim();
  check.equal(await page.evaluate(() => window.asked), [words], 'what is selected');
  await page.locator('.ask-section').first().click();
  const section = (await page.evaluate(() => window.asked)).at(-1);
  check(section.includes('\n\n') && !section.includes('Ask about'), section);
}

export const cases = [
  // ChatKit comes from its maker's host.
  { name: "ChatKit's page offers the same passages", run: chatkit, allowed: [/request: |ERR_|chatkit/i] },
  { name: 'each kind of block in Docusaurus', run: docusaurus },
  { name: 'formulas by their TeX', run: formulas },
  { name: 'code, tables and headings in MkDocs and mdBook', run: others },
  { name: 'the article of each generator', run: generators, allowed: [/favicon|404|ERR_/] },
  { name: 'notes without their numbers', run: notes, allowed: [/favicon|404|ERR_/] },
  { name: 'by mouse and keyboard, once it is made', run: made },
  { name: 'by touch', run: touched },
  { name: 'a passage that is too long says so', run: long },
  { name: 'back to a passage, and to a cited heading', run: back },
  { name: 'the page that the reader is on', run: now },
];
