// The one place that talks to the backend.

import { frames } from './sse.js';

const ENDPOINT = '/chat';

// No reader watches a spinner for ever: after this long without a sign of life, the page gives up.
// For an answer, that is a little longer than the platform lets a function run.
const ANSWER_SILENCE_MS = 70_000;
const SILENCE_MS = 20_000;

// The pauses before asking again, while the same question is still being answered.
const IN_PROGRESS_PAUSES_MS = [1_000, 2_000, 2_000, 3_000, 4_000];

// The backend returns a conversation in pages of this many messages.
export const HISTORY_PAGE = 50;

// Everything that can go wrong, with a code of the contract or one of ours:
// `unreachable` (no response), `broken` (a response that ends too soon), `no_answer` (gave up
// waiting), `stopped` (by the reader), `stream_error` (reported in mid-answer), `empty` (an answer
// without a word), `unreadable` (a response that breaks the contract).
export class AskError extends Error {
  constructor(code, { message = '', details = [], retryAfter = null, requestId = null, sessionId = null, status = null } = {}) {
    super(message);
    Object.assign(this, { code, details, retryAfter, requestId, sessionId, status });
  }
}

// Asks one question. The same `key` with the same question is the same request: an answer that
// exists already is only sent again, and nothing is stored twice.
//
// `onStart` gets `{ sessionId, answerId }`. Always keep the session id: an id that the backend does
// not know gets a new one. `onText` gets the answer so far, always the whole text and never a
// piece of it. Resolves to `{ answer, timestamp, state }`, where the state is
// `complete`, `cancelled` or `length` (cut at the limit); or throws an AskError.
export async function ask({ key, message, sessionId, selectedText, signal, onStart, onText }) {
  const request = {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'text/event-stream',
      'Idempotency-Key': key,
    },
    body: JSON.stringify({
      message,
      session_id: sessionId ?? null,
      selected_text: selectedText ?? null,
    }),
    signal,
    silence: ANSWER_SILENCE_MS,
  };
  for (const pause of [...IN_PROGRESS_PAUSES_MS, null]) {
    try {
      return await exchange(ENDPOINT, request, (response, alive) => {
        const streamed = response.headers.get('Content-Type')?.startsWith('text/event-stream');
        return streamed ? answerOfStream(response, alive, onStart, onText) : answerOfJson(response, onStart, onText);
      });
    } catch (error) {
      if (error.code !== 'in_progress' || pause === null) throw error;
      await sleep(pause, signal);
    }
  }
}

// The newest messages of a conversation, oldest first, or those before a message.
export function history(sessionId, before = null) {
  return exchange(address(before), { headers: naming(sessionId) }, async (response) => {
    const body = parse(await response.text());
    if (!Array.isArray(body?.messages)) throw unreadable(response, body);
    return body.messages;
  });
}

// Deletes a conversation. One that does not exist counts as deleted.
export async function forget(sessionId) {
  try {
    await exchange(address(), { method: 'DELETE', headers: naming(sessionId) }, () => {});
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

// The backend does not know the conversation. (A proxy's own 404 says nothing about that.)
export function isGone(error) {
  return error.status === 404 && error.code !== 'unreadable';
}

// ---- Answers

async function answerOfStream(response, alive, onStart, onText) {
  let answer = '';
  const ended = (state, chunk) => {
    if (!answer) throw new AskError('empty', { requestId: requestId(response) });
    return { answer, state, timestamp: chunk.messageMetadata?.timestamp ?? null };
  };
  for await (const data of frames(response.body, alive)) {
    if (data === '[DONE]') break;
    const chunk = parse(data);
    switch (chunk?.type) {
      case undefined: throw unreadable(response);
      case 'start':
        onStart({ sessionId: chunk.messageMetadata?.sessionId ?? null, answerId: chunk.messageId ?? null });
        break;
      case 'text-delta':
        answer += chunk.delta ?? '';
        onText(answer);
        break;
      case 'error': throw new AskError('stream_error', { message: chunk.errorText, requestId: requestId(response) });
      case 'abort': return ended('cancelled', chunk);
      case 'finish': return ended(chunk.finishReason === 'length' ? 'length' : 'complete', chunk);
      // Other parts, present or future, do not change the text.
    }
  }
  throw new AskError('broken', { requestId: requestId(response) });
}

async function answerOfJson(response, onStart, onText) {
  const body = parse(await response.text());
  if (typeof body?.response !== 'string' || typeof body.session_id !== 'string') throw unreadable(response, body);
  onStart({ sessionId: body.session_id, answerId: null });
  onText(body.response);
  return { answer: body.response, timestamp: body.timestamp ?? null, state: 'complete' };
}

// ---- Requests

// One request. `read` turns an OK response into the result, and calls `alive` whenever something
// has arrived. Whatever goes wrong is thrown as an AskError.
async function exchange(url, { signal, silence = SILENCE_MS, ...request }, read) {
  const aborter = new AbortController();
  const stop = () => aborter.abort(new AskError('stopped'));
  let timer;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => aborter.abort(new AskError('no_answer')), silence);
  };
  let response;
  try {
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
    alive();
    response = await fetch(url, { ...request, signal: aborter.signal });
    alive();
    if (!response.ok) throw failure(response, parse(await response.text()));
    return await read(response, alive);
  } catch (error) {
    if (error instanceof AskError) throw error;
    if (aborter.signal.aborted) throw aborter.signal.reason;
    throw response ? new AskError('broken', { requestId: requestId(response) }) : new AskError('unreachable');
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}

// Who knows a conversation's id can read it, and addresses end up in logs: it goes into a header.
function naming(sessionId) {
  return { Accept: 'application/json', 'x-session-id': sessionId };
}

function address(before = null) {
  return before ? `${ENDPOINT}?${new URLSearchParams({ before })}` : ENDPOINT;
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
  if (status === 429) return 'rate_limited';
  if (status === 503) return 'overloaded';
  if (status === 504) return 'no_answer';
  return 'unreadable';
}

function seconds(value) {
  const number = Number(value ?? NaN);
  return Number.isFinite(number) && number > 0 ? number : null;
}

function requestId(response, body) {
  return body?.request_id ?? response.headers.get('x-request-id') ?? response.headers.get('x-vercel-id');
}
