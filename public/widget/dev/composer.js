// The question box: writing a question, with or without a passage above it.
//
// What is being written is kept for this tab, so that a reload does not lose it.

import { read, write } from './conversation.js';
import { setText } from './view.js';

// The backend's limits, in Unicode code points; the counter appears for the last few hundred.
const MAX_QUESTION = 4_000;
const MAX_PASSAGE = 20_000;
const COUNT_FROM = 3_600;

const DRAFT = 'textbook-chat/draft';

const byId = (id) => document.getElementById(id);
const question = byId('question');

let passage = null; // shown above the question box

// `onSubmit` gets a question and its passage or null, and says whether it took them.
export function startComposer(onSubmit) {
  byId('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    submit(onSubmit);
  });
  question.addEventListener('keydown', (event) => {
    // While an input method composes a character, Enter belongs to it.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit(onSubmit);
  });
  question.addEventListener('input', changed);
  byId('quote-remove').addEventListener('click', () => askAbout(null));

  const draft = read('sessionStorage', DRAFT);
  setPassage(draft?.passage);
  question.value = draft?.text ?? question.value;
  changed();
}

function submit(onSubmit) {
  const text = question.value.trim();
  focusQuestion();
  if (!text) {
    say(passage ? 'Write a question about the passage first.' : 'Write a question first.');
  } else if (length(text) > MAX_QUESTION) {
    say(`A question can have at most ${MAX_QUESTION.toLocaleString()} characters. Please shorten it.`);
  } else if (onSubmit(text, passage)) {
    setPassage(null);
    setQuestion('');
  }
}

export function setQuestion(text) {
  question.value = text;
  changed();
  focusQuestion();
}

export function askAbout(text) {
  setPassage(text);
  focusQuestion();
}

// Puts a question into the box again, in front of what is being written there.
export function takeBack(turn) {
  setPassage(turn.passage ?? passage);
  setQuestion([turn.question, question.value].filter(Boolean).join('\n\n'));
}

export function say(text) {
  setText(byId('note'), text);
}

export function focusQuestion() {
  question.focus({ preventScroll: true }); // it is always in view
}

function changed() {
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
    say(`A passage can have at most ${MAX_PASSAGE.toLocaleString()} characters. Please select a shorter one.`);
    return;
  }
  say('');
  passage = text || null;
  byId('quote').hidden = !passage;
  byId('quote-text').textContent = passage ?? '';
  question.placeholder = passage ? 'Ask about this passage…' : 'Ask a question…';
  saveDraft();
}

function saveDraft() {
  write('sessionStorage', DRAFT, { text: question.value, passage });
}

function length(text) {
  return [...text].length;
}

function characters(count) {
  return `${count.toLocaleString()} character${count === 1 ? '' : 's'}`;
}
