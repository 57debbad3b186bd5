// Formulas: TeX to MathML by Temml, which is vendored at deployment, and fetched with this module
// for the first formula of a page. Whatever fails, the TeX stays.

const TEMML = new URL('../../vendor/temml-0.13.5/', import.meta.url);

// What a formula must not do: lead elsewhere, move the page, set a style attribute.
const REFUSED = /\\(?:href|url|ref|eqref|label|prescript|includegraphics|style|class|id)(?![a-zA-Z])/;

// Gives `draw(node, tex, display)`, which puts the formula in the place of the node's content.
export async function load() {
  const { default: temml } = await import(new URL('temml.js', TEMML));
  const sheet = new CSSStyleSheet();
  fetch(new URL('temml.css', TEMML))
    .then((response) => response.ok && response.text())
    .then((text) => text && sheet.replaceSync(text))
    .catch(() => {}); // Formulas are readable without.

  return (node, tex, display) => {
    if (REFUSED.test(tex)) return;
    const drawn = document.createElement('span');
    try {
      temml.render(tex, drawn, {
        displayMode: display,
        annotate: true,
        throwOnError: true,
        trust: false,
        maxSize: [10, 50],
        maxExpand: 200,
        macros: { '\\pmb': '\\boldsymbol{#1}' }, // Its own sets a style attribute.
      });
    } catch {
      return;
    }
    node.replaceChildren(...drawn.childNodes);
    // By then the node is in its place.
    queueMicrotask(() => {
      const { adoptedStyleSheets } = node.getRootNode();
      if (adoptedStyleSheets && !adoptedStyleSheets.includes(sheet)) adoptedStyleSheets.push(sheet);
    });
  };
}
