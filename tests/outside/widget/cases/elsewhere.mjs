// The widget in other books, under strict policies, among hostile styles and answers.

import { ASK, answered, ask, box, button, log } from '../panel.mjs';

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

const needs = 'functions';
// A page that asks whether its answer is there; and what Debian's mdBook says of itself.
const written = [/409/, /highlight\.js/];
export const cases = [
  { name: 'in an mdBook', run: guest('mdbook', '/ch04-01-what-is-ownership.html', '/ch04-02-references-and-borrowing.html', 'main p'), needs, allowed: written },
  { name: 'in MkDocs Material', run: guest('mkdocs', '/walking/', '/', 'article p'), needs, allowed: written },
  { name: 'under a strict policy, for assistive technology', run: strict, needs },
  { name: 'where storage throws', run: withoutStorage, needs },
  { name: 'among hostile styles', run: hostileStyles, needs },
  { name: 'hostile answers are shown and do nothing', run: hostileAnswers, needs },
];
