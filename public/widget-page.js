// The owner's page: makes the tag for this deployment and the rule for its colour, shows the widget with
// the chosen values, and asks whether a site's pages may call. Keeps nothing.

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

// ---- The rule, for a colour of its own

// The widget's grounds, and the words on its accent, in light and dark (widget/dev/style.js).
const SCHEMES = [
  { ground: '#fdfbf6', words: '#ffffff', towards: '#000000' },
  { ground: '#211e1a', words: '#10282a', towards: '#ffffff' },
];
const READABLE = 4.5;
const STEPS = 50;

const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

// WCAG 2.2, "relative luminance" and "contrast ratio".
function luminance(colour) {
  const [r, g, b] = channels(colour).map((channel) => channel / 255)
    .map((channel) => (channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function mixed(colour, other, part) {
  const [from, to] = [channels(colour), channels(other)];
  const mix = from.map((channel, i) => Math.round(channel + (to[i] - channel) * part));
  return `#${mix.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`;
}

// The nearest colour that can be read on the ground, and on which words can.
function readable(colour, { ground, words, towards }) {
  for (let step = 0; step < STEPS; step += 1) {
    const near = mixed(colour, towards, step / STEPS);
    if (contrast(near, ground) >= READABLE && contrast(near, words) >= READABLE) return near;
  }
  return towards;
}

// The custom properties, or none.
function looks() {
  if (!byId('own-colour').checked) return [];
  const colour = byId('colour').value;
  const accents = SCHEMES.map((scheme) => readable(colour, scheme));
  const words = SCHEMES.map((scheme) => scheme.words);
  return [['accent', accents], ['on-accent', words]]
    .map(([name, both]) => [`--textbook-chat-${name}`, `light-dark(${both.join(', ')})`]);
}

function show() {
  byId('tag').textContent = LINES[byId('generator').value](chosen());
  byId('rule').textContent = `textbook-chat {\n${looks().map(([name, value]) => `  ${name}: ${value};\n`).join('')}}`;
  byId('looks').hidden = !byId('own-colour').checked;
  byId('tag-copied').textContent = byId('rule-copied').textContent = '';
}

// ---- The widget with these values, in the place of the one before

let soon = null;

function preview() {
  const element = document.createElement('textbook-chat');
  for (const [name, value] of chosen()) element.setAttribute(name, value);
  for (const [name, value] of looks()) element.style.setProperty(name, value);
  document.querySelector('textbook-chat').replaceWith(element);
}

byId('options').addEventListener('input', () => {
  show();
  clearTimeout(soon);
  soon = setTimeout(preview, 400);
});
byId('options').addEventListener('submit', (event) => event.preventDefault());
byId('generator').addEventListener('change', show);
for (const button of document.querySelectorAll('.copy')) {
  const { of } = button.dataset;
  button.addEventListener('click', async () => {
    const said = byId(`${of}-copied`);
    try {
      await navigator.clipboard.writeText(byId(of).textContent);
      said.textContent = 'Copied.';
    } catch {
      getSelection().selectAllChildren(byId(of));
      said.textContent = 'It is selected: copy it with your browser.';
    }
  });
}
byId('colour').addEventListener('input', () => {
  byId('own-colour').checked = true;
});

// ---- Whether the site's pages may call. A page cannot say that it is another, so the server is asked.

function originOf(text) {
  const scheme = /^(localhost|127\.0\.0\.1)\b/i.test(text) ? 'http' : 'https';
  const address = /^[a-z]+:\/\//i.test(text) ? text : `${scheme}://${text}`;
  try {
    const { protocol, hostname, origin } = new URL(address);
    return /^https?:$/.test(protocol) && /^[a-z0-9.[\]:-]+$/i.test(hostname) ? origin : null;
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
