// Light or dark, as the site is now: the element's own attribute, then what Docusaurus, MkDocs
// Material, mdBook and others put on the page, then the colour that it stands on, then the system.

const THEMES = { dark: true, slate: true, navy: true, coal: true, ayu: true, light: false, default: false, rust: false };
const isTheme = (name) => Object.hasOwn(THEMES, name ?? '');

export function followTheme({ host, box, option, signal }) {
  const page = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const dress = () => {
    const { classList, dataset } = document.body;
    const name = [option('theme'), page.dataset.theme, dataset.mdColorScheme].find(isTheme);
    const kinds = new Set([...page.classList, ...classList].filter(isTheme).map((one) => THEMES[one]));
    // mdBook may leave a light one beside a dark one: then its ground tells.
    const [said = null] = name ? [THEMES[name]] : kinds.size === 1 ? kinds : [];
    box.classList.toggle('dark', said ?? standsOnDark() ?? system.matches);
    box.classList.toggle('start', option('position') === 'start');
  };
  const observer = new MutationObserver(dress);
  const attributeFilter = ['class', 'data-theme', 'data-md-color-scheme'];
  for (const element of [page, document.body]) observer.observe(element, { attributeFilter });
  observer.observe(host, { attributeFilter: ['theme', 'position'] });
  system.addEventListener('change', dress, { signal });
  signal.addEventListener('abort', () => observer.disconnect());
  dress();
}

// Null where the page has no ground of its own.
function standsOnDark() {
  for (const element of [document.body, document.documentElement]) {
    const [red, green, blue, alpha = 1] = /^rgba?\((.*)\)/.exec(getComputedStyle(element).backgroundColor)?.[1].split(',').map(Number) ?? [];
    if (alpha > 0.5 && blue >= 0) return red * 0.3 + green * 0.6 + blue * 0.1 < 128;
  }
  return null;
}
