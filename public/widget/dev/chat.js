// The page: asks, stops, asks again, brings the conversation back, puts it away, deletes it.
// Whatever happens to the network, the server or the tab, the question stays.

import { ask, forget, history, isGone, HISTORY_PAGE } from './api.js';
import { askAbout, focusQuestion, say, setQuestion, startComposer, takeBack } from './composer.js';
import {
  CONVERSATION, isUnanswered, loadConversation, newConversation, newTurn, reconcile, requestFor,
  saveConversation, toTurns,
} from './conversation.js';
import { explain } from './errors.js';
import { watchPassage } from './passage.js';
import { drawAbove, drawTurn, drawTurns, follow, followAnew, onTurn, removeTurn, setText, unmoved } from './view.js';

// After this long without a word, "Thinking…" admits that it takes a while.
const SLOW_MS = 10_000;

// Whatever arrives sooner than this does not need to be announced.
const SOON_MS = 300;

const byId = (id) => document.getElementById(id);

let conversation = newConversation();
let putAway = null; // the conversation before this one, until the page is left
let pending = null; // { turn, controller, slow } while an answer is awaited
let restoring = false; // the server is being asked for the conversation

// ---- Asking

function isBusy() {
  if (pending) say('One question at a time: wait for the answer, or stop it.');
  return Boolean(pending);
}

async function send(turn) {
  const mine = conversation; // "New conversation" may replace it meanwhile
  const asked = { turn, controller: new AbortController(), slow: false };
  pending = asked;
  const slow = setTimeout(() => {
    asked.slow = true;
    show();
  }, SLOW_MS);

  // A question asked again moves to the end: that is where its answer belongs.
  mine.turns = [...mine.turns.filter((other) => other !== turn), turn];
  removeTurn(turn);
  const request = requestFor(turn, mine.sessionId);
  Object.assign(turn, { request, answerId: null, answer: '', answeredAt: null, state: 'open', error: null, sentAt: Date.now() });
  followAnew();
  if (byId('restore').hidden) tell(''); // by now the reader has read the notice
  update();

  let frame = null; // tokens come faster than the screen is drawn
  try {
    const { answer, state, timestamp } = await ask({
      key: request.key,
      message: turn.question,
      sessionId: request.sessionId,
      selectedText: turn.passage,
      signal: asked.controller.signal,
      onStart: ({ sessionId, answerId }) => {
        mine.sessionId = sessionId ?? mine.sessionId;
        request.startedIn = mine.sessionId;
        turn.answerId = answerId;
        if (mine === conversation) saveConversation(mine);
      },
      onText: (text) => {
        turn.answer = text;
        frame ??= requestAnimationFrame(() => {
          frame = null;
          show();
        });
      },
    });
    Object.assign(turn, { answer, state, answeredAt: timestamp, request: null });
  } catch (error) {
    // The question is stored: the next one, or the same one again, goes into its conversation.
    if (error.sessionId) request.startedIn = mine.sessionId = error.sessionId;
    fail(turn, error);
  } finally {
    clearTimeout(slow);
    cancelAnimationFrame(frame);
    pending = null;
    update();
  }

  function update() {
    if (mine === conversation) saveConversation(mine);
    showWhatCanBeDone();
    show();
  }

  function show() {
    if (mine !== conversation) return;
    drawTurn(turn, asked);
    follow(turn);
  }
}

// With the same key, an answer that was never received is sent again. That does not help if the
// answer itself, or the key, is at fault.
const KEY_IS_SPENT = ['empty', 'idempotency_key_reused'];

function fail(turn, error) {
  if (error.code === 'stopped' && turn.answer) {
    Object.assign(turn, { state: 'cancelled', answeredAt: new Date().toISOString(), request: null });
    return;
  }
  Object.assign(turn, { state: 'failed', error: explain(error) });
  if (KEY_IS_SPENT.includes(error.code)) turn.request = null;
}

function stop() {
  pending?.controller.abort();
}

function retry(turn) {
  focusQuestion();
  if (!isBusy()) send(turn);
}

// A stopped answer stays as it is; the question is asked anew, below it.
function again(turn) {
  retry(newTurn(turn.question, turn.passage));
}

function edit(turn) {
  conversation.turns = conversation.turns.filter((other) => other !== turn);
  removeTurn(turn);
  saveConversation(conversation);
  takeBack(turn);
  showWhatCanBeDone();
}

// ---- Bringing the conversation back. This browser's copy is shown at once; then the server, which
// knows better, is asked.

async function restore() {
  const mine = conversation;
  const { sessionId } = mine;
  if (!sessionId) return;
  const since = Date.now();
  const announced = setTimeout(() => mine === conversation && tell('Fetching your conversation…'), SOON_MS);
  let told = '';
  restoring = true;
  showWhatCanBeDone();
  try {
    const messages = await history(sessionId);
    mine.turns = reconcile(toTurns(messages), mine.turns, since);
    mine.more = messages.length >= HISTORY_PAGE;
  } catch (error) {
    if (isGone(error) && mine.sessionId === sessionId) {
      // A question without an answer is kept for the reader, whatever the server forgot.
      Object.assign(mine, { sessionId: null, turns: mine.turns.filter(isUnanswered), more: false });
      told = 'Your last conversation is no longer on the server.';
    } else {
      told = 'The server could not be reached just now. This is the copy kept in this browser.';
    }
  } finally {
    clearTimeout(announced);
    restoring = false;
  }
  if (mine !== conversation) return;
  saveConversation(mine);
  drawAll();
  tell(told, { again: Boolean(mine.sessionId && told) });
}

async function showEarlier() {
  const mine = conversation;
  const button = byId('earlier');
  button.disabled = true;
  tell('');
  try {
    const messages = await history(mine.sessionId, mine.turns[0].id);
    const turns = toTurns(messages);
    mine.turns = [...turns, ...mine.turns];
    mine.more = messages.length >= HISTORY_PAGE && turns.length > 0;
    if (mine !== conversation) return;
    saveConversation(mine);
    drawAbove(turns);
  } catch {
    tell('The earlier messages could not be fetched just now.');
  } finally {
    button.disabled = false;
    showWhatCanBeDone();
    if (button.hidden) byId('log').focus({ preventScroll: true }); // where the button was
  }
}

// ---- Another conversation

function startAnew() {
  stop();
  if (conversation.turns.length > 0) putAway = conversation;
  switchTo(newConversation());
}

function bringBack() {
  const earlier = putAway;
  putAway = null;
  switchTo(earlier);
}

async function deleteConversation() {
  const { sessionId } = conversation;
  const buttons = byId('delete-dialog').querySelectorAll('button');
  stop();
  setText(byId('delete-note'), '');
  for (const button of buttons) button.disabled = true;
  try {
    if (sessionId) await forget(sessionId);
    byId('delete-dialog').close();
    switchTo(newConversation());
  } catch {
    setText(byId('delete-note'), 'It could not be deleted just now. Please try again.');
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

function switchTo(other) {
  conversation = other;
  saveConversation(conversation);
  tell('');
  drawAll();
  focusQuestion();
}

// ---- Showing

function drawAll() {
  drawTurns(conversation.turns);
  showWhatCanBeDone();
}

function showWhatCanBeDone() {
  const { turns, sessionId, more } = conversation;
  const empty = turns.length === 0 && !sessionId;
  byId('welcome').hidden = turns.length > 0 || (restoring && !empty);
  byId('put-away').hidden = !putAway;
  byId('continued').hidden = empty;
  byId('new-conversation').hidden = empty;
  byId('delete-conversation').hidden = empty;
  byId('earlier').hidden = !(more && turns[0]?.id);
  if (!pending && document.activeElement === byId('stop')) focusQuestion();
  byId('send').hidden = Boolean(pending);
  byId('stop').hidden = !pending;
}

// A quiet notice above the conversation.
function tell(text, { again = false } = {}) {
  unmoved(() => {
    setText(byId('aside-text'), text);
    byId('aside').hidden = !text;
    byId('restore').hidden = !again;
  });
}

// ---- The rest of the page

onTurn({ retry, edit, again });

watchPassage(byId('passage'), byId('ask-selection'), askAbout);

startComposer((text, passage) => {
  if (isBusy()) return false;
  send(newTurn(text, passage));
  return true;
});

byId('stop').addEventListener('click', () => {
  focusQuestion();
  stop();
});
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.defaultPrevented || event.isComposing) return;
  if (pending && !byId('delete-dialog').open) stop();
});

byId('earlier').addEventListener('click', showEarlier);
byId('restore').addEventListener('click', () => {
  byId('log').focus({ preventScroll: true }); // the button goes
  restore();
});
byId('new-conversation').addEventListener('click', startAnew);
byId('bring-back').addEventListener('click', bringBack);
byId('delete-conversation').addEventListener('click', () => {
  setText(byId('delete-note'), '');
  byId('delete-dialog').showModal();
});
byId('delete-cancel').addEventListener('click', () => byId('delete-dialog').close());
byId('delete-confirm').addEventListener('click', deleteConversation);
for (const example of document.querySelectorAll('.example')) {
  example.addEventListener('click', () => setQuestion(example.textContent));
}

// Another tab has continued the same conversation.
addEventListener('storage', (event) => {
  if (event.key !== CONVERSATION || pending) return;
  conversation = loadConversation();
  drawAll();
});

// If the page is left in the middle of an answer, what has arrived of it is kept.
addEventListener('pagehide', () => {
  if (pending) saveConversation(conversation);
});

conversation = loadConversation();
for (const turn of conversation.turns) {
  if (turn.state === 'open') Object.assign(turn, { state: 'failed', error: explain({ code: 'interrupted' }) });
}
drawAll();
restore();
