// Formulas: TeX to MathML, by Temml, which is fetched with this module for a page's first formula.
// Whatever fails, the TeX stays.

const TEMML = new URL('../../vendor/temml-0.13.5/', import.meta.url);

const MAX_TEX = 2000;
// What makes links, or sets a style attribute, which a host's policy may forbid.
const REFUSED = /\\(?:(?:eq)?ref|label|prescript)\b/;

// Gives `draw(node, tex, display)`, which replaces the node's content.
export async function load() {
  const { default: temml } = await import(new URL('temml.js', TEMML));
  const look = new CSSStyleSheet();
  fetch(new URL('temml.css', TEMML))
    .then((response) => (response.ok ? response.text() : ''))
    .then((text) => look.replaceSync(text))
    .catch(() => {}); // Formulas can be read without.

  // A growing paragraph is drawn again and again.
  const kept = new Map();
  const drawn = (tex, display) => {
    const key = `${display} ${tex}`;
    if (!kept.has(key)) {
      if (kept.size === 500) kept.clear();
      kept.set(key, render(temml, tex, display));
    }
    return kept.get(key)?.cloneNode(true);
  };

  return (node, tex, display) => {
    const math = drawn(tex, display);
    if (!math) return;
    node.replaceChildren(math);
    // By then the node is in its place.
    queueMicrotask(() => {
      const { adoptedStyleSheets } = node.getRootNode();
      if (adoptedStyleSheets && !adoptedStyleSheets.includes(look)) adoptedStyleSheets.push(look);
    });
  };
}

// Null where it cannot, or must not, be drawn.
function render(temml, tex, display) {
  if (tex.length > MAX_TEX || REFUSED.test(tex)) return null;
  const place = document.createElement('span');
  try {
    temml.render(tex, place, {
      displayMode: display,
      annotate: true,
      throwOnError: true,
      trust: false,
      maxSize: [10, 50],
      maxExpand: 200,
      macros: { '\\pmb': '\\boldsymbol{#1}' }, // Its own sets a style attribute.
    });
  } catch {
    return null;
  }
  return place.firstChild;
}
