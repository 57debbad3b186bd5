// The one place that talks to the backend.
//
// `ask` hands the text of the answer to `onText` as far as it has come, always the whole text
// so far and never a piece of it. Today it comes at once, as JSON; when it is streamed, only
// this file changes.

const ENDPOINT = '/chat';

// No reader watches a spinner without end. A little more than the backend allows itself.
const GIVE_UP_AFTER_MS = 90_000;

// Everything that can go wrong, with the code of the contract, or one of ours:
// `unreachable` (no response), `no_answer` (gave up waiting), `stopped` (by the reader),
// `unreadable` (a response that is not of the contract).
export class AskError extends Error {
  constructor(code, { message = '', details = [], retryAfter = null, requestId = null } = {}) {
    super(message);
    Object.assign(this, { code, details, retryAfter, requestId });
  }
}

// Asks one question. Resolves to `{ sessionId, response, timestamp }`, or throws an AskError.
// Always keep the session id that comes back: an id the backend does not know gets a new one.
export async function ask({ message, sessionId, selectedText, signal, onText = () => {} }) {
  const waiting = new AbortController();
  const stop = () => waiting.abort(new AskError('stopped'));
  const timer = setTimeout(() => waiting.abort(new AskError('no_answer')), GIVE_UP_AFTER_MS);
  signal?.addEventListener('abort', stop);
  if (signal?.aborted) stop();

  try {
    const response = await fetch(ENDPOINT, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
      body: JSON.stringify({
        message,
        session_id: sessionId ?? null,
        selected_text: selectedText ?? null,
      }),
      signal: waiting.signal,
    });
    const body = parse(await response.text());
    if (!response.ok) throw failure(response, body);
    if (typeof body?.response !== 'string' || typeof body.session_id !== 'string') {
      throw new AskError('unreadable', { requestId: requestId(response, body) });
    }

    onText(body.response);
    return { sessionId: body.session_id, response: body.response, timestamp: body.timestamp ?? null };
  } catch (error) {
    if (error instanceof AskError) throw error;
    if (waiting.signal.aborted) throw waiting.signal.reason;
    throw new AskError('unreachable');
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}

// A proxy or the platform may answer in HTML or plain text; that is `undefined` here.
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
  });
}

// The code for a status that came without one: the answer of a proxy, not of the backend.
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
