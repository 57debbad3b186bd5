// A reader's way through the Docusaurus site with nothing but the tag: asking about a passage,
// following a citation, leaving while an answer is written, stopping, and what is kept.

const GAIT = '/docs/walking/gait';

/** What a reader sees and presses, by its name. */
function chat(page) {
  const button = (name, exact = true) => page.getByRole('button', { name, exact });
  return {
    launcher: button('Ask the book'),
    box: page.getByRole('textbox', { name: 'Your question' }),
    panel: page.getByRole('dialog', { name: 'Ask the book' }),
    log: page.getByRole('log'),
    status: page.locator('textbook-chat').getByRole('status'),
    button,
    async ask(text) {
      await this.box.fill(text);
      await this.box.press('Enter');
    },
    async answered(text) {
      await this.log.getByText(text).last().waitFor();
      await this.button('Copy the answer').last().waitFor();
    },
  };
}

/** Selects words of the page as a reader does with the mouse. */
async function select(page, locator) {
  await locator.scrollIntoViewIfNeeded();
  await locator.evaluate((element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  });
}

async function passageAndCitation({ page, site, model, check, picture }) {
  const reader = chat(page);
  await page.goto(site.docusaurus + '/docs/sensors');
  await reader.launcher.waitFor();
  const began = Date.now();
  await reader.launcher.click();
  await reader.box.waitFor();
  const opened = Date.now() - began;
  check(opened < 5_000, `it opened after ${opened} ms`);
  console.log(`      opened after ${opened} ms`);
  await reader.button('Close').click();
  check(await reader.launcher.evaluate((it) => it.getRootNode().activeElement === it), 'the focus is back');

  const paragraph = page.locator('article .markdown p').first();
  const words = (await paragraph.innerText()).slice(0, 40);
  await select(page, paragraph);
  await reader.button('Ask about this').click();
  await reader.button('Remove the passage').waitFor();
  await reader.ask('What does this say?');
  await reader.answered('Bend the knees');
  check(model.seen.at(-1).includes(words.slice(0, 20)), `the passage was not sent: ${model.seen.at(-1)}`);
  check(!(await reader.button('Remove the passage').isVisible()), 'the passage is sent once');
  await page.getByRole('button', { name: 'Back to this passage in the book' }).click();
  await picture('passage');

  await reader.button('New conversation').click();
  await reader.ask('How do I bend the knees?');
  await page.getByRole('link', { name: /^Source 1/ }).last().waitFor();
  await picture('answer');
  // To a section of this very site; the panel stays, and the section is marked.
  const source = page.getByRole('link', { name: /^Source 1/ }).last();
  const address = await source.getAttribute('href');
  check(address.startsWith(`${site.docusaurus}/docs/`) && address.includes('#'), address);
  await source.click();
  await page.waitForURL(address);
  check.equal(await page.locator(`[id="${new URL(address).hash.slice(1)}"]`).count(), 1, 'such sections');
  await page.waitForFunction(() => CSS.highlights.size > 0);
  check(await reader.panel.isVisible(), 'the panel stays');
  await reader.answered('Bend the knees');
}

// The answer is finished for a reader who follows a link of the site, and for one who reloads.
async function leaving({ page, site, model, check }) {
  const reader = chat(page);
  await page.goto(site.docusaurus + GAIT);
  await reader.launcher.click();
  const slow = model.next().say('The first half ');
  await reader.ask('Which half is first?');
  await reader.log.getByText('The first half').waitFor();
  await page.getByRole('link', { name: 'Stairs' }).first().click();
  await page.waitForURL(/stairs/);
  slow.say('and more ');
  await reader.log.getByText('and more').waitFor();
  await page.reload();
  await reader.log.getByText('The first half').waitFor();
  await reader.log.getByText('is being written').waitFor();
  slow.say('and the end.').end();
  const ended = Date.now();
  await reader.log.getByText('and the end.').waitFor({ timeout: 4_000 });
  const shown = Date.now() - ended;
  check(shown < 3_000, `shown after ${shown} ms`);
  console.log(`      shown on the next page ${shown} ms after its end`);
  const times = model.asked.filter(({ messages }) => messages.at(-1).content.includes('Which half')).length;
  check.equal(times, 1, 'requests to the model');
  // It is stored whole: another reload shows it from the server.
  await page.reload();
  await reader.answered('and the end.');
  check(!(await reader.log.getByText('Stopped.').isVisible()), 'nobody stopped it');
}

async function stopping({ page, origin, site, model, check }) {
  const reader = chat(page);
  await page.goto(site.docusaurus + GAIT);
  await reader.launcher.click();
  const slow = model.next().say('A beginning ');
  await reader.ask('Walk for ever?');
  await reader.log.getByText('A beginning').waitFor();
  const pressed = Date.now();
  await reader.button('Stop').click();
  await reader.log.getByText('Stopped.').waitFor();
  const stopped = Date.now() - pressed;
  check(stopped < 3_000, `stopped after ${stopped} ms`);
  console.log(`      stopped after ${stopped} ms`);
  slow.say('more ').say('more ');
  await slow.left;
  const session = await page.evaluate(() => document.querySelector('textbook-chat').sessionId);
  const kept = async () => {
    const reply = await fetch(`${origin}/chat`, { headers: { 'x-session-id': session } });
    return (await reply.json()).messages.at(-1);
  };
  let message = await kept();
  for (let tries = 0; message.role !== 'assistant' && tries < 40; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    message = await kept();
  }
  check.equal([message.role, message.state], ['assistant', 'cancelled'], 'what the server keeps');

  // Also one that an earlier page has asked for.
  const other = model.next().say('Another beginning ');
  await reader.ask('And on?');
  await reader.log.getByText('Another beginning').waitFor();
  await page.reload();
  await reader.log.getByText('is being written').waitFor();
  await reader.button('Stop').click();
  other.say('more ');
  await other.left;
  await reader.button('Send').waitFor();
}

async function conversations({ page, site, model, check }) {
  const reader = chat(page);
  await page.goto(site.docusaurus + GAIT);
  await reader.launcher.click();
  for (const question of ['What is a gait?', 'Why stairs?', 'What is ROS?']) {
    model.answer(`An answer to: ${question}`);
    await reader.ask(question);
    await reader.answered(`An answer to: ${question}`);
    await reader.button('New conversation').click();
  }
  await reader.button('Earlier conversations').click();
  const rows = page.getByRole('button', { name: /What is a gait\?/ });
  await rows.first().click();
  await reader.answered('An answer to: What is a gait?');
  await reader.ask('And faster?');
  await reader.answered('Bend the knees');
  check(model.seen.some((line) => line.includes('What is a gait?')), 'the conversation goes on');
  await reader.button('Good answer').last().click();
  await page.locator('textbook-chat').getByRole('button', { name: 'Good answer', pressed: true }).waitFor();

  await reader.button('Earlier conversations').click();
  await page.getByRole('button', { name: /^Delete “Why stairs\?”/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByRole('button', { name: /Why stairs\?/ }).first().waitFor({ state: 'detached' });
  await reader.button('Delete all').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByRole('button', { name: /What is a gait\?/ }).first().waitFor({ state: 'detached' });
  const kept = await page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('/c/')));
  check.equal(kept, [], 'copies of conversations');
}

// The server has told of the question and not yet of its answer, and is heard when both are there.
async function askedMeanwhile({ page, origin, site, model, check }) {
  const reader = chat(page);
  await page.goto(site.docusaurus + GAIT);
  await reader.launcher.click();
  await reader.ask('What is a gait?');
  await reader.answered('Bend the knees');
  const slow = model.next();
  let shown;
  const whenShown = new Promise((resolve) => (shown = resolve));
  await page.route(`${origin}/chat`, async (route) => {
    if (route.request().method() !== 'GET') return route.continue();
    await slow.asked;
    const response = await route.fetch();
    slow.say('Since two are enough.').end();
    await whenShown;
    return route.fulfill({ response });
  });
  await page.reload();
  await reader.log.getByText('Bend the knees').waitFor();
  await reader.ask('Why two legs?');
  await reader.answered('Since two are enough.');
  const heard = page.waitForResponse((response) => response.request().method() === 'GET' && response.url() === `${origin}/chat`);
  shown();
  await (await heard).finished();
  await page.waitForFunction(() => !document.querySelector('textbook-chat').shadowRoot.querySelector('.aside').textContent);
  check.equal(await reader.log.locator('.question-text').allInnerTexts(), ['What is a gait?', 'Why two legs?'], 'questions');
  check.equal(await reader.log.getByText('no answer yet').count(), 0, 'questions without an answer');
  await page.unroute(`${origin}/chat`);
  await page.reload();
  await reader.answered('Since two are enough.');
  check.equal(await reader.log.locator('.question-text').count(), 2, 'questions after a reload');
}

async function byKeyboard({ page, site, check }) {
  const reader = chat(page);
  await page.goto(site.docusaurus + GAIT);
  await reader.launcher.waitFor();
  await page.keyboard.press('Control+i');
  await reader.box.waitFor();
  await page.keyboard.type('How do I bend the knees?');
  await page.keyboard.press('Enter');
  await reader.answered('Bend the knees');
  await page.waitForFunction(() => document.querySelector('textbook-chat').shadowRoot.querySelector('[role=status]').textContent === 'Answer complete');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Escape');
  await reader.launcher.waitFor();
  check(!(await reader.panel.isVisible()), 'Escape closes');
}

async function onAPhone({ open, site, check, picture }) {
  const page = await open({ phone: true });
  const reader = chat(page);
  await page.goto(site.docusaurus + GAIT);
  await reader.launcher.tap();
  await reader.box.fill('How do I bend the knees?');
  await reader.button('Send').tap();
  await reader.answered('Bend the knees');
  await picture('phone', page);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  check(wide <= 360, `the page is ${wide} px wide`);
  const send = await reader.button('Send').boundingBox();
  check(send.width >= 44 && send.height >= 44, `the button is ${send.width} × ${send.height}`);
  await page.getByRole('link', { name: /^Source 1/ }).last().tap();
  await page.waitForURL(/#/);
  await reader.button('Show the conversation').tap();
  await reader.button('Close').tap();
  await reader.launcher.waitFor();
}

async function failures({ page, site, model, check, picture }) {
  const reader = chat(page);
  await page.goto(site.docusaurus + GAIT);
  await reader.launcher.click();
  model.next().refuse(401, 'invalid_api_key');
  await reader.ask('Anybody there?');
  await reader.log.getByText(/not set up/).waitFor();
  await picture('not-set-up');
  check(await reader.button('Edit the question').isVisible(), 'the question is kept');
  await page.context().setOffline(true);
  await reader.button('New conversation').click();
  await reader.ask('Is the network there?');
  await reader.log.getByText(/offline/i).waitFor();
  await page.context().setOffline(false);
  await reader.answered('Bend the knees');
}

async function limited({ page, origin, site, check }) {
  const reader = chat(page);
  let refused = 0;
  await page.route(`${origin}/chat`, async (route) => {
    if (route.request().method() !== 'POST' || refused > 0) return route.continue();
    refused += 1;
    return route.fulfill({
      status: 429,
      headers: { 'access-control-allow-origin': site.docusaurus, 'content-type': 'application/json' },
      body: JSON.stringify({ error: { code: 'rate_limited', message: 'Wait.', retry_after: 3 }, request_id: 'r' }),
    });
  });
  await page.goto(site.docusaurus + GAIT);
  await reader.launcher.click();
  await reader.ask('How do I bend the knees?');
  await reader.log.getByText(/in 3 seconds/).waitFor();
  await reader.log.getByText(/in 2 seconds/).waitFor();
  check(!(await reader.log.getByText(/request id/).isVisible()), 'no id where nobody did anything wrong');
  await reader.answered('Bend the knees');
}

async function stranger({ page, site }) {
  const reader = chat(page);
  await page.goto(site.stranger + GAIT);
  await reader.launcher.click();
  await reader.ask('Who is there?');
  await reader.log.getByText(/CORS_ORIGINS/).waitFor();
}

async function fromAScript({ page, site, model, check }) {
  await page.goto(site.docusaurus + GAIT);
  const told = await page.evaluate(async () => {
    const element = document.querySelector('textbook-chat');
    const told = [];
    for (const name of ['open', 'ask', 'answer', 'close']) {
      document.addEventListener(`textbook-chat-${name}`, ({ detail }) => told.push([name, detail]));
    }
    await element.ask('What is a gait?', { passage: 'A gait is a pattern of steps.' });
    await element.close();
    return told;
  });
  check.equal(told.map(([name]) => name), ['open', 'ask', 'answer', 'close'], 'events');
  check.equal(told[1][1].question, 'What is a gait?', 'what was asked');
  check.equal(told[2][1].state, 'complete', 'how it ended');
  check(model.seen.at(-1).includes('a pattern of steps'), 'the passage went along');
}

const needs = 'functions';
// What the browser itself notes of a page that asks whether its answer is there.
const written = [/409/];
export const cases = [
  { name: 'a passage is asked about, and a citation followed', run: passageAndCitation, needs },
  { name: 'leaving lets an answer be finished, and the next page has it', run: leaving, needs, allowed: written },
  { name: 'Stop ends it, here and on the page that comes next', run: stopping, needs, allowed: written },
  { name: 'conversations are kept, gone on with, judged and deleted', run: conversations, needs },
  { name: 'what is asked while a conversation comes back is shown once', run: askedMeanwhile, needs },
  { name: 'by the keyboard alone', run: byKeyboard, needs },
  { name: 'on a phone', run: onAPhone, needs },
  { name: 'what fails is told, and asked again by itself', run: failures, needs, allowed: [/500|ERR_INTERNET_DISCONNECTED/] },
  { name: 'a limit counts down', run: limited, needs, allowed: [/429/] },
  { name: 'an origin that is not allowed', run: stranger, needs, allowed: [/CORS|ERR_FAILED|403/] },
  { name: 'from a script of the site', run: fromAScript, needs },
];
