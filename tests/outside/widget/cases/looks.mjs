// What a site does with the widget's place, direction and theme.

import { ASK, box, button } from '../panel.mjs';

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

export const cases = [
  { name: 'a site hides it with display: none', run: hidden },
  { name: 'launcher and panel are at the same side', run: directions },
  { name: 'an empty box is of the panel’s direction', run: emptyBox },
  { name: 'where the classes of a page contradict each other, its ground tells the theme', run: themes },
  { name: 'within a body that holds what is fixed, it stays in view', run: held },
];
