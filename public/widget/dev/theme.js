// Light or dark, as the site is now: the element's own attribute, then what Docusaurus, MkDocs
// Material, mdBook and others put on the page, then the system.

const THEMES = { dark: true, slate: true, navy: true, coal: true, ayu: true, light: false, default: false, rust: false };

export function followTheme({ host, box, option, signal }) {
  const page = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const dress = () => {
    const { classList, dataset } = document.body;
    const names = [option('theme'), page.dataset.theme, dataset.mdColorScheme, ...page.classList, ...classList];
    const name = names.find((one) => Object.hasOwn(THEMES, one ?? ''));
    box.classList.toggle('dark', name ? THEMES[name] : system.matches);
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
