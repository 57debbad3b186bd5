// The widget in other books, under strict policies, among hostile styles and answers; what it weighs,
// and that no page mixes two versions of it.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';

import { listen } from '../sites.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../../..');
const ASK = 'Ask the book';

const button = (page, name) => page.getByRole('button', { name, exact: true });
const box = (page) => page.getByRole('textbox', { name: 'Your question' });
const log = (page) => page.getByRole('log');

async function ask(page, text) {
  await box(page).fill(text);
  await box(page).press('Enter');
}

async function answered(page, text) {
  await log(page).getByText(text).last().waitFor();
  await button(page, 'Copy the answer').last().waitFor();
}

// A book whose every link loads a page: the answer is finished, and the next page has it.
function guest(site, first, next, article) {
  return async ({ page, site: sites, model, check, picture }) => {
    await page.goto(sites[site] + first);
    await button(page, ASK).waitFor();
    await page.keyboard.press('Control+i');
    await box(page).waitFor();
    await page.keyboard.type('s/'); // the site's own keys
    check.equal(await box(page).inputValue(), 's/', 'what was typed stays in the box');
    await box(page).fill('');
    await page.locator(article).first().evaluate((element) => {
      getSelection().selectAllChildren(element);
    });
    await button(page, 'Ask about this').click();
    const slow = model.next().say('It says ');
    await ask(page, 'What does this say?');
    await log(page).getByText('It says').waitFor();
    check(model.seen.at(-1).length > 100, 'the passage went along');
    await page.goto(sites[site] + next);
    await log(page).getByText('is being written').waitFor();
    slow.say('a good deal.').end();
    await answered(page, 'It says a good deal.');
    await picture('guest');
    await ask(page, 'How do I bend the knees?');
    await page.getByRole('link', { name: /^Source 1/ }).last().waitFor();
  };
}

// What the policy of a strict site allows to its own files is not counted: the page without the tag
// is the measure.
async function strict({ open, site, model, check, axe, origin }) {
  const csp = `default-src 'self'; script-src 'self' ${origin}; style-src 'self'; connect-src 'self' ${origin}; `
    + `img-src 'self' data:; require-trusted-types-for 'script'; trusted-types 'none'; report-uri /csp-report`;
  const page = { '/page': `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Strict</title></head>
    <body><main><article><h1>Strict</h1><p>A page under a strict policy.</p></article></main></body></html>` };
  const headers = { 'content-security-policy': csp };
  const at = site.variant({ pages: page, headers });
  for (const colorScheme of ['light', 'dark']) {
    const reader = await open({ colorScheme, reducedMotion: 'reduce' });
    await reader.goto(`${at}/page`);
    await button(reader, ASK).waitFor();
    check.equal(await axe(reader), [], `violations while idle, ${colorScheme}`);
    await button(reader, ASK).click();
    await box(reader).waitFor();
    check.equal(await axe(reader), [], `violations when opened, ${colorScheme}`);
    model.answer('| a | b |\n|---|---|\n| 1 | 2 |\n\n```rust\nfn main() {}\n```\n\nSo it is. [1]\n\n| c |\n|---|\n| 3 |');
    await ask(reader, 'How do I bend the knees?');
    await answered(reader, 'So it is.');
    check.equal(await axe(reader), [], `violations with an answer, ${colorScheme}`);
    await button(reader, 'Earlier conversations').click();
    check.equal(await axe(reader), [], `violations in the list, ${colorScheme}`);
  }
  check.equal(site.reports, [], 'reports of the policy');
}

async function withoutStorage({ page, site, check }) {
  await page.addInitScript(() => {
    for (const area of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(window, area, { get() { throw new DOMException('no', 'SecurityError'); } });
    }
  });
  const at = site.variant({ pages: { '/page': '<!doctype html><html lang="en"><head><title>Bare</title></head><body><p>Bare.</p></body></html>' } });
  await page.goto(`${at}/page`);
  await button(page, ASK).click();
  await ask(page, 'How do I bend the knees?');
  await answered(page, 'Bend the knees');
  check(await button(page, 'Stop').isHidden(), 'it has ended');
}

async function hostileStyles({ open, site, check }) {
  const styles = `* { color: red !important; font-size: 40px !important; letter-spacing: 1em !important; }
    button, textarea, div, section { background: hotpink !important; position: static !important; transform: rotate(3deg) !important; }`;
  const html = (css) => `<!doctype html><html lang="en"><head><title>Bare</title><style>${css}</style></head><body><p>Bare.</p></body></html>`;
  const looks = [];
  for (const css of ['', styles]) {
    const page = await open();
    await page.goto(`${site.variant({ pages: { '/page': html(css) } })}/page`);
    await button(page, ASK).click();
    await box(page).waitFor();
    looks.push(await page.evaluate(() => {
      const root = document.querySelector('textbook-chat').shadowRoot;
      return ['.panel', 'textarea', 'h2', '[part=composer] button'].map((name) => {
        const element = root.querySelector(name);
        const { color, backgroundColor, fontSize, letterSpacing, transform } = getComputedStyle(element);
        const { width, height } = element.getBoundingClientRect();
        return [name, color, backgroundColor, fontSize, letterSpacing, transform, Math.round(width), Math.round(height)];
      });
    }));
  }
  check.equal(looks[1], looks[0], 'how it looks among hostile styles');
}

async function hostileAnswers({ page, site, model, check }) {
  await page.goto(`${site.docusaurus}/docs/balance`);
  await button(page, ASK).click();
  const hostile = [
    '<img src=x onerror="window.hit=1"><script>window.hit=1</script> end1',
    '[a](javascript:window.hit=1) <a href="javascript:window.hit=1">b</a> end2',
    '![i](https://evil.example/pixel.png) [7](https://evil.example/) **unclosed [x](http:// ``` end3',
    `${'> '.repeat(500)}deep end4`,
    `${'<b>**x**`y`|z|'.repeat(75_000)} end5`,
  ];
  for (const [index, text] of hostile.entries()) {
    model.answer(text);
    await ask(page, `Hostile ${index}?`);
    await answered(page, `end${index + 1}`);
  }
  const found = await page.evaluate(() => {
    const root = document.querySelector('textbook-chat').shadowRoot;
    return {
      hit: window.hit ?? 0,
      images: root.querySelectorAll('[part=answer] img, [part=answer] script').length,
      links: [...root.querySelectorAll('[part=answer] a')].filter(({ protocol }) => !/^https?:$/.test(protocol)).length,
      cited: root.querySelectorAll('a.citation[href*="evil"]').length,
    };
  });
  check.equal(found, { hit: 0, images: 0, links: 0, cited: 0 }, 'what came of hostile answers');
}

// A page of its own: `html`, `body` are attributes, `css` its styles.
const bare = (content, { html = 'lang="en"', body = '', css = '' } = {}) => `<!doctype html><html ${html}><head><meta charset="utf-8">
  <meta name="viewport" content="width=device-width"><title>Bare</title><style>${css}</style></head><body ${body}>${content}</body></html>`;

async function hidden({ open, site, check }) {
  const at = site.variant({
    pages: {
      '/book': bare('<p>Of the book.</p>'),
      '/cover': bare('<p>The cover.</p><button>Turn</button>', { body: 'class="cover"', css: '.cover textbook-chat { display: none }' }),
    },
  });
  for (const phone of [false, true]) {
    const page = await open({ phone });
    await page.goto(`${at}/book`);
    await button(page, ASK).click();
    await box(page).waitFor();
    await page.goto(`${at}/cover`);
    // By then the widget would be open: what the page before has left open comes back.
    await page.waitForFunction(() => document.querySelector('textbook-chat')?.shadowRoot?.querySelector('.panel'));
    const free = await page.evaluate(() => document.body.dispatchEvent(new KeyboardEvent('keydown', {
      key: 'i', code: 'KeyI', ctrlKey: true, bubbles: true, cancelable: true,
    })));
    check(free, 'the keys are the page’s');
    await page.locator('body > p').evaluate((element) => getSelection().selectAllChildren(element));
    await button(page, 'Turn').click();
    check.equal(await page.locator('textbook-chat').evaluate((element) => {
      const shown = [...element.shadowRoot.querySelectorAll('*')].filter((one) => one.getClientRects().length);
      return [getComputedStyle(element).display, shown.length];
    }), ['none', 0], 'what is shown of it');
    await page.goto(`${at}/book`);
    await box(page).waitFor();
  }
}

async function directions({ open, site, check }) {
  const tag = (attributes) => `<script src="https://deployment.example/widget.js" ${attributes} defer></script>`;
  const books = [
    ['of an English book', 'lang="en"', '', 'right'],
    ['of an Urdu book', 'lang="ur" dir="rtl"', '', 'left'],
    ['in Urdu, in an English book', 'lang="en"', 'data-lang="ur"', 'left'],
    ['in English, in an Urdu book', 'lang="ur" dir="rtl"', 'data-lang="en"', 'right'],
    ['of a book in a language without words', 'lang="fa" dir="rtl"', '', 'right'],
    ['at the other corner', 'lang="ur" dir="rtl"', 'data-position="start"', 'right'],
    ['at the other corner, in English', 'lang="ur" dir="rtl"', 'data-lang="en" data-position="start"', 'left'],
  ];
  for (const [words, html, attributes, side] of books) {
    const page = await open();
    await page.goto(`${site.variant({ pages: { '/': bare('<p>Bare.</p>', { html }) }, tag: tag(attributes) })}/`);
    const launcher = page.locator('textbook-chat').getByRole('button').first();
    const panel = page.locator('textbook-chat').getByRole('dialog');
    const sideOf = async (element) => {
      const { x, width } = await element.boundingBox();
      return x + width / 2 < 640 ? 'left' : 'right';
    };
    const sides = [await sideOf(launcher)];
    await launcher.click();
    await panel.waitFor();
    sides.push(await sideOf(panel));
    await page.keyboard.press('Escape');
    await launcher.waitFor();
    sides.push(await sideOf(launcher));
    check.equal(sides, [side, side, side], `launcher, panel and launcher ${words}`);
  }
}

async function emptyBox({ page, site, check }) {
  await page.goto(`${site.variant({ pages: { '/': bare('<p>Bare.</p>', { html: 'lang="ur" dir="rtl"' }) } })}/`);
  await page.locator('textbook-chat').getByRole('button').first().click();
  const question = page.locator('textbook-chat textarea');
  const direction = () => question.evaluate((element) => getComputedStyle(element).direction);
  check.equal(await direction(), 'rtl', 'the placeholder');
  await question.pressSequentially('What');
  check.equal(await direction(), 'ltr', 'a question in English');
  await question.fill('');
  check.equal(await direction(), 'rtl', 'the placeholder again');
  await question.pressSequentially('کیا');
  check.equal(await direction(), 'rtl', 'a question in Urdu');
}

// mdBook's themes are classes, of which a page may have two: the last in its styles counts.
async function themes({ open, site, check }) {
  const light = '.light { background: #fff } .rust { background: #e1e1db }';
  const dark = '.ayu { background: #0f1419 } .coal { background: #141617 } .navy { background: #161923 }';
  const books = [
    ['light ayu', dark + light, false],
    ['light ayu', light + dark, true],
    ['navy light sidebar-visible', dark + light, false],
    ['js coal rust', light + dark, true],
    ['ayu', '', true],
    ['rust', '', false],
    ['light coal', '', true], // the system's
  ];
  for (const [classes, css, isDark] of books) {
    const page = await open({ colorScheme: css ? 'light' : 'dark' });
    await page.goto(`${site.variant({ pages: { '/': bare('<p>Bare.</p>', { html: `lang="en" class="${classes}"`, css }) } })}/`);
    await button(page, ASK).click();
    await box(page).waitFor();
    const scheme = () => page.locator('textbook-chat').evaluate(({ shadowRoot }) => getComputedStyle(shadowRoot.querySelector('.panel')).colorScheme);
    check.equal(await scheme(), isDark ? 'dark' : 'light', `the panel in a page that is ${classes}, ${css}`);
    await page.evaluate(() => (document.documentElement.className = 'navy'));
    check.equal(await scheme(), 'dark', 'once its reader has chosen a dark one');
  }
}

// A body with one of these holds what is fixed within it, and hides what hangs over.
async function held({ open, site, check, picture }) {
  const long = `<main>${'<p>A line.</p>'.repeat(200)}<p><a href="#x">The last.</a></p></main>`;
  const accent = 'body { --textbook-chat-z: 77; --ifm-color-primary: #7a1fa2 }';
  for (const css of ['', 'transform: translateZ(0)', 'filter: saturate(90%)', 'contain: content', 'will-change: transform']) {
    const at = site.variant({ pages: { '/': bare(long, { css: `${accent} body { ${css} }` }) } });
    for (const phone of [false, true]) {
      const page = await open({ phone });
      await page.goto(`${at}/`);
      const { width, height } = page.viewportSize();
      const inView = async (element, words) => {
        const { x, y, width: wide, height: high } = await element.boundingBox();
        const inside = x >= 0 && y >= 0 && x + wide <= width && y + high <= height;
        check(inside && y + high > height - 40, `${words} in a body with ${css}: ${[x, y, wide, high]}`);
      };
      await inView(button(page, ASK), 'the launcher');
      const level = await button(page, ASK).evaluate((element) => getComputedStyle(element).zIndex);
      check.equal(level, css ? '390' : '77', 'its level: what the site says, where it is in the body');
      await page.evaluate(() => scrollTo(0, 1_500));
      await inView(button(page, ASK), 'the launcher, once it is scrolled,');
      await button(page, ASK).click();
      const panel = page.getByRole('dialog', { name: ASK });
      await box(page).waitFor();
      await page.waitForFunction(() => document.activeElement?.localName === 'textbook-chat');
      await panel.evaluate((element) => Promise.all(element.getAnimations().map(({ finished }) => finished)));
      await inView(panel, 'the panel');
      check.equal(await page.evaluate(() => [document.querySelector('main').closest('[inert]') !== null, scrollY]), [phone, 1_500], 'the page behind it');
      if (css.startsWith('transform') && phone) await picture('held', page);
      await page.keyboard.press('Escape');
      await button(page, ASK).waitFor();
      check(await button(page, ASK).evaluate((element) => element.getRootNode().activeElement === element), 'the focus is back');
      await inView(button(page, ASK), 'the launcher again');
      check.equal(await page.evaluate(() => document.querySelectorAll('[inert]').length), 0, 'what is inert');
      // A router that empties the body.
      await page.evaluate(() => document.body.replaceChildren(document.createElement('p')));
      await page.waitForFunction(() => document.querySelector('textbook-chat'));
      await inView(button(page, ASK), 'the launcher of the next page');
      await page.emulateMedia({ media: 'print' });
      check(await button(page, ASK).isHidden(), 'nothing of it is printed');
    }
  }
  const tag = '<style>body { transform: translateZ(0) }</style><script src="https://deployment.example/widget.js" defer></script>';
  const page = await open();
  await page.goto(`${site.variant({ of: 'docusaurus', tag })}/docs/walking/gait`);
  await button(page, ASK).click();
  await box(page).fill('What is');
  await page.getByRole('link', { name: 'Stairs' }).first().click();
  await page.waitForURL(/stairs/);
  await page.getByRole('heading', { level: 1 }).waitFor();
  check.equal(await box(page).inputValue(), 'What is', 'what is being written, on the next page of a Docusaurus site');
  check.equal(await page.evaluate(() => document.querySelectorAll('textbook-chat').length), 1, 'such elements');
}

const KB = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;

async function sizes({ page, site, origin, check }) {
  const served = [];
  page.on('response', (response) => {
    if (response.url().startsWith(origin)) served.push(response);
  });
  const weigh = async () => {
    const bodies = await Promise.all(served.map((response) => response.body()));
    const sum = (packed) => bodies.reduce((all, body) => all + packed(body).length, 0);
    return { requests: served.length, gzip: sum((body) => gzipSync(body, { level: 9 })), brotli: sum((body) => brotliCompressSync(body)) };
  };
  await page.goto(`${site.docusaurus}/docs/balance`);
  await button(page, ASK).waitFor();
  const idle = await weigh();
  check(idle.requests <= 2 && idle.gzip <= 3 * 1024, `idle: ${JSON.stringify(idle)}`);
  const began = Date.now();
  await page.keyboard.press('Control+i');
  await box(page).waitFor();
  const opened = Date.now() - began;
  const open = await weigh();
  check(open.gzip <= 28 * 1024, `opened: ${JSON.stringify(open)}`);
  console.log(`      idle ${idle.requests} requests, ${KB(idle.gzip)} gzip, ${KB(idle.brotli)} brotli; `
    + `opened ${open.requests}, ${KB(open.gzip)}, ${KB(open.brotli)}; from key to open ${opened} ms`);
}

// Two deployments of different modules at one address. What is published is made by dist.sh.
async function versions({ open, check }) {
  const folder = mkdtempSync(join(tmpdir(), 'widget-versions-'));
  const made = (name, label) => {
    const copy = join(folder, name);
    cpSync(join(ROOT, 'public'), join(copy, 'public'), { recursive: true });
    cpSync(join(ROOT, 'dist.sh'), join(copy, 'dist.sh'));
    const strings = join(copy, 'public/widget/dev/strings.js');
    writeFileSync(strings, readFileSync(strings, 'utf8').replaceAll('Your question', label));
    execFileSync('sh', ['dist.sh'], { cwd: copy });
    const dist = join(copy, 'dist');
    return { dist, version: readdirSync(join(dist, 'widget'))[0] };
  };
  const before = made('before', 'Before');
  const after = made('after', 'After');
  let current = before;
  const asked = [];
  const page = '<!doctype html><html lang="en"><head><title>P</title><script src="/widget.js" defer></script></head><body><p>P.</p></body></html>';
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (pathname === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end(page);
    const file = join(current.dist, pathname);
    if (pathname.startsWith('/widget')) asked.push(pathname);
    if (!existsSync(file)) return response.writeHead(404).end();
    return response.writeHead(200, {
      'content-type': extname(file) === '.js' ? 'text/javascript' : 'text/plain',
      'cache-control': pathname === '/widget.js' ? 'public, max-age=300' : 'public, max-age=31536000, immutable',
    }).end(readFileSync(file));
  });
  const address = `http://localhost:${await listen(server, 0, '127.0.0.1')}`;
  try {
    const kept = await open();
    await kept.goto(address);
    await button(kept, ASK).waitFor();
    // Opened for the first time when the modules of its version are gone.
    current = after;
    asked.length = 0;
    await button(kept, ASK).click();
    await kept.getByRole('textbox', { name: 'After' }).waitFor();
    // And a page whose cache has the old loader, and nothing else.
    const cached = await open();
    current = before;
    await cached.goto(address);
    await button(cached, ASK).waitFor();
    current = after;
    await cached.goto(`${address}/?again`);
    await button(cached, ASK).click();
    await cached.getByRole('textbox', { name: 'After' }).waitFor();
    const loaded = await cached.evaluate(() => performance.getEntriesByType('resource')
      .filter(({ name, responseStatus }) => name.includes('/widget/') && responseStatus !== 404)
      .map(({ name }) => name.split('/')[4]));
    const running = loaded.slice(loaded.lastIndexOf(before.version) + 1);
    check(running.length > 5 && running.every((version) => version === after.version), `versions: ${loaded}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

const needs = 'functions';
// A page that asks whether its answer is there; and what Debian's mdBook says of itself.
const written = [/409/, /highlight\.js/];
export const cases = [
  { name: 'in an mdBook', run: guest('mdbook', '/ch04-01-what-is-ownership.html', '/ch04-02-references-and-borrowing.html', 'main p'), needs, allowed: written },
  { name: 'in MkDocs Material', run: guest('mkdocs', '/walking/', '/', 'article p'), needs, allowed: written },
  { name: 'under a strict policy, for assistive technology', run: strict, needs },
  { name: 'where storage throws', run: withoutStorage, needs },
  { name: 'among hostile styles', run: hostileStyles, needs },
  { name: 'a site hides it with display: none', run: hidden },
  { name: 'launcher and panel are at the same side', run: directions },
  { name: 'an empty box is of the panel’s direction', run: emptyBox },
  { name: 'where the classes of a page contradict each other, its ground tells the theme', run: themes },
  { name: 'within a body that holds what is fixed, it stays in view', run: held },
  { name: 'hostile answers are shown and do nothing', run: hostileAnswers, needs },
  { name: 'what it weighs', run: sizes, needs },
  { name: 'an old cache and a new deployment', run: versions, needs, allowed: [/404|request: http:\/\/localhost/] },
];
