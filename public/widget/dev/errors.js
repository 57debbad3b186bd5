// What went wrong, as plain data, so that a failed question can be kept and shown after a reload.
// The words are in strings.js, by the error's code.

// Nobody did anything wrong: shown calmly, and without a request's id.
const CALM = ['offline', 'rate_limited', 'budget_exhausted', 'overloaded', 'in_progress', 'not_kept', 'interrupted', 'unanswered'];

// Sending the same question once more cannot help.
const FINAL = ['invalid_request', 'content_refused'];

// These pass by themselves; the question is asked again by itself, unless that takes longer than this.
const PASSING = ['offline', 'rate_limited', 'overloaded'];
const PATIENCE_MS = 10 * 60_000;

const SAME = { stopped: 'not_kept', unauthorized: 'configuration_error', idempotency_key_reused: 'failed' };

export function explain(error) {
  const code = SAME[error.code] ?? error.code;
  const retryAt = error.retryAfter ? Date.now() + error.retryAfter * 1000 : null;
  const calm = CALM.includes(code);
  return {
    code,
    message: error.message ?? '',
    details: error.details ?? [],
    requestId: calm ? null : error.requestId ?? null,
    calm,
    again: !FINAL.includes(code),
    retryAt,
    at: Date.now(),
  };
}

// When the question is asked again by itself: a time, Infinity (once there is a network), or null.
export function asksAgainAt({ code, retryAt, at }) {
  if (!PASSING.includes(code) || Date.now() - at > PATIENCE_MS) return null;
  if (code === 'offline') return navigator.onLine ? Date.now() : Infinity;
  return retryAt && retryAt - at <= PATIENCE_MS ? retryAt : null;
}

// What happened, in words.
export function words(error, t, server) {
  if (!t.knows(error.code)) return error.message || t('failed');
  return t(error.code, { origin: location.origin, server });
}

// What is waited for, in words, or an empty string.
export function wait(error, t) {
  const at = asksAgainAt(error);
  if (at === Infinity) return t('waitOnline');
  const seconds = Math.ceil((error.retryAt - Date.now()) / 1000);
  if (seconds <= 0) return '';
  if (at) {
    const [value, unit] = seconds < 100 ? [seconds, 'second'] : [Math.ceil(seconds / 60), 'minute'];
    const time = new Intl.NumberFormat(t.lang, { style: 'unit', unit, unitDisplay: 'long' }).format(value);
    return t('waitTime', { time });
  }
  return t('waitUntil', { time: when(new Date(error.retryAt), t.lang) });
}

// The time of day, with the date unless it is today's.
export function when(date, lang) {
  const today = date.toDateString() === new Date().toDateString();
  const style = today ? { timeStyle: 'short' } : { dateStyle: 'medium', timeStyle: 'short' };
  return new Intl.DateTimeFormat(lang, style).format(date);
}
