// The model that the deployment asks: it speaks Chat Completions and says what a case tells it to,
// when it is told. Whatever is not scripted is answered with one sentence that cites a section.

import { createServer } from 'node:http';

import { listen } from './sites.mjs';

/** The answer to every question that no case has scripted. */
export const ANSWER = 'Bend the knees a little before the heel strikes. [1]';

export async function startModel() {
  const scripts = [];
  const asked = [];
  let usual = ANSWER;

  async function answer(request, response) {
    // Whether there is such a model.
    if (request.method === 'GET') return response.end('{"object":"model"}');
    let body = '';
    for await (const piece of request) body += piece;
    const question = JSON.parse(body);
    asked.push(question);
    const script = scripts.shift() ?? whole(usual);
    script.begin(question, response);
  }

  const server = createServer(answer);
  const port = await listen(server, Number(process.env.WIDGET_MODEL_PORT ?? 0), '127.0.0.1');
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    /** The bodies of all requests of this case so far. */
    asked,
    /** The messages of the last request, each as `role: text`. */
    get seen() {
      return asked.at(-1).messages.map(({ role, content }) => `${role}: ${content}`);
    },
    /**
     * Scripts the next request that has no script yet, and steers it:
     * `say(text)`, `end()`, `vanish()`, `refuse(status, code)`, each now or before it is asked;
     * the promises `asked` (the request's body) and `left` (its client has gone before its end).
     */
    next() {
      const script = new Script();
      scripts.push(script);
      return script;
    },
    /** The next answer, at once. */
    answer(text) {
      scripts.push(whole(text));
    },
    /** What is answered where nothing is scripted. */
    always(text) {
      usual = text;
    },
    /** Forgets what a case has left behind. */
    reset() {
      scripts.length = 0;
      asked.length = 0;
      usual = ANSWER;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function whole(text) {
  const script = new Script();
  script.say(text);
  script.end();
  return script;
}

class Script {
  #waiting = [];
  #response = null;
  #began = Promise.withResolvers?.() ?? deferred();
  #gone = Promise.withResolvers?.() ?? deferred();
  #done = false;

  asked = this.#began.promise;
  left = this.#gone.promise;

  say(text) {
    this.#do((response) => {
      // In pieces, as a model writes.
      for (const piece of text.match(/\s*\S+|\s+$/g) ?? [text]) {
        response.write(event({ delta: { content: piece } }));
      }
    });
    return this;
  }

  end(reason = 'stop') {
    this.#do((response) => {
      this.#done = true;
      response.write(event({ delta: {}, finish_reason: reason }));
      const usage = { prompt_tokens: 42, completion_tokens: 7, total_tokens: 49 };
      response.write(`data: ${JSON.stringify({ ...CHUNK, choices: [], usage })}\n\n`);
      response.end('data: [DONE]\n\n');
    });
    return this;
  }

  vanish() {
    this.#do((response) => {
      this.#done = true;
      response.destroy();
    });
    return this;
  }

  refuse(status, code) {
    this.#do((response) => {
      this.#done = true;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { message: 'no', type: code, code } }));
    });
    return this;
  }

  begin(question, response) {
    this.#response = response;
    response.on('close', () => {
      if (!this.#done) this.#gone.resolve();
    });
    // Headers are sent with the first piece: a refusal has others.
    for (const step of this.#waiting.splice(0)) step(response);
    this.#began.resolve(question);
  }

  #do(step) {
    const first = (response) => {
      if (!response.headersSent) response.setHeader('content-type', 'text/event-stream');
      step(response);
    };
    if (this.#response) first(this.#response);
    else this.#waiting.push(first);
  }
}

const CHUNK = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'scripted' };

function event(choice) {
  const choices = [{ index: 0, finish_reason: null, ...choice }];
  return `data: ${JSON.stringify({ ...CHUNK, choices })}\n\n`;
}

function deferred() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}
