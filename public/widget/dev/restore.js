// Bringing a conversation back. This browser's copy is shown at once; then the server, which knows
// better, is asked.

import { isGone, HISTORY_PAGE } from './api.js';
import { isUnanswered, reconcile, toTurns } from './conversation.js';

// Whatever arrives sooner than this does not need to be announced.
const SOON_MS = 300;

export function createRestore({ api, t, conversations, log, ui, view, drawAll, showWhatCanBeDone, current }) {
  let restoring = false; // the server is being asked for the conversation

  async function restore() {
    const mine = current();
    const { sessionId } = mine;
    if (!sessionId) return;
    const since = Date.now();
    const announced = setTimeout(() => mine === current() && ui.tell(t('fetching')), SOON_MS);
    let told = '';
    restoring = true;
    showWhatCanBeDone();
    try {
      const messages = await api.history(sessionId);
      mine.turns = reconcile(toTurns(messages), mine.turns, since);
      mine.more = messages.length >= HISTORY_PAGE;
    } catch (error) {
      if (isGone(error) && mine.sessionId === sessionId) {
        // A question without an answer is kept for the reader, whatever the server forgot.
        Object.assign(mine, { sessionId: null, turns: mine.turns.filter(isUnanswered), more: false });
        if (mine.turns.length === 0) conversations.remove(mine.id);
        told = t('gone');
      } else {
        told = t('copyShown');
      }
    } finally {
      clearTimeout(announced);
      restoring = false;
    }
    if (mine !== current()) return;
    conversations.save(mine);
    drawAll();
    ui.tell(told, mine.sessionId && told ? restore : null);
  }

  // Earlier messages of the conversation, above those that are shown.
  async function showMore(button) {
    const mine = current();
    button.disabled = true;
    ui.tell('');
    try {
      const messages = await api.history(mine.sessionId, mine.turns[0].id);
      const turns = toTurns(messages);
      mine.turns = [...turns, ...mine.turns];
      mine.more = messages.length >= HISTORY_PAGE && turns.length > 0;
      if (mine !== current()) return;
      conversations.save(mine);
      view.drawAbove(turns);
    } catch {
      ui.tell(t('notFetched'));
    } finally {
      button.disabled = false;
      showWhatCanBeDone();
      if (button.hidden) log.focus({ preventScroll: true }); // where the button was
    }
  }

  return { restore, showMore, isRestoring: () => restoring };
}
