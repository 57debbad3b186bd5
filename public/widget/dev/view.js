// Showing turns in the log, and moving the view with an answer that is being written.

import { wait } from './errors.js';
import { growMarkdown, renderMarkdown } from './markdown.js';

// A longer passage is shown folded, with a button to open it.
const LONG_PASSAGE = 220;

const ENDINGS = { cancelled: 'Stopped.', length: 'Cut off at the length limit.' };

const log = document.getElementById('log');
const elements = new WeakMap(); // turn → its element
const actions = {}; // what the buttons of a turn do: retry, edit, again

export function onTurn(handlers) {
  Object.assign(actions, handlers);
}

// Shows these turns and no others, scrolled to their end unless the reader is elsewhere in them.
export function drawTurns(turns) {
  const last = lastTurn();
  const hidden = log.scrollHeight - log.clientHeight; // 0 if the page scrolls, not the log
  const atEnd = hidden > 0 && hidden - log.scrollTop < 8;
  quietly(() => unmoved(() => {
    const shown = turns.map((turn) => elements.get(turn));
    for (const element of log.querySelectorAll('.turn')) if (!shown.includes(element)) element.remove();
    for (const turn of turns) log.append(drawTurn(turn));
  }));
  if (atEnd || !last?.isConnected) log.scrollTop = log.scrollHeight;
}

// Shows more turns above the present ones.
export function drawAbove(turns) {
  const first = log.querySelector('.turn');
  quietly(() => unmoved(() => {
    for (const turn of turns) log.insertBefore(drawTurn(turn), first);
  }, first));
}

// Shows a turn as it is now. Called again whenever more of its answer has arrived.
export function drawTurn(turn, { slow = false } = {}) {
  const element = elements.get(turn) ?? create(turn);
  if (!element.isConnected) log.append(element);
  const part = (name) => element.querySelector(`.${name}`);
  const open = turn.state === 'open';

  drawAnswer(part('answer'), turn.answer, open);
  part('thinking').hidden = !open;
  const thinking = slow ? 'Still thinking…' : 'Thinking…';
  setText(part('thinking-text'), turn.answer ? '' : thinking);

  const ending = open || turn.error ? '' : ENDINGS[turn.state] ?? '';
  setText(part('ending-text'), ending);
  part('again').hidden = open || turn.state !== 'cancelled';
  const time = part('answered-at');
  const answeredAt = new Date(turn.answeredAt ?? NaN);
  time.hidden = Number.isNaN(answeredAt.getTime());
  if (!time.hidden) {
    time.dateTime = answeredAt.toISOString();
    setText(time, when(answeredAt));
  }
  part('ending').hidden = time.hidden && !ending;

  drawFailure(part, turn);
  return element;
}

// An answer is not announced while it is being written. Once complete, it is inserted as something
// new, which makes a screen reader read it: as a whole, and once.
function drawAnswer(element, text, writing) {
  const complete = element.getAttribute('aria-busy') === 'true' && !writing;
  element.setAttribute('aria-busy', String(writing));
  element.hidden = !text;
  if (complete) element.replaceChildren(renderMarkdown(text));
  else if (element.markdown !== text) growMarkdown(element, text);
  element.markdown = text;
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
    const later = Math.min(left + 50, 2 ** 31 - 1); // a longer timeout would fire at once
    setTimeout(() => turn.error === error && drawFailure(part, turn), later);
  }
}

function create(turn) {
  const element = document.getElementById('turn').content.firstElementChild.cloneNode(true);
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

  for (const action of ['retry', 'edit', 'again']) {
    element.querySelector(`.${action}`).addEventListener('click', () => actions[action](turn));
  }
  return element;
}

export function removeTurn(turn) {
  elements.get(turn)?.remove();
}

// Unchanged text is left alone, so that it is not announced twice.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function when(date) {
  const today = date.toDateString() === new Date().toDateString();
  const style = today ? { timeStyle: 'short' } : { dateStyle: 'medium', timeStyle: 'short' };
  return new Intl.DateTimeFormat(undefined, style).format(date);
}

// ---- Scrolling. With two columns the log scrolls, with one the page.

const scrolled = () => log.scrollTop + document.scrollingElement.scrollTop;

// An answer is followed: the view moves with it until its question has reached the top, so
// that a long answer is read from its beginning; and not at all once the reader has scrolled.
let leftAt = null;

export function followAnew() {
  leftAt = null;
}

export function follow(turn) {
  if (!isFollowing()) return;
  elements.get(turn).scrollIntoView({ block: 'start' });
  leftAt = scrolled();
}

function isFollowing() {
  return leftAt === null || Math.abs(scrolled() - leftAt) <= 4;
}

// Changes what surrounds a turn; a turn that is in view does not move on the screen.
export function unmoved(change, turn = lastTurn()) {
  const top = () => turn.getBoundingClientRect().top;
  const following = isFollowing();
  const before = turn ? top() : NaN;
  change();
  if (turn?.isConnected && before < innerHeight) {
    log.scrollTop += top() - before;
    document.scrollingElement.scrollTop += top() - before;
  }
  if (following && leftAt !== null) leftAt = scrolled();
}

function lastTurn() {
  return [...log.querySelectorAll('.turn')].at(-1);
}

// A screen reader announces what is new, not what was there before.
let quiet = null;

function quietly(change) {
  log.setAttribute('aria-live', 'off');
  change();
  clearTimeout(quiet);
  quiet = setTimeout(() => log.setAttribute('aria-live', 'polite'), 100);
}
