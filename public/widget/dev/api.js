// The one place that talks to the backend.

import { frames } from './sse.js';

// No reader watches a spinner for ever: after this long without a sign of life, the page gives up.
// For an answer, that is a little longer than the platform lets a function run.
const ANSWER_SILENCE_MS = 70_000;
const SILENCE_MS = 20_000;

// The pause before asking again, while the same question is still being answered.
const IN_PROGRESS_PAUSE_MS = 1_200;

// A question that is to be stopped may not have begun yet.
const STOP_AGAIN_MS = 1_000;

// The backend returns a conversation in pages of this many messages.
export const HISTORY_PAGE = 50;

// Everything that can go wrong, with a code of the contract or one of ours: `offline`,
// `unreachable` (no response), `broken` (a response that ends too soon), `no_answer` (gave up
// waiting), `stopped` (by the reader), `stream_error` (reported in mid-answer), `empty` (an answer
// without a word), `unreadable` (a response that breaks the contract).
export class AskError extends Error {
  constructor(code, { message = '', details = [], retryAfter = null, requestId = null, sessionId = null, status = null } = {}) {
    super(message);
    Object.assign(this, { code, details, retryAfter, requestId, sessionId, status });
  }
}

// The backend does not know the conversation. (A proxy's own 404 says nothing about that.)
export function isGone(error) {
  return error.status === 404 && error.code !== 'unreadable';
}

// `api`: the address of the route for questions; the others are beside it.
export function createApi(api) {
  // Asks one question. The same `key` with the same question is the same request: an answer that
  // exists already is only sent again, and nothing is stored twice. Leaving does not stop it.
  //
  // `onStart` gets `{ sessionId, answerId }`. Always keep the session id: an id that the backend
  // does not know gets a new one. `onText` gets the answer so far, always the whole text, and its
  // sources so far; `onWait` is told when the answer is being written for an earlier request.
  // Resolves to `{ answer, sources, timestamp, state }`, where the state is `complete`,
  // `cancelled` or `length` (cut at the limit); or throws an AskError.
  async function ask({ key, message, sessionId, selectedText, page, signal, onStart, onText, onWait }) {
    const request = {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Accept: 'text/event-stream',
        'Idempotency-Key': key,
        'x-when-left': 'finish',
      },
      body: JSON.stringify({
        message,
        session_id: sessionId ?? null,
        selected_text: selectedText ?? null,
        page: page ?? null,
      }),
      signal,
      silence: ANSWER_SILENCE_MS,
    };
    const until = Date.now() + ANSWER_SILENCE_MS;
    let broken = false; // the answer goes on without the connection: once, it is asked for again
    for (;;) {
      try {
        return await exchange(api, request, (response, alive) => {
          const streamed = response.headers.get('Content-Type')?.startsWith('text/event-stream');
          return (streamed ? answerOfStream : answerOfJson)(response, alive, onStart, onText);
        });
      } catch (error) {
        if (error.code === 'broken' && !broken) broken = true;
        else if (error.code !== 'in_progress' || Date.now() > until) throw error;
        onWait();
        await sleep(IN_PROGRESS_PAUSE_MS, signal);
      }
    }
  }

  // Stops the answer that the request with this key has begun, wherever it is being written. It
  // outlives the page.
  async function stop(key) {
    const request = { method: 'DELETE', headers: { 'Idempotency-Key': key }, keepalive: true };
    for (const more of [true, true, false]) {
      try {
        return await exchange(api, request, () => {});
      } catch (error) {
        if (!isGone(error) || !more) return undefined; // its end, or what was written, is shown
        await sleep(STOP_AGAIN_MS);
      }
    }
  }

  // The newest messages of a conversation, oldest first, or those before a message.
  function history(sessionId, before = null) {
    const url = before ? `${api}?${new URLSearchParams({ before })}` : api;
    return exchange(url, { headers: naming(sessionId) }, async (response) => {
      const body = parse(await response.text());
      if (!Array.isArray(body?.messages)) throw unreadable(response, body);
      return body.messages;
    });
  }

  // Deletes a conversation. One that does not exist counts as deleted.
  async function forget(sessionId) {
    try {
      await exchange(api, { method: 'DELETE', headers: naming(sessionId) }, () => {});
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  // `kind`: `positive` or `negative`.
  function judge(sessionId, messageId, kind) {
    return exchange(new URL('feedback', api), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ session_id: sessionId, message_id: messageId, kind }),
    }, () => {});
  }

  // One request. `read` turns an OK response into the result, and calls `alive` whenever something
  // has arrived. Whatever goes wrong is thrown as an AskError.
  async function exchange(url, { signal, silence = SILENCE_MS, ...request }, read) {
    const aborter = new AbortController();
    const end = () => aborter.abort(new AskError('stopped'));
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => aborter.abort(new AskError('no_answer')), silence);
    };
    let response;
    try {
      signal?.addEventListener('abort', end);
      if (signal?.aborted) end();
      alive();
      response = await fetch(url, { ...request, signal: aborter.signal });
      alive();
      if (!response.ok) throw failure(response, parse(await response.text()));
      return await read(response, alive);
    } catch (error) {
      if (error instanceof AskError) throw error;
      if (aborter.signal.aborted) throw aborter.signal.reason;
      throw response ? new AskError('broken', { requestId: requestId(response) }) : new AskError(await whyNot());
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
    }
  }

  // A browser does not tell a page why it got no response. If the server can be reached by a
  // request whose response nobody may read, it is this site that it does not answer.
  async function whyNot() {
    if (!navigator.onLine) return 'offline';
    if (new URL(api).origin === location.origin) return 'unreachable';
    try {
      await fetch(new URL('health', api), { mode: 'no-cors', signal: AbortSignal.timeout(5_000) });
      return 'origin_not_allowed';
    } catch {
      return 'unreachable';
    }
  }

  return { ask, stop, history, forget, judge };
}

// ---- Answers

async function answerOfStream(response, alive, onStart, onText) {
  let answer = '';
  const sources = [];
  const ended = (state, chunk) => {
    if (!answer) throw new AskError('empty', { requestId: requestId(response) });
    return { answer, sources, state, timestamp: chunk.messageMetadata?.timestamp ?? null };
  };
  for await (const data of frames(response.body, alive)) {
    if (data === '[DONE]') break;
    const chunk = parse(data);
    switch (chunk?.type) {
      case undefined: throw unreadable(response);
      case 'start':
        onStart({ sessionId: chunk.messageMetadata?.sessionId ?? null, answerId: chunk.messageId ?? null });
        break;
      case 'source-url':
        sources.push({ id: chunk.sourceId, title: chunk.title ?? '', url: chunk.url });
        break;
      case 'text-delta':
        answer += chunk.delta ?? '';
        onText(answer, sources);
        break;
      case 'error': throw new AskError('stream_error', { message: chunk.errorText, requestId: requestId(response) });
      case 'abort': return ended('cancelled', chunk);
      case 'finish': return ended(chunk.finishReason === 'length' ? 'length' : 'complete', chunk);
      // Other parts, present or future, do not change the text.
    }
  }
  throw new AskError('broken', { requestId: requestId(response) });
}

async function answerOfJson(response, alive, onStart, onText) {
  const body = parse(await response.text());
  if (typeof body?.response !== 'string' || typeof body.session_id !== 'string') throw unreadable(response, body);
  const { response: answer, sources = [], timestamp = null } = body;
  onStart({ sessionId: body.session_id, answerId: null });
  onText(answer, sources);
  return { answer, sources, timestamp, state: 'complete' };
}

// ---- Requests

// Who knows a conversation's id can read it, and addresses end up in logs: it goes into a header.
function naming(sessionId) {
  return { Accept: 'application/json', 'x-session-id': sessionId };
}

function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new AskError('stopped'));
    }, { once: true });
  });
}

// ---- Failures

// A proxy or the platform may answer in HTML or plain text, which becomes `undefined` here.
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failure(response, body) {
  const error = body?.error ?? {};
  const details = Array.isArray(error.details) ? error.details : [];
  return new AskError(typeof error.code === 'string' ? error.code : codeFor(response.status), {
    message: typeof error.message === 'string' ? error.message : '',
    details: details.map((detail) => String(detail?.message ?? '')).filter(Boolean),
    retryAfter: seconds(error.retry_after ?? response.headers.get('Retry-After')),
    requestId: requestId(response, body),
    sessionId: body?.session_id ?? null,
    status: response.status,
  });
}

function unreadable(response, body) {
  return new AskError('unreadable', { requestId: requestId(response, body) });
}

// The code for a status that came without one: then a proxy answered, not the backend.
function codeFor(status) {
  return { 429: 'rate_limited', 503: 'overloaded', 504: 'no_answer' }[status] ?? 'unreadable';
}

function seconds(value) {
  const number = Number(value ?? NaN);
  return Number.isFinite(number) && number > 0 ? number : null;
}

function requestId(response, body) {
  return body?.request_id ?? response.headers.get('x-request-id') ?? response.headers.get('x-vercel-id');
}
