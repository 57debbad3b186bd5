// The owner's page: makes the tag for this deployment, shows the widget with the chosen values, and
// asks whether a site's pages may call. Keeps nothing.

const byId = (id) => document.getElementById(id);
const SCRIPT = new URL('widget.js', location.href).href;
const MOST_QUESTIONS = 4;

// What was chosen, without what is the default anyway.
function chosen() {
  const values = Object.fromEntries(new FormData(byId('options')));
  const lines = values.questions.split('\n').map((line) => line.replaceAll('|', '/').trim());
  values.questions = lines.filter(Boolean).slice(0, MOST_QUESTIONS).join('|');
  return Object.entries(values).map(([name, value]) => [name, value.trim()]).filter(([, value]) => value);
}

// ---- The line, for each generator

// A brace means something to the templates of mdBook and MkDocs.
const ENTITIES = { '&': '&amp;', '"': '&quot;', '<': '&lt;', '{': '&#123;' };
const escaped = (text) => text.replace(/[&"<{]/g, (sign) => ENTITIES[sign]);

function html(values) {
  const data = values.map(([name, value]) => ` data-${name}="${escaped(value)}"`).join('');
  return `<script src="${SCRIPT}"${data} defer></script>`;
}

// As the source of an object in JavaScript or of a dictionary in Python: JSON is both.
function object(values, first, last = []) {
  return [first, ...values.map(([name, value]) => [`data-${name}`, value]), ...last]
    .filter(Boolean)
    .map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`)
    .join(', ');
}

const LINES = {
  html,
  mdbook: html,
  docusaurus: (values) => `scripts: [{ ${object(values, ['src', SCRIPT])}, "defer": true }],`,
  mkdocs: (values) => `{% extends "base.html" %}\n{% block scripts %}\n  {{ super() }}\n  ${html(values)}\n{% endblock %}`,
  sphinx: (values) => `html_js_files = [(${JSON.stringify(SCRIPT)}, {${object(values, null, [['defer', 'defer']])}})]`,
};

function show() {
  byId('tag').textContent = LINES[byId('generator').value](chosen());
  byId('copied').textContent = '';
}

// ---- The widget with these values, in the place of the one before

let soon = null;

function preview() {
  const element = document.createElement('textbook-chat');
  for (const [name, value] of chosen()) element.setAttribute(name, value);
  document.querySelector('textbook-chat').replaceWith(element);
}

byId('options').addEventListener('input', () => {
  show();
  clearTimeout(soon);
  soon = setTimeout(preview, 400);
});
byId('options').addEventListener('submit', (event) => event.preventDefault());
byId('generator').addEventListener('change', show);
byId('copy').addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText(byId('tag').textContent);
    byId('copied').textContent = 'Copied.';
  } catch {
    getSelection().selectAllChildren(byId('tag'));
    byId('copied').textContent = 'It is selected: copy it with your browser.';
  }
});

// ---- Whether the site's pages may call. A page cannot say that it is another, so the server is asked.

function originOf(text) {
  const address = /^[a-z]+:\/\//i.test(text) ? text : `https://${text}`;
  try {
    const { protocol, origin } = new URL(address);
    return /^https?:$/.test(protocol) ? origin : null;
  } catch {
    return null;
  }
}

byId('site').addEventListener('submit', async (event) => {
  event.preventDefault();
  const say = (text) => {
    byId('verdict').textContent = text;
  };
  const origin = originOf(byId('address').value.trim());
  if (!origin) return say('That is no address of a page. It begins with https://.');
  say('Asking…');
  try {
    const response = await fetch(`health?${new URLSearchParams({ check: 'ready', origin })}`);
    const { checks } = await response.json();
    if (checks.origin === 'ok') return say(`Pages of ${origin} may use this chat.`);
    if (checks.origin) return say(`Pages of ${origin} may not use this chat yet: add ${origin} to CORS_ORIGINS in the deployment’s settings, and deploy again.`);
    return say(`This deployment’s settings are not right yet: ${checks.settings}`);
  } catch {
    return say('The deployment could not be asked just now. Please try again.');
  }
});

show();
