// The API page: the contract, to read and to try, with padlocks only where a token must be.

export const name = 'the API page shows what can be asked, tries it, and is calm in light and dark';
export const needs = 'functions';

// Swagger UI's own: a copy button within the button that opens an operation; an example that scrolls.
const THEIRS = ['nested-interactive', 'scrollable-region-focusable'];

export async function run({ page, open, origin, check, axe, picture }) {
  const contract = await (await fetch(`${origin}/openapi.json`)).json();
  const methods = Object.values(contract.paths).flatMap((path) => Object.keys(path));
  const shown = methods.filter((method) => method !== 'options');

  await page.goto(`${origin}/api.html`);
  await page.locator('.opblock').first().waitFor();
  check.equal(await page.locator('.opblock').count(), shown.length, 'operations');
  check.equal(await page.locator('.opblock-options').count(), 0, 'OPTIONS');
  // The nightly refresh is the one request that needs a secret.
  const locked = page.locator('.opblock', { has: page.locator('.authorization__btn') });
  check.equal(await locked.locator('.opblock-summary-path').allInnerTexts(), ['/refresh'], 'padlocks');

  const ask = page.locator('.opblock-post', { hasText: 'Ask a question' });
  await ask.locator('.opblock-summary-control').click();
  await ask.getByText('No token is needed.').waitFor();
  check.equal(await axe(page, { disabled: THEIRS }), [], 'violations');
  await picture('light');

  const health = page.locator('.opblock-get', { hasText: '/health' });
  await health.locator('.opblock-summary-control').click();
  await health.getByRole('button', { name: 'Try it out' }).click();
  await health.getByRole('button', { name: 'Execute' }).click();
  await health.locator('.live-responses-table').getByText('healthy').first().waitFor();

  for (const options of [{ colorScheme: 'dark' }, { colorScheme: 'dark', phone: true }]) {
    const dark = await open(options);
    await dark.goto(`${origin}/api.html`);
    const first = dark.locator('.opblock-summary-control').first();
    await first.click();
    await dark.getByText('No token is needed.').waitFor();
    check.equal(await axe(dark, { disabled: THEIRS }), [], 'violations in the dark');
    const width = await dark.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(width <= 0, `the page is ${width} px too wide`);
    await picture(options.phone ? 'dark-phone' : 'dark', dark);
  }
}
