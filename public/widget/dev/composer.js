// The question box: writing a question, with or without a passage above it.
//
// What is being written is kept for this tab, so that leaving the page does not lose it.

import { h, icon, iconButton, setText } from './dom.js';

// The backend's limits, in Unicode code points; the counter appears for the last few hundred.
const MAX_QUESTION = 4_000;
const MAX_PASSAGE = 20_000;
const COUNT_FROM = 3_600;

// `onSubmit` gets a question and its passage or null, and says whether it took them; `onStop`
// stops the answer; `onUp` is ArrowUp in an empty box; `onInput` says that a question is begun.
export function createComposer({ t, store, disclaimer, onSubmit, onStop, onUp, onInput }) {
  let passage = null; // { text, place }, shown above the question box

  const quote = h('blockquote', { class: 'quote', dir: 'auto', tabindex: '0' });
  const quoteRow = h('div', { class: 'composer-quote', hidden: true }, quote, iconButton('close', t('removePassage'), () => askAbout(null)));
  // No maxlength: it would cut a pasted question silently. The counter says so instead.
  const question = h('textarea', {
    rows: '1', enterkeyhint: 'send', 'aria-label': t('yourQuestion'), 'aria-describedby': 'counter hint', keydown: pressed,
    input() { onInput(); changed(); },
  });
  const send = h('button', { type: 'submit', class: 'primary', 'aria-label': t('send'), title: t('send') }, icon('send'));
  const stop = h('button', {
    type: 'button', class: 'primary', 'aria-label': t('stop'), title: `${t('stop')} (Esc)`, hidden: true, click() { focus(); onStop(); },
  }, icon('stop'));
  const counter = h('p', { class: 'note', id: 'counter', hidden: true });
  const note = h('p', { class: 'note', role: 'alert' });
  const form = h('form', { class: 'composer', part: 'composer', submit(event) { event.preventDefault(); submit(); } },
    quoteRow,
    h('div', { class: 'composer-row' }, question, send, stop),
    counter,
    note,
    h('p', { class: 'hint', id: 'hint' }, h('span', { class: 'keys' }, `${t('keys')} `), disclaimer || t('disclaimer')));

  function pressed(event) {
    // While an input method composes a character, the keys belong to it.
    if (event.isComposing || event.keyCode === 229 || event.shiftKey) return;
    if (event.key === 'Enter') {
      event.preventDefault();
      submit();
    } else if (event.key === 'ArrowUp' && !question.value && onUp()) {
      event.preventDefault();
    }
  }

  function submit() {
    const text = question.value.trim();
    focus();
    if (!text) {
      say(t('questionMissing'));
    } else if (length(text) > MAX_QUESTION) {
      say(t('questionLong', { n: number(MAX_QUESTION) }));
    } else if (onSubmit(text, passage)) {
      setPassage(null);
      setQuestion('');
    }
  }

  function setQuestion(text) {
    question.value = text;
    changed();
  }

  function askAbout(text, place = null) {
    setPassage(text && { text, place });
    focus();
  }

  // Puts a question into the box again, in front of what is being written there.
  function takeBack(turn) {
    if (turn.passage) setPassage({ text: turn.passage, place: turn.place });
    setQuestion([turn.question, question.value].filter(Boolean).join('\n\n'));
    focus();
  }

  function say(text) {
    setText(note, text);
  }

  function focus() {
    question.focus({ preventScroll: true }); // it is always in view
  }

  function changed() {
    say('');
    saveDraft();
    question.dir = question.value ? 'auto' : ''; // an empty box is of the panel's direction
    const used = length(question.value.trim());
    const left = MAX_QUESTION - used;
    counter.hidden = used < COUNT_FROM;
    counter.classList.toggle('over', left < 0);
    setText(counter, t(left < 0 ? 'over' : 'left', { n: number(Math.abs(left)) }));
    grow();
  }

  // The box grows with the question, up to the limit in the style sheet.
  function grow() {
    question.style.height = 'auto';
    if (question.scrollHeight) question.style.height = `${question.scrollHeight + question.offsetHeight - question.clientHeight}px`;
  }

  function setPassage(chosen) {
    if (chosen && length(chosen.text) > MAX_PASSAGE) {
      say(t('passageLong', { n: number(MAX_PASSAGE) }));
      return;
    }
    say('');
    passage = chosen;
    quoteRow.hidden = !passage;
    setText(quote, passage?.text ?? '');
    question.placeholder = t(passage ? 'placeholderPassage' : 'placeholder');
    saveDraft();
  }

  function saveDraft() {
    store.write('draft', question.value || passage ? { text: question.value, passage } : null, 'sessionStorage');
  }

  function number(n) {
    return n.toLocaleString(t.lang);
  }

  const draft = store.read('draft', 'sessionStorage');
  question.value = draft?.text ?? '';
  setPassage(typeof draft?.passage?.text === 'string' ? draft.passage : null);
  changed();

  return {
    form,
    askAbout,
    setQuestion,
    takeBack,
    say,
    focus,
    grow,
    isEmpty: () => !question.value,
    setBusy(busy) {
      if (!busy && stop.matches(':focus')) focus();
      send.hidden = busy;
      stop.hidden = !busy;
    },
  };
}

function length(text) {
  return [...text].length;
}
