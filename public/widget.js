// The element's name and methods, and that a page gets modules of one version.
(() => {
  const VERSION = 'dev';
  const NAME = 'textbook-chat';
  const script = document.currentScript ?? document.querySelector('script[src*="widget.js"]');
  if (!script || customElements.get(NAME)) return;
  const { src, dataset } = script;
  let added; // by this script
  let current; // the page's own, or else that one

  customElements.define(NAME, class extends HTMLElement {
    #mounted;
    #chat;
    #words;

    constructor() {
      super();
      this.#words = { ...this.strings }; // set before there was this class
      delete this.strings;
    }

    connectedCallback() {
      if (current && current !== this) {
        if (current !== added) return;
        added.remove();
      }
      current = this;
      (this.#mounted ??= this.#mount(VERSION).catch(() => this.#recover(VERSION))).catch(() => {});
    }

    // A router may empty the body: what was added goes back.
    disconnectedCallback() {
      setTimeout(() => {
        if (this.isConnected || current !== this) return;
        if (this === added) return place();
        this.#chat?.unmount();
        this.#chat = this.#mounted = current = null;
        add();
      });
    }

    async #mount(version, again = '') {
      const url = new URL(`widget/${version}/element.js`, src).href;
      if (again) await fetch(url, { cache: 'reload' }); // a 404 may be kept
      const { mount } = await import(url + again);
      const option = (name) => this.getAttribute(name) ?? dataset[name];
      return this.#chat = mount(this, {
        api: new URL(option('api') || 'chat', src).href,
        option,
        words: this.#words,
        recover: () => this.#mounted = this.#recover(version),
      });
    }

    // Modules are gone, or could not be fetched.
    async #recover(old) {
      const text = await (await fetch(src, { cache: 'reload' })).text();
      const version = /VERSION = '(\w+)'/.exec(text)?.[1] ?? old;
      this.#chat?.unmount();
      return this.#mount(version, '?again');
    }

    async #call(...args) { return (await this.#mounted).call(...args); }
    ask(...args) { return this.#call('ask', ...args); }
    open() { return this.#call('open'); }
    close() { return this.#call('close'); }
    newConversation() { return this.#call('newConversation'); }
    get sessionId() { return this.#chat?.sessionId ?? null; }
    get strings() { return this.#words; }
    set strings(words) { Object.assign(this.#words, words); }
  });

  function add() {
    const there = document.querySelector(NAME); // in the place of one that is gone
    if (there) return there.connectedCallback();
    added = document.createElement(NAME);
    place();
  }

  // Nothing is fixed within a body that has one of these.
  function place() {
    const { body, documentElement } = document;
    const { transform, filter, contain, willChange } = getComputedStyle(body);
    ([transform, filter, contain, willChange] == 'none,none,none,auto' ? body : documentElement).append(added);
  }
  if (document.readyState === 'loading') addEventListener('DOMContentLoaded', add);
  else add();
})();
