// What is there before anybody asks: the launcher and the shortcut. Fetches the rest when wanted.

const CSS = `:host{display:contents!important}
:host([inline]){display:block!important;height:min(44rem,90vh)}
.box{all:initial;--site:#1f5a61}
@supports(color:oklch(from red l c h)){.box{--site:oklch(from var(--ifm-color-primary,var(--md-primary-fg-color,#1f5a61)) min(l,.5) c h)}}
.launcher{all:unset;position:fixed;z-index:var(--textbook-chat-z,390);inset-block-end:20px;inset-inline-end:20px;display:flex;gap:10px;align-items:center;padding:12px 18px;border:1px solid #fff3;border-radius:99px;background:var(--textbook-chat-accent,var(--site));color:var(--textbook-chat-on-accent,#fff);font:600 15px/20px var(--textbook-chat-font,system-ui,sans-serif);box-shadow:0 4px 16px #0004;cursor:pointer}
.start .launcher{inset-inline:20px auto}
.launcher::before{content:"";width:20px;height:16px;background:currentColor;clip-path:path("M9 16C7 14 4 13 0 13V0c4 0 7 1 9 3zm2 0c2-2 5-3 9-3V0c-4 0-7 1-9 3z")}
.launcher:focus-visible{outline:2px solid;outline-offset:-5px}
[hidden]{display:none!important}
@media print{.box{display:none}}`;

export function mount(host, shell) {
  const { option } = shell;
  const over = new AbortController();
  const { signal } = over; // all listeners end with it
  const inline = option('inline') != null;
  host.toggleAttribute('inline', inline);

  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  root.adoptedStyleSheets = [sheet];
  const box = document.createElement('div');
  const launcher = document.createElement('button');
  box.className = `box ${option('position')}`;
  box.lang = option('lang') || document.documentElement.lang;
  if (/^ur\b/i.test(box.lang)) box.dir = 'rtl';
  const label = option('label') || shell.words.label || (box.dir ? 'کتاب سے پوچھیں' : 'Ask the book');
  launcher.className = launcher.part = 'launcher';
  launcher.textContent = label;
  launcher.hidden = inline;
  launcher.ariaHasPopup = 'dialog';
  launcher.ariaExpanded = false;
  box.append(launcher);
  root.replaceChildren(box);

  // ---- The rest

  let panel, starting;
  const load = () => import('./panel.js');
  const start = () => starting ??= load().then(({ createPanel }) => createPanel({
    ...shell, host, root, box, launcher, label, inline, signal, isShortcut,
  })).then((made) => panel = made);
  const call = async (name, ...args) => {
    try {
      await start();
    } catch {
      return (await shell.recover()).call(name, ...args);
    }
    return panel[name](...args);
  };
  const want = (name) => call(name).catch(() => launcher.textContent = `${label} ⚠`);

  const shortcut = option('shortcut') || 'Ctrl+I'; // or Ctrl+Shift+, and another letter
  const isShortcut = (event) => (event.ctrlKey || event.metaKey) && !event.altKey
    && event.shiftKey === /shift/i.test(shortcut) && /\+\w$/.test(shortcut) && event.code === `Key${shortcut.at(-1).toUpperCase()}`;
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.target.isContentEditable || event.target.matches('input,textarea,select') || !isShortcut(event)) return;
    event.preventDefault();
    want('shortcut');
  }, { signal });
  launcher.onclick = () => want('open');
  launcher.onpointerenter = launcher.onfocus = () => load().catch(() => {});
  document.addEventListener('selectionchange', () => {
    if (!starting && option('selection') !== 'off' && !getSelection().isCollapsed) start().catch(() => starting = null);
  }, { signal });
  try {
    if (inline || sessionStorage[`textbook-chat/${shell.api}/open`]) want('arrive');
  } catch { /* it begins closed */ }

  return {
    call,
    get sessionId() { return panel?.sessionId; },
    unmount() {
      over.abort();
      box.remove();
    },
  };
}
