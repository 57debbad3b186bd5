// Shows openapi.json as a page. Swagger UI draws it; a plugin for it says what of it is shown, and
// how. The contract is never changed for that: what is not drawn is still in it.

if (window.SwaggerUIBundle) {
  followTheme();
  window.SwaggerUIBundle({
    url: 'openapi.json',
    dom_id: '#api',
    plugins: [asThisPage],
    layout: 'ContractLayout',
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    // Its colours are for a dark ground alone; without them, examples have the page's.
    syntaxHighlight: { activated: false },
    // By default the document's address would be sent to a server of its makers, for a badge.
    validatorUrl: null,
  });
} else {
  document.getElementById('not-copied').hidden = false;
}

// Swagger UI's own dark mode is a class. It is for what api-page.css leaves as it is, such as icons.
function followTheme() {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
  dark.addEventListener('change', follow);
  follow();
}

function asThisPage({ React }) {
  const h = React.createElement;

  // An alternative without any scheme: the operation can be called without a token.
  const isOptional = (security) => Boolean(security?.some((alternative) => alternative.isEmpty()));

  const placeOf = (scheme) =>
    scheme.get('type') === 'apiKey'
      ? `${scheme.get('in')}: ${scheme.get('name')}`
      : `authorization: ${scheme.get('scheme') === 'bearer' ? 'Bearer' : scheme.get('scheme')} …`;

  // Names what a component has drawn without a name that is heard.
  const named = (what, nameOf) => (Original) =>
    function Named(props) {
      const place = React.useRef(null);
      React.useEffect(() => {
        place.current.querySelector(what)?.setAttribute('aria-label', nameOf(props));
      });
      return h('div', { className: 'named', ref: place }, h(Original, props));
    };

  // Less than Swagger UI's own layout: the page has a title and a main part already, and the contract's
  // servers are one. The button "Authorize" is missing, too: a padlock opens the same window.
  function ContractLayout({ getComponent, specSelectors, authSelectors }) {
    const part = (name, props) => h(getComponent(name, true), props);
    const status = specSelectors.loadingStatus();
    if (status === 'failed') return h('p', { role: 'alert' }, 'openapi.json cannot be read.');
    if (status !== 'success') return h('p', { role: 'status' }, 'Reading openapi.json…');
    const schemes = specSelectors.securityDefinitions()?.entrySeq().toArray() ?? [];
    return h(
      'div',
      { className: 'swagger-ui' },
      part('errors'),
      part('Markdown', { source: specSelectors.info().get('description') }),
      h('h2', null, 'Tokens'),
      h(
        'p',
        null,
        'An operation needs a token only where it has a padlock. Where it says “token optional”, it works ' +
          'without one. Once an operation that is tried on this page has set the reader’s token as a cookie, ' +
          'the browser sends it by itself.',
      ),
      h(
        'dl',
        { className: 'tokens' },
        schemes.map(([name, scheme]) =>
          h(
            React.Fragment,
            { key: name },
            h('dt', null, name, ' · ', h('code', null, placeOf(scheme))),
            h('dd', null, part('Markdown', { source: scheme.get('description') })),
          ),
        ),
      ),
      h('h2', null, 'Operations'),
      part('operations'),
      part('Models'),
      authSelectors.shownDefinitions() && part('authorizationPopup'),
    );
  }

  return {
    components: { ContractLayout },
    statePlugins: {
      spec: {
        wrapSelectors: {
          // Browsers send OPTIONS by themselves.
          validOperationMethods: (original) => (_, ...rest) =>
            original(...rest).filter((method) => method !== 'options'),
        },
      },
    },
    wrapComponents: {
      OperationSummary: (Original) => ({ operationProps, ...props }) => {
        const optional = isOptional(operationProps.get('security'));
        // Without `security` it has no padlock; the request still goes by the contract.
        const shown = optional ? operationProps.delete('security').set('optional', true) : operationProps;
        return h(Original, { ...props, operationProps: shown });
      },
      // A link within the button that opens the operation would be a second thing to focus.
      OperationSummaryPath: (Original) => ({ operationProps, ...props }) =>
        h(
          React.Fragment,
          null,
          h(Original, { ...props, operationProps: operationProps.set('isDeepLinkingEnabled', false) }),
          operationProps.get('optional') && h('span', { className: 'token-optional' }, 'token optional'),
        ),
      parameters: (Original) => (props) =>
        h(
          React.Fragment,
          null,
          isOptional(props.operation.get('security')) &&
            h(
              'p',
              { className: 'opblock-description-wrapper' },
              h('strong', null, 'No token is needed.'),
              ' A reader’s token is for the conversations that are this reader’s own; who has none yet gets ' +
                'one from POST /chatkit.',
            ),
          h(Original, props),
        ),
      authorizationPopup: (Original) => (props) =>
        h('div', { role: 'dialog', 'aria-modal': true, 'aria-label': 'The token' }, h(Original, props)),
      CloseIcon: (Original) => (props) =>
        h('span', { role: 'img', 'aria-label': 'Close' }, h(Original, props)),
      auths: named('.authorize', () => 'Authorize'), // as is written on it
      responses: named('.responses-table', ({ path, method }) => `Responses of ${method} ${path}`),
      ExamplesSelect: named('select', () => 'Example'),
      RequestBodyEditor: named('textarea', () => 'Body of the request'),
      JsonSchemaForm: named('select, textarea, input', ({ description }) => description),
    },
  };
}
