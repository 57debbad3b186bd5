// ChatKit's page: the button at a selection in the chapter, and those of its sections. `onAsk` gets
// the passage as text, which is passage.js's business.

import { passageOf, watchSelection } from './widget/dev/passage.js';

const EDGE = 12;

export function watchPassage(article, button, onAsk) {
  let chosen = null;

  for (const ask of article.querySelectorAll('.ask-section')) {
    ask.addEventListener('click', () => {
      const section = document.createRange();
      section.selectNodeContents(ask.closest('section'));
      getSelection().removeAllRanges();
      getSelection().addRange(section);
      const { text } = passageOf(getSelection(), article);
      getSelection().removeAllRanges();
      onAsk(text);
    });
  }

  watchSelection({
    article: () => article,
    onChange(passage) {
      // Some browsers drop the selection when the button takes the focus. The text is kept.
      if (!passage && document.activeElement === button) return;
      chosen = passage;
      button.hidden = !passage;
      if (passage) place(passage);
    },
  });

  // Below the end of the selection: above it is where phones put their own menu. In the document,
  // too, it stands after the selection, which is where Tab goes on from.
  function place({ range }) {
    const { endContainer: end } = range;
    const block = (end.data ? end.parentElement : end).closest('h1, h2, p') ?? article.lastElementChild;
    if (block.nextElementSibling !== button) block.after(button);
    const rect = [...range.getClientRects()].at(-1) ?? range.getBoundingClientRect();
    const page = article.getBoundingClientRect();
    const room = article.clientWidth - button.offsetWidth - EDGE;
    button.style.left = `${Math.max(EDGE, Math.min(rect.right - page.left - button.offsetWidth / 2, room))}px`;
    button.style.top = `${rect.bottom - page.top + 8}px`;
  }

  // Pressing the button must not clear the selection that it is about.
  button.addEventListener('pointerdown', (event) => event.preventDefault());
  button.addEventListener('mousedown', (event) => event.preventDefault());
  button.addEventListener('click', () => {
    button.hidden = true;
    getSelection().removeAllRanges();
    onAsk(chosen.text);
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || button.hidden) return;
    button.hidden = true;
    event.preventDefault();
  });
  addEventListener('resize', () => {
    if (!button.hidden) place(chosen);
  });
}
