// Launcher and shortcut. Fetches the rest when it is wanted.

const CSS = `:host{display:contents}
:host([inline]){display:block;height:80vh}
.box{all:initial;--site:#1f5a61}
@supports(color:oklch(from red l c h)){.box{--site:oklch(from var(--ifm-color-primary,var(--md-primary-fg-color,#1f5a61)) min(l,.46) c h)}}
.launcher{position:fixed;z-index:var(--textbook-chat-z,390);inset-block-end:20px;inset-inline:auto 20px;display:flex;gap:10px;align-items:center;padding:12px 18px;border:1px solid #fff3;border-radius:99px;background:var(--textbook-chat-accent,var(--site));color:var(--textbook-chat-on-accent,#fff);font:600 15px/20px var(--textbook-chat-font,system-ui,sans-serif);box-shadow:0 4px 16px #0004;cursor:pointer}
.start .launcher{inset-inline:20px auto}
.launcher::before{content:"";width:20px;height:16px;background:currentColor;clip-path:path("M9 16Q6 13 0 13V0q6 0 9 3zm2 0q3-3 9-3V0q-6 0-9 3z")}
[hidden],:host([hidden]){display:none!important}
@media print{.box{display:none}}`;

export function mount(host, shell) {
  const { option } = shell;
  const over = new AbortController();
  const { signal } = over;
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
  const urdu = /^ur\b/i.test(box.lang);
  box.dir = host.dir || shell.words.dir || (urdu ? 'rtl' : 'ltr');
  const label = option('label') || shell.words.label || (urdu ? 'کتاب سے پوچھیں' : 'Ask the book');
  launcher.className = launcher.part = 'launcher';
  launcher.textContent = label;
  launcher.hidden = inline;
  launcher.ariaHasPopup = 'dialog';
  launcher.ariaExpanded = false;
  box.append(launcher);
  root.replaceChildren(box);

  let panel, starting;
  const load = () => import(`./panel.js${new URL(import.meta.url).search}`);
  const start = () => starting ??= load().then(async ({ createPanel }) => {
    panel = await createPanel({ ...shell, host, root, box, launcher, inline, signal, isShortcut });
  });
  const call = async (name, ...args) => {
    try {
      await start();
    } catch {
      return (await shell.recover()).call(name, ...args);
    }
    return panel[name](...args);
  };
  const want = (name) => call(name).catch(() => launcher.textContent = `${label} ⚠`);

  const shortcut = (option('shortcut') || 'ctrl+i').toLowerCase();
  const isShortcut = ({ ctrlKey, metaKey, altKey, shiftKey, key, code }) => (ctrlKey || metaKey) && !altKey && !shiftKey
    && shortcut === `ctrl+${/^[a-z]$/.test(key) ? key : code.slice(3).toLowerCase()}`;
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || !isShortcut(event) || event.target.matches(':read-write,select') || box.checkVisibility?.() === false) return;
    event.preventDefault();
    want('shortcut');
  }, { signal });
  launcher.onclick = () => want('open');
  launcher.onpointerenter = launcher.onfocus = () => load().catch(() => {});
  document.addEventListener('selectionchange', () => {
    if (option('selection') !== 'off' && !getSelection().isCollapsed) start().catch(() => {});
  }, { signal });
  try {
    if (inline || sessionStorage[`textbook-chat/${shell.api}/open`]) want('arrive');
  } catch { /* no storage */ }

  return {
    call,
    get sessionId() { return panel?.sessionId; },
    unmount() {
      over.abort();
      box.remove();
    },
  };
}
