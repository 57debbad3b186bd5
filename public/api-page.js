// Shows openapi.json as a page, with Swagger UI. Never changes what the contract says: it leaves out what
// nobody reads here, and says in words what a padlock would say wrongly.

const NOT_COPIED = 'The program that shows it here has not been copied from npm: run sh swagger-ui/vendor.sh, which needs Node, and reload this page.';
const OPTIONAL = '\n\n**No token is needed.** A reader who owns conversations sends theirs as `Authorization: Bearer …`, or as the cookie that `POST /chatkit` has set; without one, the conversations that nobody owns are meant.';

/** Whether a request may do without this security. */
function isOptional(security) {
  return security.some((way) => Object.keys(way).length === 0);
}

/** The contract as it is shown: without what browsers ask by themselves, and padlocks only where a token must be. */
function shown(contract) {
  const needed = new Set();
  for (const path of Object.values(contract.paths)) {
    delete path.options;
    for (const operation of Object.values(path)) {
      if (!operation.security) continue;
      if (isOptional(operation.security)) {
        delete operation.security;
        operation.description = (operation.description ?? '') + OPTIONAL;
      } else {
        for (const way of operation.security) Object.keys(way).forEach((name) => needed.add(name));
      }
    }
  }
  const schemes = contract.components.securitySchemes;
  for (const name of Object.keys(schemes)) {
    if (!needed.has(name)) delete schemes[name];
  }
  return contract;
}

/** Names what Swagger UI leaves nameless, whenever it draws something anew. */
function nameFields(place) {
  const names = [['.content-type', 'Media type'], ['.examples-select-element', 'Example']];
  const name = () => {
    for (const field of place.querySelectorAll('select:not([aria-label])')) {
      const known = names.find(([selector]) => field.matches(selector));
      field.setAttribute('aria-label', known?.[1] ?? 'Value');
    }
  };
  new MutationObserver(name).observe(place, { childList: true, subtree: true });
}

function say(words) {
  const place = document.getElementById('not-shown');
  place.textContent = words;
  place.hidden = false;
}

async function show() {
  if (!window.SwaggerUIBundle) return say(NOT_COPIED);
  const response = await fetch('openapi.json');
  if (!response.ok) throw new Error(`openapi.json: status ${response.status}`);
  nameFields(document.getElementById('api'));
  window.SwaggerUIBundle({
    spec: shown(await response.json()),
    dom_id: '#api',
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    // By default the document's address would be sent to a server of its makers, for a badge.
    validatorUrl: null,
  });
}

show().catch((error) => say(`The API cannot be shown: ${error.message}. Reload this page to try again.`));
