// The button at the reader's selection, "Ask about this": in the top layer, so that nothing of the
// site covers it, and beside the selection wherever that is scrolled.

import { h, icon } from './dom.js';
import { articleOf } from './page.js';
import { passageOf, watchSelection } from './passage.js';

const GAP = 8;
const EDGE = 12;

export function createOffer({ box, t, article, signal, onAsk }) {
  let chosen = null; // { text, range }
  const where = () => (box.checkVisibility?.() === false ? null : articleOf(article));

  const button = h('button', {
    type: 'button',
    class: 'offer',
    popover: 'manual',
    // Pressing the button must not clear the selection that it is about.
    pointerdown: (event) => event.preventDefault(),
    mousedown: (event) => event.preventDefault(),
    click: take,
  }, icon('ask'), t('askAbout'));
  box.append(button);

  watchSelection({
    article: where,
    onChange,
    signal,
  });
  onChange(passageOf(getSelection(), where())); // what made this module be fetched
  for (const [target, type] of [[document, 'scroll'], [window, 'resize']]) {
    target.addEventListener(type, () => chosen && place(), { signal, capture: true, passive: true });
  }
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !chosen) return;
    hide();
    event.preventDefault(); // one key press, one effect
  }, { signal });

  function onChange(next) {
    // Some browsers drop the selection when the button takes the focus. The text is kept.
    if (!next && button.matches(':focus, :active')) return;
    chosen = next;
    place();
  }

  // Below the end of the selection: above it is where phones put their own menu.
  function place() {
    if (!chosen) {
      hide();
      return;
    }
    if (!button.matches(':popover-open')) button.showPopover();
    const end = [...chosen.range.getClientRects()].at(-1) ?? chosen.range.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    const left = Math.max(EDGE, Math.min(end.right - button.offsetWidth / 2, width - button.offsetWidth - EDGE));
    const under = end.bottom + GAP;
    const top = under + button.offsetHeight < innerHeight ? under : end.top - button.offsetHeight - GAP;
    button.style.left = `${left}px`;
    button.style.top = `${top}px`;
    button.style.visibility = end.bottom < 0 || end.top > innerHeight ? 'hidden' : '';
  }

  function hide() {
    chosen = null;
    if (button.matches(':popover-open')) button.hidePopover();
  }

  // Asks about what is chosen, if anything is.
  function take() {
    if (!chosen) return false;
    const { text } = chosen;
    hide();
    getSelection().removeAllRanges();
    onAsk(text);
    return true;
  }

  return { take };
}
