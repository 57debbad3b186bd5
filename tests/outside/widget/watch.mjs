// What must not happen on any page of any case: errors and warnings of the console, requests to
// anybody but the deployment and the page's own site, cookies. Never asks whether a case's own
// expectations hold.

// Debian's book asks a server of its makers, and has left out a script that it calls.
const OF_THE_SITES = [/play\.rust-lang\.org/, /mdbook\.localhost:\d+\/book\.js/];

/** The pages of one case, each in a context of its own. `allowed`: problems that it expects. */
export class Watch {
  #browser;
  #origin;
  #allowed;
  #contexts = [];
  problems = [];

  constructor(browser, origin, allowed) {
    this.#browser = browser;
    this.#origin = origin;
    this.#allowed = [...OF_THE_SITES, ...allowed];
  }

  /** A page of its own, as `browser.newContext` takes it; `{ phone: true }` for 360 × 740, touch. */
  async open({ phone = false, ...options } = {}) {
    const size = phone
      ? { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }
      : { viewport: { width: 1280, height: 800 } };
    const context = await this.#browser.newContext({ ...size, ...options });
    context.setDefaultTimeout(15_000);
    this.#contexts.push(context);
    context.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) {
        this.#note(`console: ${message.text()} (${message.location().url})`);
      }
    });
    context.on('weberror', (event) => this.#note(`page: ${event.error().stack}`));
    context.on('request', (request) => this.#request(request));
    return context.newPage();
  }

  #request(request) {
    const url = new URL(request.url());
    if (!/^https?:$/.test(url.protocol)) return;
    const own = request.frame().url();
    const homes = [this.#origin, own === 'about:blank' || !own ? url.origin : new URL(own).origin];
    const leaves = request.isNavigationRequest();
    if (!leaves && !homes.includes(url.origin)) this.#note(`request: ${url}`);
  }

  #note(problem) {
    if (!this.#allowed.some((expression) => expression.test(problem))) this.problems.push(problem);
  }

  pages() {
    return this.#contexts.flatMap((context) => context.pages());
  }

  /** Throws what has been seen. */
  async verdict() {
    for (const context of this.#contexts) {
      for (const { name, domain } of await context.cookies()) this.#note(`cookie: ${name} of ${domain}`);
    }
    if (this.problems.length) throw new Error(this.problems.splice(0).join('\n'));
  }

  async close() {
    for (const context of this.#contexts) await context.close();
  }
}
