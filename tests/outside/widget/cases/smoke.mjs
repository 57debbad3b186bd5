// The machinery itself: the sites are there, the deployment answers, and its book is the site.

export const name = 'the sites stand, and the deployment answers from the Docusaurus one';
export const needs = 'functions';
// Until there is a widget, its script is missing.
export const allowed = [/widget\.js|404|MIME/];

export async function run({ page, origin, site, model, check, picture }) {
  for (const [address, words] of [
    [`${site.docusaurus}/docs/balance`, 'The zero-moment point'],
    [`${site.mkdocs}/walking/`, 'A Controlled Fall'],
    [`${site.mdbook}/ch04-01-what-is-ownership.html`, 'What is Ownership?'],
  ]) {
    await page.goto(address);
    await page.getByRole('heading', { name: words }).first().waitFor();
    const tags = await page
      .locator('script[src$="/widget.js"]')
      .evaluateAll((all) => all.map((tag) => tag.src));
    check.equal(tags, [`${origin}/widget.js`], `the tag of ${address}`);
    await picture(new URL(address).hostname);
  }
  const body = { message: 'How do I bend the knees?', page: `${site.docusaurus}/docs/walking/gait` };
  const answer = await fetch(`${origin}/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: site.mkdocs },
    body: JSON.stringify(body),
  });
  const { response, sources } = await answer.json();
  check(response.startsWith('Bend the knees'), `the model's answer: ${response}`);
  check(sources[0].url.startsWith(`${site.docusaurus}/docs/walking/gait`), JSON.stringify(sources));
  check.equal(model.asked.length, 1, 'requests to the model');
}
