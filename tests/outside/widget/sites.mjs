// A static server for the sites, each with an origin of its own: `localhost` is the Docusaurus one,
// which is the deployment's book; `NAME.localhost` the others, and variants that a case makes.
// `127.0.0.1` shows Docusaurus, too, but is an origin that the deployment does not know.
//
// Owns what a static host does to a page: the tag goes into it, or the deployment's address into
// the tag that the site was built with. Never caches, and never serves what lies outside a site.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const STAND_IN = 'https://deployment.example';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
  '.xml': 'application/xml',
};

/**
 * Serves the folders (see `build.mjs`). `deployment` is the address that the tag names; or, in the
 * place of one, the folder of its files, which are then served as `files.localhost`.
 */
export async function serve(folders, { deployment, files }) {
  const variants = new Map();
  const reports = [];

  function answer(request, response) {
    const host = (request.headers.host ?? '').split(':')[0];
    const url = new URL(request.url, 'http://localhost');
    if (url.pathname === '/csp-report') {
      let body = '';
      request.on('data', (piece) => (body += piece));
      request.on('end', () => {
        reports.push(JSON.parse(body));
        response.writeHead(204).end();
      });
      return undefined;
    }
    if (url.pathname === '/favicon.ico') return response.writeHead(204).end();
    const name = host.endsWith('.localhost') ? host.slice(0, -'.localhost'.length) : 'docusaurus';
    const variant = variants.get(name) ?? { of: name };
    const folder = name === 'files' ? files : folders[variant.of];
    let body;
    let type = '.html';
    if (variant.pages && url.pathname in variant.pages) {
      body = variant.pages[url.pathname];
    } else {
      const file = folder && find(folder, decodeURI(url.pathname));
      if (!file) {
        response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>Not found</h1>');
        return undefined;
      }
      type = extname(file);
      body = readFileSync(file);
    }
    if (type === '.html' && name !== 'files') body = page(String(body), variant.tag);
    response.writeHead(200, {
      'content-type': TYPES[type] ?? 'application/octet-stream',
      'cache-control': 'no-store',
      ...(type === '.html' ? variant.headers : {}),
      ...(name === 'files' ? { 'access-control-allow-origin': '*' } : {}),
    });
    return response.end(body);
  }

  // The tag: what the variant says (nothing for ''), or one line as an owner writes it.
  function page(text, tag) {
    const line = tag ?? `<script src="${STAND_IN}/widget.js" defer></script>`;
    const built = /<script src="https:\/\/deployment\.example\/widget\.js"[^>]*><\/script>/;
    let whole = text;
    if (!built.test(text)) whole = text.replace(/<\/head>/i, () => `${line}</head>`);
    else if (tag !== undefined) whole = text.replace(built, () => line);
    return whole.replaceAll(STAND_IN, address);
  }

  const servers = [createServer(answer)];
  const port = await listen(servers[0], Number(process.env.WIDGET_SITES_PORT ?? 0), '127.0.0.1');
  // A browser may try ::1 first; a machine without IPv6 does not have it.
  const second = createServer(answer);
  await listen(second, port, '::1').then(
    () => servers.push(second),
    () => {},
  );

  const origin = (name) => `http://${name}.localhost:${port}`;
  const address = deployment ?? origin('files');
  let made = 0;
  return {
    /** Of the deployment. */
    address,
    docusaurus: `http://localhost:${port}`,
    mdbook: origin('mdbook'),
    mkdocs: origin('mkdocs'),
    /** The same Docusaurus site at an origin that is not in `CORS_ORIGINS`. */
    stranger: `http://127.0.0.1:${port}`,
    /** What `CORS_ORIGINS` has to say. */
    origins: `http://localhost:${port},http://*.localhost:${port}`,
    /**
     * Another origin: of the site `of`, or with `pages` ({path: HTML}), with `headers` for its pages
     * and another `tag` ('' for none). `https://deployment.example` in a page or a tag becomes the
     * deployment's address. Reports that a page sends to /csp-report are in `reports`.
     */
    variant({ of, pages, headers, tag }) {
      made += 1;
      variants.set(`variant${made}`, { of, pages, headers, tag });
      return origin(`variant${made}`);
    },
    reports,
    close() {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

export function listen(server, port, host) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve(server.address().port));
  });
}

function find(folder, path) {
  const inner = normalize(path);
  if (inner.includes('..')) return null;
  const exact = join(folder, inner);
  const files = [exact, join(exact, 'index.html'), `${exact}.html`];
  return files.find((file) => existsSync(file) && statSync(file).isFile()) ?? null;
}
