// What went wrong, in words for a reader: what happened, and what to do next.

const GENERIC = 'Something went wrong. Your question is still here; try again.';

// `again: false`: sending the same question once more cannot help.
const WORDS = {
  unreachable: { text: 'Could not reach the server. Your question is still here; try again.' },
  broken: { text: 'The connection broke before the answer was complete. Your question is still here; try again.' },
  no_answer: { text: 'No answer came in time. Your question is still here; try again.' },
  llm_timeout: { text: 'The answer took too long to write. Your question is still here; try again.' },
  llm_error: { text: 'The answer could not be written just now. Your question is still here; try again in a moment.' },
  database_error: { text: 'The conversation could not be reached just now. Your question is still here; try again in a moment.' },
  unreadable: { text: 'The server sent something this page does not understand. Your question is still here; try again.' },
  empty: { text: 'The answer came back empty. Your question is still here; try again.' },
  in_progress: { text: 'This question is still being answered. Try again in a moment to see the answer.' },
  idempotency_key_reused: { text: GENERIC },
  rate_limited: { text: 'That was a lot of questions in a short time.' },
  budget_exhausted: { text: 'The book has given all the answers it can afford for now.' },
  overloaded: { text: 'Many readers are asking at this moment.' },
  configuration_error: { text: 'The book’s assistant is not set up correctly. Only its owner can fix that; please let them know.' },
  invalid_request: { text: 'The question could not be accepted as it is.', again: false },
  content_refused: { text: 'The assistant cannot help with this. Ask it about the book.', again: false },
  stopped: { text: 'Stopped before the answer began.' },
  interrupted: { text: 'The page was closed before the answer was complete.' },
  unanswered: { text: 'This question has no answer yet.' },
};

// Plain data, so that a failed question can be stored and shown again after a reload.
export function explain(error) {
  const known = Object.hasOwn(WORDS, error.code) ? WORDS[error.code] : null;
  const retryAfter = error.retryAfter ?? null;
  return {
    text: known?.text ?? (error.message || GENERIC),
    details: error.details ?? [],
    requestId: error.requestId ?? null,
    retryAt: retryAfter && Date.now() + retryAfter * 1000,
    again: known?.again ?? true,
  };
}

// "You can try again …", or an empty string if there is nothing to wait for.
export function wait(retryAt) {
  const seconds = Math.ceil((retryAt - Date.now()) / 1000);
  if (!retryAt || seconds <= 0) return '';
  if (seconds === 1) return 'You can try again in a second.';
  if (seconds < 100) return `You can try again in ${seconds} seconds.`;
  const when = new Date(retryAt);
  const today = when.toDateString() === new Date().toDateString();
  const style = today ? { timeStyle: 'short' } : { dateStyle: 'medium', timeStyle: 'short' };
  return `You can try again after ${new Intl.DateTimeFormat(undefined, style).format(when)}.`;
}
