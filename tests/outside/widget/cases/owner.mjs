// The owner's page: it makes a tag that works, shows what it will look like, and knows which origins
// are allowed.

export const name = 'the owner’s page makes a tag that works in the site, and checks its origin';
export const needs = 'functions';

export async function run({ page, open, origin, site, check, axe, picture }) {
  await page.goto(`${origin}/widget.html`);
  const launcher = (of, words) => of.getByRole('button', { name: words, exact: true });
  await launcher(page, 'Ask the book').waitFor();
  check.equal(await axe(page), [], 'violations');

  await page.getByLabel('The address of a page of your book').fill(`${site.docusaurus}/docs/balance`);
  await page.getByRole('button', { name: 'Check' }).click();
  await page.getByText('may use this chat.').waitFor();
  await page.getByLabel('The address of a page of your book').fill('other.example/book');
  await page.getByRole('button', { name: 'Check' }).click();
  await page.getByText('add https://other.example to CORS_ORIGINS').waitFor();
  await page.getByLabel('The address of a page of your book').fill(new URL(origin).host);
  await page.getByRole('button', { name: 'Check' }).click();
  await page.getByText(`Pages of ${origin} may use this chat.`).waitFor();
  await page.getByLabel('The address of a page of your book').fill('my book');
  await page.getByRole('button', { name: 'Check' }).click();
  await page.getByText('That is no address of a page.').waitFor();

  await page.getByLabel('The button says').fill('Ask "Robots" & more');
  await page.getByLabel('Up to four questions').fill('What is a gait?\nWhy two legs?');
  await launcher(page, 'Ask "Robots" & more').click();
  await page.getByRole('button', { name: 'Why two legs?' }).waitFor();
  await picture('owner');
  const tag = await page.locator('#tag').innerText();
  const book = await open();
  await book.goto(`${site.variant({ of: 'docusaurus', tag })}/docs/balance`);
  await launcher(book, 'Ask "Robots" & more').click();
  await book.getByRole('button', { name: 'What is a gait?' }).click();
  await book.getByRole('log').getByText('Bend the knees').waitFor();

  await page.getByLabel('The button says').fill('{{ ask }} {% now %}');
  const tagFor = async (generator) => {
    await page.getByLabel('For', { exact: true }).selectOption(generator);
    return page.locator('#tag').innerText();
  };
  for (const generator of ['mdbook', 'mkdocs']) {
    const line = (await tagFor(generator)).split('\n').find((text) => text.includes('<script'));
    check(!/[{]/.test(line), `a template would read: ${line}`);
  }
  const braces = await open();
  await braces.goto(`${site.variant({ of: 'docusaurus', tag: await tagFor('html') })}/docs/balance`);
  await launcher(braces, '{{ ask }} {% now %}').waitFor();
  await page.getByLabel('The button says').fill('Ask "Robots" & more');

  // A colour too light for white words, and too dark for a dark panel, is made to be readable on either.
  for (const colour of ['#ffe08a', '#200030']) {
    await page.locator('#colour').fill(colour);
    const rule = await page.locator('#rule').innerText();
    const styled = site.variant({ of: 'docusaurus', tag: `<style>${rule}</style>${await tagFor('html')}` });
    for (const colorScheme of ['light', 'dark']) {
      const coloured = await open({ colorScheme });
      await coloured.goto(`${styled}/docs/balance`);
      await launcher(coloured, 'Ask "Robots" & more').click();
      await coloured.getByRole('button', { name: 'What is a gait?' }).click();
      await coloured.getByRole('log').getByText('Bend the knees').waitFor();
      await picture(`colour-${colour.slice(1)}-${colorScheme}`, coloured);
      check.equal(await axe(coloured, { include: 'textbook-chat' }), [], `violations in ${rule}`);
      await coloured.keyboard.press('Escape');
      await launcher(coloured, 'Ask "Robots" & more').waitFor();
      check.equal(await axe(coloured, { include: 'textbook-chat' }), [], `violations of the launcher in ${rule}`);
    }
  }

  await page.getByLabel('For', { exact: true }).selectOption('docusaurus');
  const entry = await page.locator('#tag').innerText();
  const [script] = new Function(`return {${entry}}`)().scripts;
  check.equal([script.defer, script['data-label']], [true, 'Ask "Robots" & more'], entry);
}
