// The conversation at work: asks, stops, asks again, goes on with what an earlier page has asked,
// brings a conversation back. Fetched when there is one, or when a question is begun.
// Whatever happens to network, server or tab, the question stays.

import { createApi } from './api.js';
import { newTurn, requestFor } from './conversation.js';
import { newConversation } from './conversations.js';
import { asksAgainAt, explain, words } from './errors.js';
import { createRestore } from './restore.js';
import { createView } from './view.js';

// After this long without a word, "Thinking…" admits that it takes a while.
const SLOW_MS = 10_000;

// A stop that takes longer than this to arrive is not waited for.
const STOP_MS = 1_000;

// An answer that an earlier page was waiting for is not asked for again after this long.
const RESUME_MS = 15 * 60_000;

// How often a question is asked again by itself.
const TRIES = 5;

// With the same key, a lost answer is sent again. That does not help if it, or the key, is at fault.
const KEY_IS_SPENT = ['empty', 'idempotency_key_reused'];

// `ui`: what panel.js shows around the log. `page()`: the page that the reader is on, or null.
export function createChat({ api: address, t, store, conversations, composer, log, root, book, ui, emit, page, signal }) {
  const api = createApi(address);
  const server = new URL(address).host;
  const view = createView({
    log, t, root, book, server,
    actions: { retry, edit, again, judge, copy, lead: ui.lead, say: ui.status, sheet: ui.sheet, redraw: () => view.drawTurns(conversation.turns) },
  });
  let conversation = conversations.current();
  let pending = null; // { turn, controller, slow, waiting } while an answer is awaited
  let ticking = null;
  const { restore, showMore, isRestoring } = createRestore({
    api, t, conversations, log, ui, view, drawAll, showWhatCanBeDone, current: () => conversation,
  });

  // ---- Asking

  function isBusy() {
    if (pending) composer.say(t('busy'));
    return Boolean(pending);
  }

  // Resolves when the turn has ended.
  async function send(turn) {
    const mine = conversation; // "New conversation" may replace it meanwhile
    const resumed = turn.state === 'open' && turn.request;
    const asked = { turn, controller: new AbortController(), slow: false, waiting: Boolean(resumed) };
    pending = asked;
    clearTimeout(ticking);
    const slow = setTimeout(() => {
      asked.slow = true;
      show();
    }, SLOW_MS);

    // A question asked again moves to the end: that is where its answer belongs.
    mine.turns = [...mine.turns.filter((other) => other !== turn), turn];
    view.removeTurn(turn);
    const request = requestFor(turn, mine.sessionId, page());
    const began = Date.now();
    Object.assign(turn, { request, page: request.page?.url ?? null, answerId: null, answeredAt: null, judged: null, state: 'open', error: null, sentAt: resumed ? turn.sentAt : began });
    if (!resumed) Object.assign(turn, { answer: '', sources: [] });
    if (mine === conversation) conversations.choose(mine);
    view.followAnew();
    ui.tell('');
    ui.status(t('answering'));
    update();

    let frame = null; // tokens come faster than the screen is drawn
    try {
      const { answer, sources, state, timestamp } = await api.ask({
        key: request.key,
        message: turn.question,
        sessionId: request.sessionId,
        selectedText: turn.passage,
        page: request.page?.url,
        signal: asked.controller.signal,
        onStart: ({ sessionId, answerId }) => {
          mine.sessionId = sessionId ?? mine.sessionId;
          request.startedIn = mine.sessionId;
          turn.answerId = answerId;
          asked.waiting = false;
          conversations.save(mine);
        },
        onText: (text, sources) => {
          Object.assign(turn, { answer: text, sources });
          frame ??= requestAnimationFrame(() => {
            frame = null;
            show();
          });
        },
        onWait: () => {
          asked.waiting = true;
          show();
        },
      });
      Object.assign(turn, { answer, sources, state, answeredAt: timestamp, request: null, tries: 0 });
    } catch (error) {
      if (asked.left) return null;
      // The question is stored: the next one, or the same one again, goes into its conversation.
      if (error.sessionId) request.startedIn = mine.sessionId = error.sessionId;
      fail(turn, asked.stopping ? { code: 'stopped' } : error);
      if (!asked.stopping) emit('error', { code: error.code, requestId: error.requestId });
    } finally {
      clearTimeout(slow);
      cancelAnimationFrame(frame);
    }
    pending = null;
    update();
    ui.status(turn.error ? words(turn.error, t, server) : t(turn.state === 'cancelled' ? 'stopped' : 'answerComplete'));
    const ended = { state: turn.state, sessionId: mine.sessionId, messageId: turn.answerId };
    emit('answer', { ...ended, ms: Date.now() - began });
    tick();
    return ended;

    function update() {
      conversations.save(mine);
      showWhatCanBeDone();
      show();
    }

    function show() {
      if (mine !== conversation) return;
      view.drawTurn(turn, asked);
      view.follow(turn);
    }
  }

  function fail(turn, error) {
    if (error.code === 'stopped' && turn.answer) {
      Object.assign(turn, { state: 'cancelled', answeredAt: new Date().toISOString(), request: null });
      return;
    }
    Object.assign(turn, { state: 'failed', answer: '', sources: [], error: explain(error) });
    if (KEY_IS_SPENT.includes(error.code)) turn.request = null;
  }

  function stop() {
    if (!pending || pending.stopping) return;
    const { controller, turn } = pending;
    pending.stopping = true;
    const hangUp = () => controller.abort();
    setTimeout(hangUp, STOP_MS);
    api.stop(turn.request.key).finally(hangUp);
  }

  // The last question is asked again by itself when its wait is over; until then, the time is shown.
  function tick() {
    clearTimeout(ticking);
    const turn = conversation.turns.at(-1);
    if (pending || !turn?.error) return;
    const at = (turn.tries ?? 0) < TRIES ? asksAgainAt(turn.error) : null;
    if (at !== null && at <= Date.now()) {
      turn.tries = (turn.tries ?? 0) + 1;
      send(turn);
    } else if (turn.error.retryAt) {
      view.drawTurn(turn);
      if (turn.error.retryAt > Date.now()) ticking = setTimeout(tick, 1_000);
    }
  }

  function submit(question, passage = null) {
    if (isBusy() || !emit('ask', { question, passage: passage?.text ?? null, page: page() }, true)) return null;
    return send(newTurn(question, passage?.text, passage?.place));
  }

  function retry(turn) {
    composer.focus();
    if (!isBusy()) send(turn);
  }

  // A stopped answer stays as it is; the question is asked anew, below it.
  function again(turn) {
    retry(newTurn(turn.question, turn.passage, turn.place));
  }

  function edit(turn) {
    conversation.turns = conversation.turns.filter((other) => other !== turn);
    view.removeTurn(turn);
    conversations.save(conversation);
    composer.takeBack(turn);
    showWhatCanBeDone();
  }

  function editLast() {
    const turn = conversation.turns.at(-1);
    if (!turn || pending) return false;
    if (turn.state === 'failed') edit(turn);
    else composer.setQuestion(turn.question);
    return true;
  }

  // ---- What a reader does with an answer

  async function judge(turn, kind) {
    const before = turn.judged;
    const set = (judged) => {
      turn.judged = judged;
      view.drawTurn(turn);
      conversations.save(conversation);
    };
    set(kind);
    try {
      await api.judge(conversation.sessionId, turn.answerId, kind);
      ui.status(t('thanks'));
      emit('feedback', { kind, messageId: turn.answerId });
    } catch {
      set(before);
      composer.say(t('notSaved'));
    }
  }

  function copy(turn) {
    navigator.clipboard.writeText(turn.answer).then(() => ui.status(t('copied')), () => composer.say(t('notCopied')));
  }

  // ---- Another conversation

  function open(other) {
    leave();
    conversation = other;
    conversations.choose(other);
    begin();
  }

  // An answer under way is not stopped: it is there when its conversation is opened again.
  function leave() {
    if (!pending) return;
    conversations.save(conversation);
    pending.left = true;
    pending.controller.abort();
    pending = null;
  }

  async function forget({ id, sessionId }) {
    const mine = id === conversation.id;
    if (mine) stop();
    if (sessionId) await api.forget(sessionId);
    conversations.remove(id);
    conversation.deleted = mine; // what is under way must not bring it back
    if (mine) open(newConversation());
  }

  // ---- Showing

  function drawAll() {
    view.drawTurns(conversation.turns);
    if (pending) view.drawTurn(pending.turn, pending);
    showWhatCanBeDone();
  }

  function showWhatCanBeDone() {
    const { turns, sessionId, more } = conversation;
    const empty = turns.length === 0 && !sessionId;
    ui.show({ welcome: turns.length === 0 && !(isRestoring() && !empty), more: Boolean(more && turns[0]?.id) });
    composer.setBusy(Boolean(pending));
  }

  function begin() {
    ui.tell('');
    for (const turn of conversation.turns) {
      const last = turn === conversation.turns.at(-1);
      if (turn.state !== 'open' || (last && turn.request && Date.now() - turn.sentAt < RESUME_MS)) continue;
      Object.assign(turn, { state: 'failed', answer: '', error: explain({ code: 'interrupted' }) });
    }
    drawAll();
    if (conversation.turns.at(-1)?.state === 'open') send(conversation.turns.at(-1));
    else restore().then(tick);
  }

  // Another tab has continued this conversation, or opened another.
  addEventListener('storage', ({ key }) => {
    if (pending || ![store.name('current'), store.name(`c/${conversation.id}`)].includes(key)) return;
    conversation = conversations.current();
    drawAll();
  }, { signal });
  // If the page is left, what has arrived is kept; the next page, or this one later, goes on.
  addEventListener('pagehide', leave, { signal });
  addEventListener('pageshow', ({ persisted }) => persisted && begin(), { signal });
  addEventListener('online', tick, { signal });
  signal.addEventListener('abort', leave);
  begin();

  return {
    submit,
    stop,
    editLast,
    showMore,
    open,
    forget,
    view,
    isPending: () => Boolean(pending),
    get conversation() { return conversation; },
  };
}
