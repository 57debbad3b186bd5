// <textbook-chat>: a book's chat in one tag. Owns the element's name and methods, and that all
// modules of a page are of one version.
(() => {
  const VERSION = 'dev';
  const NAME = 'textbook-chat';
  const script = document.currentScript ?? document.querySelector('script[src*="widget.js"]');
  if (!script || customElements.get(NAME)) return;
  const { src, dataset } = script;
  let added; // the element that this script puts into the page
  let current; // the one that works: the page's own, or else that one

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
        current = null;
        added.remove();
      }
      current = this;
      this.#mounted ??= this.#mount(VERSION).catch(() => this.#recover(VERSION));
      this.#mounted.catch(() => {}); // whoever calls a method is told
    }

    // A site's router may empty the body: what this script has put there goes back into it.
    disconnectedCallback() {
      setTimeout(() => {
        if (this.isConnected || current !== this) return;
        if (this === added) return document.body.append(this);
        this.#chat?.unmount();
        this.#chat = this.#mounted = current = null;
        add();
      });
    }

    async #mount(version, again = '') {
      const url = new URL(`widget/${version}/element.js`, src).href;
      if (again) await fetch(url, { cache: 'reload' }); // the browser may have kept a 404
      const { mount } = await import(url + again); // and the page that it failed
      const option = (name) => this.getAttribute(name) ?? dataset[name];
      return this.#chat = mount(this, {
        api: new URL(option('api') || 'chat', src).href,
        option,
        words: this.#words,
        recover: () => this.#mounted = this.#recover(version),
      });
    }

    // Modules are gone with an older deployment, or could not be fetched.
    async #recover(old) {
      const text = await (await fetch(src, { cache: 'reload' })).text();
      const version = /VERSION = '(\w+)'/.exec(text)?.[1] ?? old;
      this.#chat?.unmount();
      return this.#mount(version, version === old ? '?again' : '');
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
    if (document.querySelector(NAME)) return;
    added = document.createElement(NAME);
    document.body.append(added);
  }
  if (document.readyState === 'loading') addEventListener('DOMContentLoaded', add);
  else add();
})();
