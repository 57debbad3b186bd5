// The conversations of this browser: the last 20, which one is open, and a copy of each.

import { uuid } from './store.js';

const KEPT = 20;
const KEPT_TURNS = 50; // of each
const TITLE = 80;

// `more`: the server has earlier turns.
export function newConversation() {
  return { id: uuid(), sessionId: null, turns: [], more: false };
}

export function createConversations(store) {
  // `[{ id, sessionId, title, at }]`, the latest first.
  const list = () => {
    const kept = store.read('conversations');
    return Array.isArray(kept) ? kept.filter((entry) => typeof entry?.id === 'string') : [];
  };

  // If storage is full, the latest turns matter most, and those of this conversation.
  function save(conversation) {
    const { id, sessionId, turns: all, more, deleted } = conversation;
    if (deleted || (all.length === 0 && !sessionId)) return;
    const others = list().filter((entry) => entry.id !== id);
    const before = list().find((entry) => entry.id === id);
    const at = all.at(-1)?.sentAt || before?.at || Date.now();
    const title = before?.title ?? (all[0]?.question ?? '').replace(/\s+/g, ' ').slice(0, TITLE);
    const entries = [{ id, sessionId, title, at }, ...others].sort((one, other) => other.at - one.at);
    for (const { id: old } of entries.splice(KEPT)) store.write(`c/${old}`, null);
    store.write('conversations', entries);
    let turns = all.slice(-KEPT_TURNS);
    const keep = () => store.write(`c/${id}`, { turns, more: more || turns.length < all.length });
    while (!keep()) {
      const oldest = others.pop();
      if (oldest) store.write(`c/${oldest.id}`, null);
      else if (turns.length > 1) turns = turns.slice(Math.ceil(turns.length / 2));
      else return;
    }
  }

  function load(id) {
    const entry = list().find((one) => one.id === id);
    if (!entry) return newConversation();
    const kept = store.read(`c/${id}`);
    const turns = Array.isArray(kept?.turns) ? kept.turns : [];
    return {
      id,
      sessionId: typeof entry.sessionId === 'string' ? entry.sessionId : null,
      turns: turns
        .filter((turn) => typeof turn?.question === 'string')
        .map((turn) => ({ sources: [], ...turn })),
      more: kept?.more === true,
    };
  }

  function remove(id) {
    store.write('conversations', list().filter((entry) => entry.id !== id));
    store.write(`c/${id}`, null);
  }

  return {
    list,
    save,
    load,
    remove,
    current: () => load(store.read('current')),
    choose: (conversation) => store.write('current', conversation.id),
  };
}
