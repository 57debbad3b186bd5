// Shows openapi.json as a page.

if (window.SwaggerUIBundle) {
  window.SwaggerUIBundle({
    url: 'openapi.json',
    dom_id: '#api',
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    // By default the document's address would be sent to a server of its makers, for a badge.
    validatorUrl: null,
  });
} else {
  document.getElementById('not-copied').hidden = false;
}
