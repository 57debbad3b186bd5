// One conversation as data: what it is, and how it comes back from the server.
//
// A conversation is a session id and a list of turns. A turn is a question, perhaps with a
// passage, and its outcome. Its state is `open` (being asked), `failed` (with an error and a way
// to try again), or how the answer ended: `complete`, `cancelled` (stopped by the
// reader), `length` (cut at the limit).
//
// The server has what was asked and answered. This browser keeps a copy, in case the server cannot
// be reached, and what only the browser knows: questions that failed, and the keys to ask again.

import { explain } from './errors.js';
import { uuid } from './store.js';

export function newTurn(question, passage = null, place = null) {
  return {
    id: null, // the server's id of the question, once known
    answerId: null,
    question,
    passage,
    place, // where the passage stands: the page's path
    page: null, // where it was asked
    answer: '',
    sources: [],
    answeredAt: null,
    judged: null,
    state: 'open',
    error: null,
    request: null,
    sentAt: 0,
  };
}

// What to ask with. A failed question is asked again with the same key in the same session, so that
// the server recognizes it, unless the conversation has moved to another session.
export function requestFor(turn, sessionId, page) {
  const before = turn.request;
  if (before && (before.startedIn ?? before.sessionId) === sessionId) return before;
  return { key: uuid(), sessionId, page };
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
        sources: message.sources ?? [],
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
    .filter((mine) => unpaired(mine, (one, theirs) => sameQuestion(one, theirs)
      // What was answered since has, as the server told it, no answer yet.
      && (one.state !== 'complete' || (one.sentAt >= since && theirs.state === 'failed'))))
    .filter((mine) => !mine.id && (isUnanswered(mine) || mine.sentAt >= since))
    .reverse();
  return [...remote.map((theirs) => settle(pairs.get(theirs), theirs)), ...only];
}

function settle(mine, theirs) {
  if (!mine) return theirs;
  // If the server has no answer (yet), this browser knows better what happened.
  if (mine.state === 'open' || theirs.state === 'failed') return Object.assign(mine, { id: theirs.id });
  const { place, page, judged } = mine; // which the server does not tell
  return Object.assign(mine, theirs, { place, page, judged });
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
