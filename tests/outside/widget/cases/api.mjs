// The page of the contract: which padlocks it has, what it leaves out, that it is one of these pages
// in light and dark, and what it says without the program that draws it.

const operation = (page, name) => page.locator(`#operations-${name}`);

async function read({ page, open, origin, check, axe, picture }) {
  await page.goto(`${origin}/api.html`);
  const told = page.getByText('sh swagger-ui/vendor.sh');
  check(await told.isHidden(), 'Swagger UI is not there; run: sh swagger-ui/vendor.sh');
  await operation(page, 'chat-ask').waitFor();

  const contract = await page.evaluate(async () => (await fetch('openapi.json')).json());
  const all = Object.values(contract.paths).flatMap((path) => Object.entries(path));
  const seen = all.filter(([method, { responses }]) => responses && method !== 'options');
  check(all.some(([method]) => method === 'options'), 'the contract has no OPTIONS');
  check.equal(await page.locator('.opblock').count(), seen.length, 'operations');
  check.equal(await page.locator('.opblock-options').count(), 0, 'OPTIONS');

  const optional = seen.filter(([, { security = [] }]) =>
    security.some((alternative) => !Object.keys(alternative).length),
  );
  check.equal(await page.getByText('token optional', { exact: true }).count(), optional.length, 'optional');
  const needed = seen.filter((one) => one[1].security?.length && !optional.includes(one));
  check.equal(await page.locator('.authorization__btn').count(), needed.length, 'padlocks');
  check.equal(needed.length, 1, 'operations that need a token');
  check.equal(await page.getByRole('button', { name: 'Authorize' }).count(), 0, '"Authorize"');
  await operation(page, 'refresh-refresh').locator('.authorization__btn').click();
  await page.getByRole('dialog').getByText('CRON_SECRET').waitFor();
  check.equal(await axe(page), [], 'violations beside the window for a token');
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });

  for (const name of ['The chat', 'Put this chat on your book', 'The chat in ChatKit', 'openapi.json']) {
    const link = page.getByRole('link', { name, exact: true });
    check.equal(await link.evaluate(async ({ href }) => (await fetch(href)).status), 200, name);
  }

  const looks = [];
  for (const setting of [{ colorScheme: 'light' }, { colorScheme: 'dark', phone: true }]) {
    const one = await open(setting);
    await one.goto(`${origin}/widget.html`);
    looks.push(await look(one));
    await one.goto(`${origin}/api.html`);
    await operation(one, 'chat-ask').waitFor();
    check.equal(await look(one), looks.at(-1), `the look in ${setting.colorScheme}`);
    for (const name of ['chat-ask', 'health-health']) {
      await operation(one, name).locator('.opblock-summary-control').click();
    }
    await operation(one, 'chat-ask').getByRole('button', { name: 'Try it out' }).click();
    await operation(one, 'chat-ask').getByRole('textbox', { name: 'Body of the request' }).waitFor();
    const note = one.getByText('No token is needed.');
    check.equal(await note.count(), 1, 'notes, of an operation with a token and one without');
    check.equal(await axe(one), [], `violations in ${setting.colorScheme}`);
    const [wide, room] = await one.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    check(wide <= room, `${wide} px wide, in ${room}`);
    await picture(setting.colorScheme, one);
  }
  check(looks[0].ground !== looks[1].ground, 'light and dark have one ground');
}

// Of a page, and of what is on it.
function look(page) {
  return page.evaluate(() => {
    const of = (selector) => getComputedStyle(document.querySelector(selector));
    return {
      ground: of('body').backgroundColor,
      ink: of('body').color,
      text: of('main').fontFamily,
      title: of('h1').font,
      section: of('h2').font,
    };
  });
}

async function tryOut({ page, origin, check, axe }) {
  await page.goto(`${origin}/api.html#/chat/ask`);
  const ask = operation(page, 'chat-ask');
  await ask.getByRole('button', { name: 'Try it out' }).click();
  const body = ask.getByRole('textbox', { name: 'Body of the request' });
  await body.fill('{"message": "How do I bend the knees?"}');
  await ask.getByRole('button', { name: 'Execute' }).click();
  await ask.locator('.live-responses-table').getByText('Bend the knees').first().waitFor();
  check.equal(await ask.locator('.live-responses-table .response-col_status').last().innerText(), '200');
  check.equal(await axe(page), [], 'violations beside an answer');
}

async function without({ page, origin }) {
  await page.route('**/vendor/swagger-ui/*', (route) => route.fulfill({ status: 404 }));
  await page.goto(`${origin}/api.html`);
  await page.getByText('sh swagger-ui/vendor.sh').waitFor();
  await page.getByRole('link', { name: 'openapi.json' }).waitFor();
}

export const cases = [
  { name: 'the API’s page has padlocks where a token is needed alone, and looks like the others', run: read },
  { name: 'an operation is tried on the API’s page', run: tryOut, needs: 'functions' },
  {
    name: 'without Swagger UI the API’s page says how to copy it',
    run: without,
    allowed: [/vendor\/swagger-ui\//],
  },
];
