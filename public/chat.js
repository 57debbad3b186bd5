// The conversation: what it is, how it is kept, how it is shown, how a question is sent.
//
// A conversation is a session id and a list of turns. A turn is a question, perhaps with a
// passage, and what came of it: an answer, or an error with a way to try again. Whatever
// happens to the network, the server or the tab, the question stays.

import { ask } from './api.js';
import { explain, wait } from './errors.js';
import { renderMarkdown } from './markdown.js';
import { watchPassage } from './passage.js';

// The backend's limits, in Unicode code points; the counter appears for the last few hundred.
const MAX_QUESTION = 4_000;
const MAX_PASSAGE = 20_000;
const COUNT_FROM = 3_600;

// How many turns are there again at the next visit.
const KEPT_TURNS = 50;

// A longer passage is shown folded, with a button to open it.
const LONG_PASSAGE = 220;

// After this long, "Thinking…" admits that it takes a while.
const SLOW_MS = 10_000;

const byId = (id) => document.getElementById(id);
const log = byId('log');
const question = byId('question');

let conversation = { sessionId: null, turns: [] };
let putAway = null; // the conversation before this one, until the page is left
let pending = null; // { turn, controller, slow } while an answer is awaited
let passage = null; // what stands above the question box

// ---- Kept over a reload: the conversation for every later visit, the draft for this tab

const CONVERSATION = 'textbook-chat/conversation';
const DRAFT = 'textbook-chat/draft';

function saveConversation() {
  const turns = conversation.turns.slice(-KEPT_TURNS);
  // Where storage is full, the latest turns matter most.
  while (!write('localStorage', CONVERSATION, { ...conversation, turns }) && turns.length > 1) {
    turns.splice(0, Math.ceil(turns.length / 2));
  }
}

function loadConversation() {
  const stored = read('localStorage', CONVERSATION);
  const turns = Array.isArray(stored?.turns) ? stored.turns : [];
  return {
    sessionId: typeof stored?.sessionId === 'string' ? stored.sessionId : null,
    turns: turns.filter((turn) => typeof turn?.question === 'string'),
  };
}

function saveDraft() {
  write('sessionStorage', DRAFT, { text: question.value, passage });
}

// Storage can be full, forbidden or damaged. The page works without it, only forgetfully.
function write(storage, key, value) {
  try {
    window[storage].setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

function read(storage, key) {
  try {
    return JSON.parse(window[storage].getItem(key));
  } catch {
    return null;
  }
}

// ---- Asking

async function send(turn) {
  if (pending) {
    say('One question at a time: wait for the answer, or stop it.');
    return;
  }
  const mine = conversation; // "New conversation" may put another in its place meanwhile
  const controller = new AbortController();
  pending = { turn, controller, slow: false };
  const slow = setTimeout(() => {
    pending.slow = true;
    show();
  }, SLOW_MS);

  // A question asked again moves to the end: that is where its answer belongs.
  mine.turns = [...mine.turns.filter((other) => other !== turn), turn];
  Object.assign(turn, { answer: '', answeredAt: null, error: null });
  remove(turn);
  followAnew();
  update();

  try {
    const reply = await ask({
      message: turn.question,
      sessionId: mine.sessionId,
      selectedText: turn.passage,
      signal: controller.signal,
      onText: (text) => {
        turn.answer = text;
        show();
      },
    });
    mine.sessionId = reply.sessionId;
    turn.answer = reply.response;
    turn.answeredAt = reply.timestamp;
  } catch (error) {
    turn.error = explain(error);
  } finally {
    clearTimeout(slow);
    pending = null;
    update();
  }

  function update() {
    saveConversation();
    showWhatCanBeDone();
    show();
  }

  function show() {
    if (mine !== conversation) return;
    draw(turn);
    follow(turn);
  }
}

function stop() {
  pending?.controller.abort();
}

// Takes a question that failed back into the box, in front of what is being written there.
function edit(turn) {
  conversation.turns = conversation.turns.filter((other) => other !== turn);
  remove(turn);
  saveConversation();
  setPassage(turn.passage ?? passage);
  setQuestion([turn.question, question.value].filter(Boolean).join('\n\n'));
  showWhatCanBeDone();
}

function startAnew() {
  stop();
  if (conversation.turns.length > 0) putAway = conversation;
  switchTo({ sessionId: null, turns: [] });
}

function bringBack() {
  const earlier = putAway;
  putAway = null;
  switchTo(earlier);
}

function switchTo(other) {
  conversation = other;
  saveConversation();
  drawAll();
  focusQuestion();
}

// ---- Showing

const elements = new WeakMap(); // turn → its element

function drawAll() {
  // A screen reader announces what is new, not what was there before.
  log.setAttribute('aria-live', 'off');
  for (const element of log.querySelectorAll('.turn')) element.remove();
  conversation.turns.forEach(draw);
  log.scrollTop = log.scrollHeight;
  setTimeout(() => log.setAttribute('aria-live', 'polite'), 100);
  showWhatCanBeDone();
}

// Shows a turn as it is now. Called again whenever more of its answer has come.
function draw(turn) {
  const element = elements.get(turn) ?? create(turn);
  if (!element.isConnected) log.append(element);
  const part = (name) => element.querySelector(`.${name}`);
  const waiting = pending?.turn === turn;

  part('thinking').hidden = Boolean(turn.answer || turn.error);
  setText(part('thinking-text'), waiting && pending.slow ? 'Still thinking…' : 'Thinking…');

  const answer = part('answer');
  answer.hidden = !turn.answer;
  answer.setAttribute('aria-busy', String(waiting)); // read out when it is complete
  if (answer.markdown !== turn.answer) {
    answer.markdown = turn.answer;
    answer.replaceChildren(renderMarkdown(turn.answer));
  }

  const time = part('answered-at');
  const answeredAt = new Date(turn.answeredAt ?? NaN);
  time.hidden = Number.isNaN(answeredAt.getTime());
  if (!time.hidden) {
    time.dateTime = answeredAt.toISOString();
    setText(time, when(answeredAt));
  }

  drawFailure(part, turn);
}

function drawFailure(part, turn) {
  const { error } = turn;
  part('failure').hidden = !error;
  if (!error) return;
  setText(part('failure-text'), `${error.text} ${wait(error.retryAt)}`.trim());

  part('failure-details').hidden = error.details.length === 0;
  part('failure-details').replaceChildren(...error.details.map((text) => {
    const item = document.createElement('li');
    item.textContent = text;
    return item;
  }));
  part('failure-id').hidden = !error.requestId;
  setText(part('failure-id').querySelector('code'), error.requestId ?? '');

  const left = Math.max(0, (error.retryAt ?? 0) - Date.now());
  part('retry').hidden = !error.again;
  part('retry').disabled = left > 0;
  if (left > 0) {
    const later = Math.min(left + 50, 2 ** 31 - 1); // a longer time-out would end at once
    setTimeout(() => turn.error === error && drawFailure(part, turn), later);
  }
}

function create(turn) {
  const element = byId('turn').content.firstElementChild.cloneNode(true);
  elements.set(turn, element);
  element.querySelector('.question-text').textContent = turn.question;

  if (turn.passage) {
    const quote = element.querySelector('.quote');
    quote.hidden = false;
    quote.textContent = turn.passage;
    const more = element.querySelector('.quote-more');
    more.hidden = turn.passage.length <= LONG_PASSAGE;
    quote.classList.toggle('folded', !more.hidden);
    more.addEventListener('click', () => {
      const folded = quote.classList.toggle('folded');
      more.setAttribute('aria-expanded', String(!folded));
      more.textContent = folded ? 'Show the whole passage' : 'Show less';
    });
  }

  element.querySelector('.retry').addEventListener('click', () => {
    focusQuestion();
    send(turn);
  });
  element.querySelector('.edit').addEventListener('click', () => edit(turn));
  return element;
}

function remove(turn) {
  elements.get(turn)?.remove();
}

function showWhatCanBeDone() {
  const empty = conversation.turns.length === 0;
  byId('welcome').hidden = !empty;
  byId('put-away').hidden = !putAway;
  byId('continued').hidden = empty;
  byId('new-conversation').hidden = empty;
  byId('send').hidden = Boolean(pending);
  byId('stop').hidden = !pending;
}

// Unchanged text is left alone, so that it is not announced twice.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function when(date) {
  const today = date.toDateString() === new Date().toDateString();
  const style = today ? { timeStyle: 'short' } : { dateStyle: 'medium', timeStyle: 'short' };
  return new Intl.DateTimeFormat(undefined, style).format(date);
}

// ---- Following an answer: the view moves with it until its question has reached the top, so
// that a long answer is read from its beginning; and not at all once the reader has scrolled.

let leftAt = null;

// The log scrolls in two columns, the page in one.
const scrolled = () => log.scrollTop + document.scrollingElement.scrollTop;

function followAnew() {
  leftAt = null;
}

function follow(turn) {
  if (leftAt !== null && Math.abs(scrolled() - leftAt) > 4) return;
  elements.get(turn).scrollIntoView({ block: 'start' });
  leftAt = scrolled();
}

// ---- Writing a question

byId('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  submit();
});

question.addEventListener('keydown', (event) => {
  // While an input method composes a character, Enter belongs to it.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  submit();
});

question.addEventListener('input', questionChanged);

function submit() {
  const text = question.value.trim();
  focusQuestion();
  if (!text) {
    say(passage ? 'Write a question about the passage first.' : 'Write a question first.');
  } else if (length(text) > MAX_QUESTION) {
    say(`A question can have ${MAX_QUESTION.toLocaleString()} characters. Please shorten it.`);
  } else if (pending) {
    say('One question at a time: wait for the answer, or stop it.');
  } else {
    const turn = { question: text, passage };
    setPassage(null);
    setQuestion('');
    send(turn);
  }
}

function setQuestion(text) {
  question.value = text;
  questionChanged();
  focusQuestion();
}

function questionChanged() {
  say('');
  saveDraft();

  const used = length(question.value.trim());
  const left = MAX_QUESTION - used;
  const counter = byId('counter');
  counter.hidden = used < COUNT_FROM;
  counter.classList.toggle('over', left < 0);
  counter.textContent = left < 0
    ? `${characters(-left)} too many`
    : `${characters(left)} left`;

  // The box grows with the question, up to the limit in the style sheet.
  question.style.height = 'auto';
  question.style.height = `${question.scrollHeight + question.offsetHeight - question.clientHeight}px`;
}

function setPassage(text) {
  if (text && length(text) > MAX_PASSAGE) {
    say(`A passage can have ${MAX_PASSAGE.toLocaleString()} characters. Please select a shorter one.`);
    return;
  }
  say('');
  passage = text || null;
  byId('quote').hidden = !passage;
  byId('quote-text').textContent = passage ?? '';
  question.placeholder = passage ? 'Ask about this passage…' : 'Ask a question…';
  saveDraft();
}

function say(text) {
  setText(byId('note'), text);
}

function focusQuestion() {
  question.focus({ preventScroll: true }); // it is always in view
}

function length(text) {
  return [...text].length;
}

function characters(count) {
  return `${count.toLocaleString()} character${count === 1 ? '' : 's'}`;
}

// ---- The rest of the page

watchPassage(byId('passage'), byId('ask-selection'), (text) => {
  setPassage(text);
  focusQuestion();
});

byId('quote-remove').addEventListener('click', () => {
  setPassage(null);
  focusQuestion();
});
byId('stop').addEventListener('click', () => {
  focusQuestion();
  stop();
});
byId('new-conversation').addEventListener('click', startAnew);
byId('bring-back').addEventListener('click', bringBack);
for (const example of document.querySelectorAll('.example')) {
  example.addEventListener('click', () => setQuestion(example.textContent));
}

// Another tab went on with the same conversation.
addEventListener('storage', (event) => {
  if (event.key !== CONVERSATION || pending) return;
  conversation = loadConversation();
  drawAll();
});

conversation = loadConversation();
for (const turn of conversation.turns) {
  if (!turn.answer && !turn.error) turn.error = explain({ code: 'interrupted' });
}
drawAll();

const draft = read('sessionStorage', DRAFT);
setPassage(draft?.passage);
question.value = draft?.text ?? question.value;
questionChanged();
