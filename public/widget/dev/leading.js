// From the panel to a place in the book: the section that an answer cites, the passage that was
// asked about. On the same site the panel stays, here or on the page that comes.

// After this long, a page is not the one that the panel has led to.
const ARRIVAL_MS = 30_000;

// `load` imports a module by its name; `onLead` makes room for the place.
export function createLeading({ panel, store, option, load, onLead }) {
  const here = () => location.pathname + location.search;

  // Marks the passage, or the heading of the address.
  async function lead(text = null) {
    try {
      const [{ leadBack, markTarget }, { articleOf }] = await Promise.all([load('place'), load('page')]);
      if (text) leadBack(text, articleOf(option('article')));
      else markTarget();
    } catch { /* the reader finds it without a mark */ }
  }

  const expect = (text = null) => store.write('arrival', { at: Date.now(), text }, 'sessionStorage');

  function leadTo({ passage, place }) {
    onLead();
    if (place === here()) return lead(passage);
    expect(passage);
    return location.assign(place);
  }

  function arrive() {
    const arrival = store.read('arrival', 'sessionStorage');
    store.write('arrival', null, 'sessionStorage');
    if (Date.now() - arrival?.at < ARRIVAL_MS) lead(arrival.text);
  }

  panel.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[href]');
    if (!link || link.target === '_blank' || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin) return;
    onLead();
    if (url.pathname + url.search === here()) setTimeout(lead); // once the browser has gone there
    else expect();
  });

  return { leadTo, arrive };
}
