// The page of the book that the reader is on: its article, and what it is called. Read at the moment
// of asking, for a site that navigates by itself changes its title and headings after its address.

// Docusaurus, Material for MkDocs, VitePress, Sphinx, mdBook, DocBook; the first that is there.
const ARTICLES = [
  'article .markdown', '.md-content article', '.vp-doc', '[itemprop=articleBody]', 'article[role=main]',
  'main article', '.bd-article, [role=main]', 'main', 'article',
  '#content main', '.book, .article, .chapter, .section, .sect1, #docContent',
];

/** The element that holds the page's text: the first of the owner's `selector`, or the usual one. */
export function articleOf(selector) {
  for (const one of selector ? [selector] : ARTICLES) {
    const found = document.querySelector(one);
    if (found) return found;
  }
  return null;
}

/** `url` is the page's address without query and fragment. */
export function pageNow(selector) {
  const heading = articleOf(selector)?.querySelector('h1') ?? document.querySelector('h1');
  return {
    url: location.origin + location.pathname,
    title: document.title,
    heading: heading ? plain(heading) : null,
  };
}

// Without the sign that links to the heading itself.
function plain(heading) {
  const copy = heading.cloneNode(true);
  for (const sign of copy.querySelectorAll('.hash-link, .headerlink, .header-anchor, button')) sign.remove();
  return copy.textContent.replace(/[\s\u200b]+/g, ' ').trim();
}
