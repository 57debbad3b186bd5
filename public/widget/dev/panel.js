// The panel: what is in it, how it opens and closes, where the focus goes, and what Escape does.
// Fetches the rest when it is wanted.

import { createComposer } from './composer.js';
import { createConversations, newConversation } from './conversations.js';
import { h, icon, iconButton, setText } from './dom.js';
import { createLeading } from './leading.js';
import { createSheet } from './sheet.js';
import { createStore } from './store.js';
import { strings } from './strings.js';
import { sheet, CSS } from './style.js';
import { followTheme } from './theme.js';

const SMALL = '(max-width: 47.99rem)';

// What has failed to load is asked for by another address: see widget.js.
const load = (name) => import(`./${name}.js${new URL(import.meta.url).search}`);

export async function createPanel(context) {
  const { api, host, root, box, launcher, inline, option, words, signal, recover, isShortcut } = context;
  const t = await strings(option('lang') || document.documentElement.lang, words);
  const store = createStore(api);
  const conversations = createConversations(store);
  const small = matchMedia(SMALL);
  const label = option('label') || t('label');
  launcher.textContent = label;
  box.lang = t.lang;
  box.dir = host.dir || t('dir');
  root.adoptedStyleSheets.push(sheet(CSS, box));
  followTheme(context);

  const emit = (name, detail, cancelable = false) => host.dispatchEvent(
    new CustomEvent(`textbook-chat-${name}`, { detail, cancelable, bubbles: true, composed: true }),
  );

  // ---- What is in it

  const examples = (option('questions') ?? '').split('|').map((one) => one.trim()).filter(Boolean).slice(0, 4);
  const aside = h('p', { class: 'aside', hidden: true });
  const welcome = h('div', { class: 'welcome' },
    h('p', { class: 'lead' }, option('greeting') || t('greeting')),
    h('p', null, t(option('selection') === 'off' ? 'invitationShort' : 'invitation')),
    examples.length > 0 && h('ul', null, examples.map((one) => h('li', null,
      h('button', { type: 'button', class: 'example', click: () => askExample(one) }, one)))) || null);
  const more = h('p', { class: 'more', hidden: true }, h('button', { type: 'button', click: (event) => chat.showMore(event.target) }, t('earlierMessages')));
  const log = h('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': t('conversation'), tabindex: '0', scroll: showLatest }, aside, welcome, more);
  const latest = iconButton('down', t('latest'), () => chat.view.toEnd(), { class: 'latest', hidden: true });
  const composer = createComposer({
    t, store, disclaimer: option('disclaimer'), onSubmit: take, onStop: () => chat.stop(), onUp: () => chat?.editLast(), onInput: () => begin().catch(() => {}),
  });
  const main = h('div', { class: 'main' }, log, h('div', { class: 'latest-place' }, latest), composer.form);
  const earlier = h('div', { class: 'earlier', hidden: true });
  const earlierButton = iconButton('earlier', t('earlier'), () => showEarlier(earlier.hidden), { 'aria-expanded': 'false' });
  const status = h('p', { class: 'ears', role: 'status' });
  const head = h('div', { class: 'head' },
    h('h2', { id: 'title' }, label),
    h('button', { type: 'button', class: 'expand quiet', click: () => set('open') }, t('expand')),
    h('div', { class: 'tools' },
      iconButton('new', t('newConversation'), startAnew),
      earlierButton,
      inline ? null : iconButton('close', t('close'), close)));
  const panel = h('section', {
    class: `panel ${inline ? 'inline' : ''}`, part: 'panel', role: inline ? 'region' : 'dialog', 'aria-labelledby': 'title', tabindex: '-1', hidden: true,
  }, head, main, earlier, status);
  const scrim = h('div', { class: 'scrim', hidden: true, click: close, touchmove: (event) => event.preventDefault(), wheel: (event) => event.preventDefault() });
  box.append(scrim, panel);
  const modal = createSheet({ host, panel, grip: head, onClose: close, onExpand: () => set('open'), signal });

  const leading = createLeading({ panel, store, option, load, onLead: () => !inline && small.matches && set('peek') });

  // ---- Opening and closing. `open`, `peek` (the head alone, at the lower edge) or null.

  let state = null;
  let before = null; // where the focus was

  function set(next) {
    state = next;
    const sheeted = Boolean(state) && !inline && small.matches;
    panel.hidden = !state;
    panel.classList.toggle('sheet', sheeted);
    scrim.hidden = !(sheeted && state === 'open');
    launcher.hidden = inline || Boolean(state);
    launcher.ariaExpanded = String(Boolean(state));
    modal.set(!sheeted ? null : state === 'peek' ? 'peek' : 'modal');
    if (!inline) store.write('open', state, 'sessionStorage');
    composer.grow();
  }

  // By the page, with a style. A sheet that nobody sees would block it.
  const isHidden = () => !inline && box.checkVisibility?.() === false;

  function open() {
    if (isHidden()) return;
    const wasOpen = state === 'open';
    if (!wasOpen) {
      before = document.activeElement;
      set('open');
      emit('open');
    }
    goOn();
    if (!wasOpen && chat) chat.view.toEnd();
    composer.focus();
  }

  function close() {
    if (!state || inline) return;
    const inside = host.matches(':focus-within') || document.activeElement === document.body;
    set(null);
    emit('close');
    if (!inside) return;
    const back = before?.isConnected && before !== document.body && before !== host ? before : launcher;
    back.focus({ preventScroll: true });
  }

  // The page was left with the panel open, or the panel is a part of the page.
  function arrive() {
    if (isHidden()) return;
    const kept = store.read('open', 'sessionStorage');
    set(inline ? 'open' : kept === 'peek' && small.matches ? 'peek' : 'open');
    goOn();
    leading.arrive();
  }

  small.addEventListener('change', () => set(state === 'peek' ? 'open' : state), { signal });

  // ---- Keys. What is typed here is not heard by the site.

  root.addEventListener('keydown', (event) => {
    event.stopPropagation();
    if (isShortcut(event)) {
      event.preventDefault();
      if (state && root.activeElement !== launcher) close();
      else open();
    } else if (event.key === 'Escape' && !event.isComposing && !root.querySelector('dialog[open]')) {
      if (!earlier.hidden) showEarlier(false);
      else if (chat?.isPending()) chat.stop();
      else if (!inline && state) close();
      else return;
      event.preventDefault();
    }
  });
  for (const type of ['keyup', 'keypress']) root.addEventListener(type, (event) => event.stopPropagation());

  // ---- The conversation

  let chat = null;
  let beginning = null;
  const begin = () => (beginning ??= Promise.all([load('chat'), load('page')]).then(([{ createChat }, { pageNow }]) => {
    chat = createChat({
      api, t, store, conversations, composer, log, root, signal, emit, book: option('book'),
      page: () => (option('page') === 'off' ? null : pageNow(option('article'))),
      ui: { tell, show, status: (text) => setText(status, text), sheet: (text) => sheet(text, box), lead: leading.leadTo },
    });
    return chat;
  }).catch((error) => {
    beginning = null;
    throw error;
  }));

  function goOn() {
    const { turns, sessionId } = conversations.current();
    if (turns.length > 0 || sessionId) begin().catch(() => {});
  }

  // The composer's question: taken, unless one is being answered.
  function take(question, passage) {
    if (chat) return Boolean(chat.submit(question, passage));
    submit(question, passage);
    return true;
  }

  function askExample(question) {
    submit(question);
    log.focus({ preventScroll: true }); // the button goes
  }

  async function submit(question, passage = null) {
    try {
      await begin();
    } catch {
      keep();
      return (await recover()).call('open'); // where the draft is
    }
    const sent = chat.submit(question, passage);
    if (!sent) keep();
    return sent;

    function keep() {
      composer.setQuestion(question);
      if (passage) composer.askAbout(passage.text, passage.place);
    }
  }

  async function ask(question, { passage = null, send = true } = {}) {
    if (isHidden()) return null; // nobody would see the answer
    open();
    if (send) return submit(question, passage && { text: passage, place: null });
    if (passage) composer.askAbout(passage);
    if (question) composer.setQuestion(question);
    return null;
  }

  async function startAnew() {
    showEarlier(false);
    if (chat || conversations.current().sessionId) (await begin()).open(newConversation());
    if (state) composer.focus();
  }

  async function showEarlier(shown) {
    if (shown === !earlier.hidden) return;
    if (shown) {
      await begin();
      const { drawEarlier } = await load('earlier');
      drawEarlier({ element: earlier, t, conversations, chat, onDone: () => showEarlier(false) });
    }
    earlier.hidden = !shown;
    main.hidden = shown;
    earlierButton.ariaExpanded = String(shown);
    if (shown) earlier.querySelector('button')?.focus();
    else composer.focus();
  }

  // A quiet notice above the conversation.
  function tell(text, again = null) {
    const click = () => {
      log.focus({ preventScroll: true }); // the button goes
      again();
    };
    const change = () => {
      aside.hidden = !text;
      aside.replaceChildren(text, again ? h('button', { type: 'button', class: 'link', click }, t('tryAgain')) : '');
    };
    if (chat) chat.view.unmoved(change);
    else change();
  }

  function show(parts) {
    welcome.hidden = !parts.welcome;
    more.hidden = !parts.more;
    showLatest();
  }

  function showLatest() {
    latest.hidden = !chat?.view.isFarFromEnd();
  }

  // ---- The reader's selection

  let offering = null;
  function watch() {
    if (offering || option('selection') === 'off' || getSelection().isCollapsed) return;
    offering = load('offer').then(({ createOffer }) => createOffer({
      box, t, article: option('article'), signal,
      onAsk(text) {
        open();
        composer.askAbout(text, location.pathname + location.search);
      },
    })).catch(() => (offering = null));
  }
  document.addEventListener('selectionchange', watch, { signal });
  watch();

  // Takes what is selected, if anything is.
  async function shortcut() {
    if (!(await offering)?.take()) open();
  }

  return {
    ask,
    open,
    close,
    arrive,
    newConversation: startAnew,
    shortcut,
    get sessionId() { return chat ? chat.conversation.sessionId : conversations.current().sessionId; },
  };
}
