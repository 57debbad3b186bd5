// The page with ChatKit, OpenAI's chat window: opens it on the function /chatkit, hands it the
// passages that a reader chooses, and says so if it does not appear.

import { watchPassage } from './chatkit-passage.js';

// The backend's limit for a passage, in Unicode code points.
const MAX_PASSAGE = 20_000;

// After this long without ChatKit's script, or without a sign of life from its window, the reader
// is told. It may still appear later.
const SCRIPT_MS = 8_000;
const WINDOW_MS = 12_000;

const byId = (id) => document.getElementById(id);
const widget = byId('widget');

// Absolute, for it may be resolved in ChatKit's frame.
const API = new URL(widget.dataset.api, location.href).href;

// What is kept belongs to one backend: its token is sent to no other.
const THREAD = `textbook-chat/thread ${API}`;
const TOKEN = `textbook-chat/reader ${API}`;

let chat = null;
let opened = false;
let waiting = null;
let token = null; // for a browser that stores nothing

// ---- Requests. ChatKit calls this instead of `fetch`. ChatKit knows nothing of readers: the
// backend knows them by a cookie on its own site, and elsewhere by the token that it has issued.

async function request(url, init) {
  alive();
  const headers = new Headers(init.headers);
  const mine = read('localStorage', TOKEN) ?? token;
  if (mine) headers.set('Authorization', `Bearer ${mine}`);
  // The rest of `init` stays as it is: stopping an answer depends on its signal.
  const response = await fetch(url, { ...init, headers, credentials: 'same-origin' });
  const issued = response.headers.get('x-reader-token');
  if (issued) {
    token = issued;
    write('localStorage', TOKEN, issued);
  }
  // A conversation that is gone is not opened again at the next visit.
  if (response.status === 404) write('localStorage', THREAD, null);
  return response;
}

// ---- The window

function start() {
  const accent = getComputedStyle(document.documentElement).getPropertyValue('--accent');
  chat = document.createElement('openai-chatkit');
  chat.addEventListener('chatkit.ready', alive);
  chat.addEventListener('chatkit.thread.change', (event) => {
    write('localStorage', THREAD, event.detail.threadId);
  });
  chat.addEventListener('chatkit.error', (event) => console.error(event.detail.error));
  chat.setOptions({
    // On localhost any key will do, but there must be one.
    api: { url: API, domainKey: widget.dataset.domainKey || 'localhost', fetch: request },
    initialThread: read('localStorage', THREAD),
    frameTitle: 'Ask the book',
    history: { enabled: true, showRename: true, showDelete: true },
    threadItemActions: { feedback: true, retry: true },
    startScreen: {
      greeting: 'What would you like to understand?',
      prompts: [
        'Why does the position of a robot drift?',
        'How can a foot that stands still help?',
        'How does a robot notice the ground without a sensor?',
      ].map((question) => ({ label: question, prompt: question })),
    },
    composer: { placeholder: 'Ask a question…' },
    disclaimer: { text: 'Answers can be wrong: check the book.' },
    theme: {
      colorScheme: matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light',
      radius: 'soft',
      color: { accent: { primary: accent.trim(), level: 1 } },
    },
  });
  widget.append(chat);
  wait('no-window', WINDOW_MS);
}

// The window has said that it is ready, or asked for something.
function alive() {
  if (opened) return;
  opened = true;
  tell(null);
  byId('how-to').hidden = false;
  for (const button of document.querySelectorAll('.ask-section')) button.hidden = false;
  watchPassage(byId('passage'), byId('ask-selection'), askAbout);
}

async function askAbout(passage) {
  widget.scrollIntoView({ block: 'nearest' });
  if ([...passage].length > MAX_PASSAGE) {
    say(`A passage can have at most ${MAX_PASSAGE.toLocaleString()} characters. Please select a shorter one.`);
    return;
  }
  try {
    await chat.setComposerValue({ reply: passage });
  } catch {
    // It accepts nothing while it fetches a conversation or writes an answer.
    say('The chat is busy just now. When it is done, choose the passage again.');
    return;
  }
  say('');
  chat.focusComposer().catch(() => {}); // some phones allow that only after a touch
}

// ---- Kept in this browser. Storage can be full, forbidden or damaged: then the page forgets.

function read(storage, key) {
  try {
    return JSON.parse(window[storage].getItem(key));
  } catch {
    return null;
  }
}

function write(storage, key, value) {
  try {
    window[storage].setItem(key, JSON.stringify(value));
  } catch { /* then it is forgotten */ }
}

// ---- When it does not appear

function wait(failure, ms) {
  tell(null);
  say('The chat is loading…');
  waiting = setTimeout(tell, ms, failure);
}

function tell(failure) {
  clearTimeout(waiting);
  say('');
  for (const id of ['no-script', 'no-window']) byId(id).hidden = id !== failure;
}

function say(text) {
  byId('note').textContent = text;
}

for (const button of document.querySelectorAll('.reload')) {
  button.addEventListener('click', () => location.reload());
}
byId('chatkit-script').addEventListener('error', () => tell('no-script'));
wait('no-script', SCRIPT_MS);
customElements.whenDefined('openai-chatkit').then(start);
