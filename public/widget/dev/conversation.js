// The conversation as data: what it is, how it is kept, how it comes back from the server.
//
// A conversation is a session id and a list of turns. A turn is a question, perhaps with a
// passage, and its outcome. Its state is `open` (being asked), `failed` (with an error and a way
// to try again), or how the answer ended: `complete`, `cancelled` (stopped by the
// reader), `length` (cut at the limit).
//
// The server has what was asked and answered. This browser keeps a copy, in case the server cannot
// be reached, and what only the browser knows: questions that failed, and the keys to ask again.

import { explain } from './errors.js';

// How many turns the copy holds.
const KEPT_TURNS = 50;

export const CONVERSATION = 'textbook-chat/conversation';

export function newConversation() {
  return { sessionId: null, turns: [], more: false }; // more: the server has earlier ones
}

export function newTurn(question, passage) {
  return {
    id: null, // the server's id of the question, once known
    answerId: null,
    question,
    passage,
    answer: '',
    answeredAt: null,
    state: 'open',
    error: null,
    request: null,
    sentAt: 0,
  };
}

// What to ask with. A failed question is asked again with the same key in the same session, so that
// the server recognizes it, unless the conversation has moved to another session.
export function requestFor(turn, sessionId) {
  const before = turn.request;
  if (before && (before.startedIn ?? before.sessionId) === sessionId) return before;
  return { key: uuid(), sessionId };
}

// ---- From the server

// Makes turns of messages, oldest first. An answer without its question is left out: both come
// with the earlier messages.
export function toTurns(messages) {
  const turns = [];
  for (const message of messages) {
    if (message.role === 'user') {
      const turn = newTurn(message.content, message.selected_text ?? null);
      turns.push(Object.assign(turn, { id: message.id, state: 'failed', error: explain({ code: 'unanswered' }) }));
    } else if (message.role === 'assistant' && message.content) {
      // Of several answers to a question, a whole one counts.
      const question = turns.find((turn) => turn.id === message.reply_to);
      if (!question || question.state === 'complete') continue;
      Object.assign(question, {
        answerId: message.id,
        answer: message.content,
        answeredAt: message.created_at,
        state: message.state === 'cancelled' ? 'cancelled' : 'complete',
        error: null,
      });
    }
  }
  // An unanswered question that was asked again is shown once: where it was answered.
  return turns.filter((turn, index) => turn.state !== 'failed'
    || !turns.slice(index + 1).some((later) => sameQuestion(turn, later)));
}

// Merges what the server has with what this browser has. `since`: when the server was asked; it
// cannot know what was sent after that. Local turns stay the same objects.
export function reconcile(remote, local, since) {
  const pairs = new Map(); // theirs → mine
  const unpaired = (mine, fits) => {
    const theirs = remote.findLast((turn) => !pairs.has(turn) && fits(mine, turn));
    if (theirs) pairs.set(theirs, mine);
    return !theirs;
  };
  const only = [...local].reverse()
    .filter((mine) => unpaired(mine, sameId))
    .filter((mine) => mine.state === 'complete' || unpaired(mine, sameQuestion))
    .filter((mine) => !mine.id && (isUnanswered(mine) || mine.sentAt >= since))
    .reverse();
  return [...remote.map((theirs) => settle(pairs.get(theirs), theirs)), ...only];
}

function settle(mine, theirs) {
  if (!mine) return theirs;
  // If the server has no answer (yet), this browser knows better what happened.
  const better = mine.state === 'open' || theirs.state === 'failed';
  return Object.assign(mine, better ? { id: theirs.id } : theirs);
}

export function isUnanswered(turn) {
  return turn.state === 'failed' || turn.state === 'open';
}

function sameId(mine, theirs) {
  return (mine.id && mine.id === theirs.id) || (mine.answerId && mine.answerId === theirs.answerId);
}

function sameQuestion(one, other) {
  return one.question === other.question && one.passage === other.passage;
}

// ---- Kept in this browser

export function saveConversation({ sessionId, turns: all, more }) {
  let turns = all.slice(-KEPT_TURNS);
  const save = () => write('localStorage', CONVERSATION, { sessionId, turns, more: more || turns.length < all.length });
  // If storage is full, the latest turns matter most.
  while (!save() && turns.length > 1) turns = turns.slice(Math.ceil(turns.length / 2));
}

export function loadConversation() {
  const stored = read('localStorage', CONVERSATION);
  const turns = Array.isArray(stored?.turns) ? stored.turns : [];
  return {
    sessionId: typeof stored?.sessionId === 'string' ? stored.sessionId : null,
    turns: turns
      .filter((turn) => typeof turn?.question === 'string')
      .map((turn) => ({ ...newTurn(turn.question, null), ...turn })),
    more: stored?.more === true,
  };
}

// Storage can be full, forbidden or damaged. The page works without it, but forgets.
export function write(storage, key, value) {
  try {
    window[storage].setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export function read(storage, key) {
  try {
    return JSON.parse(window[storage].getItem(key));
  } catch {
    return null;
  }
}

// crypto.randomUUID is missing on pages without https, such as a test on the local network.
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
