// The panel on a small screen: a sheet at the lower edge, over the page, which stays where it is.
//
// The back button closes it where the browser has CloseWatcher. Elsewhere it does not: an entry in
// the history would be the site's router's business.

const CLOSING = 0.25; // of its height, dragged down

// `onClose` and `onExpand` are the reader's wishes. `set(state)`: 'modal', 'peek' or null.
export function createSheet({ host, panel, grip, onClose, onExpand, signal }) {
  const inert = new Set(); // what this has made inert
  let state = null;
  let watcher = null;

  function set(next) {
    if (next === state) return;
    state = next;
    panel.classList.toggle('peek', state === 'peek');
    panel.ariaModal = state === 'modal' ? 'true' : null;
    watcher?.destroy();
    watcher = null;
    for (const element of inert) element.inert = false;
    inert.clear();
    panel.style.transform = '';
    if (state !== 'modal') return;
    for (let node = host; node.parentElement; node = node.parentElement) {
      for (const sibling of node.parentElement.children) {
        if (sibling === node || sibling.inert || sibling === document.head) continue;
        sibling.inert = true;
        inert.add(sibling);
      }
    }
    if ('CloseWatcher' in window) {
      watcher = new CloseWatcher();
      watcher.onclose = onClose;
    }
    fit();
  }

  // Above the keyboard of a phone: the part of the page that is visible counts.
  function fit() {
    const { height, offsetTop } = visualViewport;
    panel.style.setProperty('--visible', `${height * (height < 500 ? 1 : 0.85)}px`);
    panel.style.setProperty('--hidden', `${Math.max(0, innerHeight - height - offsetTop)}px`);
  }
  for (const type of ['resize', 'scroll']) visualViewport.addEventListener(type, () => state && fit(), { signal });

  let from = null;
  grip.addEventListener('pointerdown', (event) => {
    if (!state || event.target.closest('button')) return;
    from = event.clientY;
    grip.setPointerCapture(event.pointerId);
  });
  grip.addEventListener('pointermove', (event) => {
    if (from !== null) panel.style.transform = `translateY(${Math.max(0, event.clientY - from)}px)`;
  });
  const drop = (event) => {
    if (from === null) return;
    const down = event.clientY - from;
    from = null;
    panel.style.transform = '';
    if (event.type === 'pointercancel') return;
    if (down > panel.offsetHeight * CLOSING) onClose();
    else if (state === 'peek' && down < 8) onExpand();
  };
  grip.addEventListener('pointerup', drop);
  grip.addEventListener('pointercancel', drop);

  signal.addEventListener('abort', () => set(null));
  return { set };
}
