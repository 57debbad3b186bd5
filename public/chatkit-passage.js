// Choosing a passage of the text on ChatKit's page: by selecting it (with mouse, touch or keyboard), or with a
// section's button. `onAsk` gets the passage as plain text.

const BLOCKS = 'h1, h2, p';

// A selection is "made" when it has not changed for this long.
const SETTLED_MS = 200;

export function watchPassage(passage, button, onAsk) {
  let text = '';
  let timer = null;

  for (const ask of passage.querySelectorAll('.ask-section')) {
    ask.addEventListener('click', () => {
      const paragraphs = ask.closest('section').querySelectorAll('p');
      onAsk([...paragraphs].map((paragraph) => tidy(paragraph.textContent)).join('\n\n'));
    });
  }

  document.addEventListener('selectionchange', () => {
    clearTimeout(timer);
    timer = setTimeout(offer, SETTLED_MS);
  });

  function offer() {
    const parts = selectedParts(passage);
    if (parts.length === 0) {
      // Some browsers drop the selection when the button takes the focus. The text is kept.
      if (document.activeElement !== button) button.hidden = true;
      return;
    }
    text = parts.map(({ text }) => text).join('\n\n');
    const last = parts.at(-1);
    // Next to the selection in the document too: Tab goes on from the selection, and so reaches it.
    if (last.block.nextElementSibling !== button) last.block.after(button);
    button.hidden = false;
    place(last.range);
  }

  // Below the end of the selection: above it is where phones put their own menu.
  function place(range) {
    const page = passage.getBoundingClientRect();
    const end = [...range.getClientRects()].at(-1) ?? range.getBoundingClientRect();
    const edge = 12;
    const room = passage.clientWidth - button.offsetWidth - edge;
    const left = Math.max(edge, Math.min(end.right - page.left - button.offsetWidth / 2, room));
    button.style.left = `${left}px`;
    button.style.top = `${end.bottom - page.top + 8}px`;
  }

  // Pressing the button must not clear the selection that it is about.
  button.addEventListener('pointerdown', (event) => event.preventDefault());
  button.addEventListener('mousedown', (event) => event.preventDefault());
  button.addEventListener('click', () => {
    button.hidden = true;
    getSelection().removeAllRanges();
    onAsk(text);
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || button.hidden) return;
    button.hidden = true;
    event.preventDefault(); // one key press, one effect: it must not also stop an answer
  });
  addEventListener('resize', () => {
    if (!button.hidden) offer();
  });
}

// The selected part of each block of the passage; what lies outside the passage is left out.
function selectedParts(passage) {
  const selection = getSelection();
  if (selection.rangeCount === 0 || selection.isCollapsed) return [];
  const selected = selection.getRangeAt(0);
  const parts = [];
  for (const block of passage.querySelectorAll(BLOCKS)) {
    if (!selected.intersectsNode(block)) continue;
    const range = document.createRange();
    range.selectNodeContents(block);
    if (selected.compareBoundaryPoints(Range.START_TO_START, range) > 0) {
      range.setStart(selected.startContainer, selected.startOffset);
    }
    if (selected.compareBoundaryPoints(Range.END_TO_END, range) < 0) {
      range.setEnd(selected.endContainer, selected.endOffset);
    }
    const text = tidy(range.toString());
    if (text) parts.push({ block, range, text });
  }
  return parts;
}

function tidy(text) {
  return text.replace(/\s+/g, ' ').trim();
}
