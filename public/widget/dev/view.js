// The turns in the log, each drawn as it is now. The words of an answer are markdown.js's, which is
// fetched with the first answer.

import { h, icon, iconButton, setText } from './dom.js';
import { asksAgainAt, wait, when, words } from './errors.js';
import { createScroll } from './scroll.js';

// A longer passage is shown folded, with a button to open it.
const LONG_PASSAGE = 220;

// `actions`: what the buttons of a turn do: retry, edit, again, judge, copy, lead.
export function createView({ log, t, root, server, book, actions }) {
  const scroll = createScroll(log);
  const elements = new WeakMap(); // turn → its element
  const drawn = new WeakMap(); // an answer's element → its text
  let markdown = null;
  let fetching = null;

  // Shows these turns and no others, scrolled to their end unless the reader is elsewhere in them.
  function drawTurns(turns) {
    const before = log.querySelector('.turn');
    const end = scroll.isAtEnd();
    scroll.unmoved(() => {
      const shown = turns.map((turn) => elements.get(turn));
      for (const element of log.querySelectorAll('.turn')) if (!shown.includes(element)) element.remove();
      for (const turn of turns) log.append(drawTurn(turn));
    });
    if (end || !before?.isConnected) scroll.toEnd();
  }

  // Shows more turns above the present ones.
  function drawAbove(turns) {
    const first = log.querySelector('.turn');
    scroll.unmoved(() => {
      for (const turn of turns) log.insertBefore(drawTurn(turn), first);
    }, first);
  }

  // Shows a turn as it is now. Called again whenever more of its answer has arrived.
  function drawTurn(turn, { slow = false, waiting = false } = {}) {
    const element = elements.get(turn) ?? create(turn);
    if (!element.isConnected) log.append(element);
    const part = (name) => element.querySelector(`.${name}`);
    const open = turn.state === 'open';

    part('reply').hidden = !turn.answer;
    drawAnswer(part('answer'), turn);
    drawSources(part('sources'), open ? [] : turn.sources ?? []);
    part('thinking').hidden = !open;
    const thinking = slow ? 'stillThinking' : 'thinking';
    setText(part('thinking-text'), waiting ? t('beingWritten') : turn.answer ? '' : t(thinking));

    part('ending').hidden = open || !turn.answer;
    setText(part('ending-text'), { cancelled: t('stopped'), length: t('cut') }[turn.state] ?? '');
    part('again').hidden = turn.state !== 'cancelled';
    for (const kind of ['positive', 'negative']) {
      part(kind).hidden = !turn.answerId;
      part(kind).setAttribute('aria-pressed', String(turn.judged === kind));
    }
    const answeredAt = new Date(turn.answeredAt ?? NaN);
    part('answered-at').hidden = Number.isNaN(answeredAt.getTime());
    if (!part('answered-at').hidden) {
      part('answered-at').dateTime = answeredAt.toISOString();
      setText(part('answered-at'), when(answeredAt, t.lang));
    }
    drawFailure(part, turn.error);
    return element;
  }

  function drawAnswer(element, turn) {
    const { answer: text } = turn;
    element.setAttribute('aria-busy', String(turn.state === 'open'));
    const state = `${Boolean(markdown)} ${turn.state} ${text}`;
    fetchMarkdown();
    if (!text || drawn.get(element) === state) return;
    drawn.set(element, state);
    if (!markdown) {
      setText(element, text);
      return;
    }
    if (element.firstChild?.nodeType === Node.TEXT_NODE) element.replaceChildren();
    markdown.growMarkdown(element, text, {
      base: turn.page ?? undefined,
      sources: turn.sources,
      words: { copyCode: t('copyCode'), copied: t('copied'), source: t('source'), table: t('table') },
      onCopy: () => actions.say(t('copied')),
    });
  }

  // Until it is here, and if it does not come, an answer is shown as it was written.
  function fetchMarkdown() {
    fetching ??= Promise.all([import('./markdown.js'), import('./answer-css.js')]).then(([module, { ANSWER_CSS }]) => {
      root.adoptedStyleSheets.push(actions.sheet(ANSWER_CSS));
      markdown = module;
      actions.redraw();
    }).catch(() => {});
  }

  function drawSources(element, sources) {
    const list = element.querySelector('ol');
    element.hidden = sources.length === 0;
    if (list.childElementCount === sources.length) return;
    list.replaceChildren(...sources.filter(({ url }) => /^https?:/i.test(url)).map(({ id, title, section, url }) => {
      const here = new URL(url).origin === location.origin;
      const names = [title, section].filter(Boolean).join(' > ').split(' > ');
      return h('li', null, h('a', { href: url, target: here ? null : '_blank', rel: here ? null : 'noopener noreferrer' },
        h('span', { class: 'number' }, String(id)), h('span', { dir: 'auto' }, names.join(' › '))));
    }));
  }

  function drawFailure(part, error) {
    part('failure').hidden = !error;
    if (!error) return;
    part('failure').classList.toggle('calm', error.calm);
    setText(part('failure-text'), words(error, t, server));
    setText(part('failure-wait'), wait(error, t));
    part('failure-details').hidden = error.details.length === 0;
    part('failure-details').replaceChildren(...error.details.map((text) => h('li', null, text)));
    part('failure-id').hidden = !error.requestId;
    setText(part('failure-id').querySelector('code'), error.requestId ?? '');
    part('retry').hidden = !error.again;
    part('retry').disabled = error.retryAt > Date.now() || asksAgainAt(error) === Infinity;
  }

  function create(turn) {
    const act = (name, ...more) => () => actions[name](turn, ...more);
    const element = h('div', { class: 'turn' },
      h('div', { class: 'question', part: 'question' },
        h('span', { class: 'ears' }, t('youAsked')),
        turn.passage && quote(turn),
        h('p', { class: 'question-text', dir: 'auto' }, turn.question)),
      h('div', { class: 'reply', hidden: true },
        h('span', { class: 'ears' }, t('answer')),
        h('div', { class: 'answer', part: 'answer' }),
        h('div', { class: 'sources', hidden: true },
          h('p', null, t('fromTheBook', { book: book || t('theBook') })), h('ol', null))),
      h('p', { class: 'thinking', hidden: true },
        h('span', { class: 'dots', 'aria-hidden': 'true' }, h('i'), h('i'), h('i')), h('span', { class: 'thinking-text' })),
      h('div', { class: 'ending', hidden: true },
        h('span', { class: 'ending-text' }),
        h('time', { class: 'answered-at' }),
        h('button', { type: 'button', class: 'again link', click: act('again') }, t('askAgain')),
        h('span', { class: 'judging' },
          navigator.clipboard && iconButton('copy', t('copy'), act('copy')),
          iconButton('up', t('good'), act('judge', 'positive'), { class: 'quiet positive' }),
          iconButton('up', t('bad'), act('judge', 'negative'), { class: 'quiet negative' }))),
      h('div', { class: 'failure', hidden: true },
        h('p', { class: 'failure-text' }),
        h('ul', { class: 'failure-details' }),
        h('p', { class: 'failure-wait' }),
        h('p', { class: 'failure-actions' },
          h('button', { type: 'button', class: 'retry', click: act('retry') }, t('retry')),
          h('button', { type: 'button', class: 'edit quiet', click: act('edit') }, t('edit'))),
        h('p', { class: 'failure-id' }, `${t('requestId')} `, h('code'))));
    elements.set(turn, element);
    return element;
  }

  // A passage leads back to its place in the book, if this browser knows it.
  function quote(turn) {
    const folded = turn.passage.length > LONG_PASSAGE;
    const text = h('blockquote', { class: `quote ${folded ? 'folded' : ''}`, dir: 'auto' }, turn.passage);
    const more = folded && h('button', {
      type: 'button',
      class: 'link',
      'aria-expanded': 'false',
      click() {
        const now = text.classList.toggle('folded');
        more.setAttribute('aria-expanded', String(!now));
        setText(more, t(now ? 'wholePassage' : 'less'));
      },
    }, t('wholePassage'));
    const lead = turn.place && h('button', { type: 'button', class: 'link', click: () => actions.lead(turn) }, icon('back'), t('toPassage'));
    return [text, (more || lead) && h('p', { class: 'quote-actions' }, more || null, lead || null)];
  }

  return {
    ...scroll,
    drawTurns,
    drawAbove,
    drawTurn,
    follow: (turn) => scroll.follow(elements.get(turn)),
    removeTurn: (turn) => elements.get(turn)?.remove(),
  };
}
