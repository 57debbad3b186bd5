// What the widget weighs as it is served, and that no page mixes two versions of it.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';

import { ASK, box, button, log } from '../panel.mjs';
import { listen } from '../sites.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../../..');

const KB = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;

async function sizes({ page, site, origin, check }) {
  const served = [];
  page.on('response', (response) => {
    if (response.url().startsWith(origin)) served.push(response);
  });
  const weigh = async () => {
    const bodies = await Promise.all(served.map((response) => response.body()));
    const sum = (packed) => bodies.reduce((all, body) => all + packed(body).length, 0);
    return { requests: served.length, gzip: sum((body) => gzipSync(body, { level: 9 })), brotli: sum((body) => brotliCompressSync(body)) };
  };
  await page.goto(`${site.docusaurus}/docs/balance`);
  await button(page, ASK).waitFor();
  const idle = await weigh();
  check(idle.requests <= 2 && idle.gzip <= 3 * 1024, `idle: ${JSON.stringify(idle)}`);
  const began = Date.now();
  await page.keyboard.press('Control+i');
  await box(page).waitFor();
  const opened = Date.now() - began;
  const open = await weigh();
  check(open.gzip <= 28 * 1024, `opened: ${JSON.stringify(open)}`);
  console.log(`      idle ${idle.requests} requests, ${KB(idle.gzip)} gzip, ${KB(idle.brotli)} brotli; `
    + `opened ${open.requests}, ${KB(open.gzip)}, ${KB(open.brotli)}; from key to open ${opened} ms`);
}

// Two deployments of different modules at one address. What is published is made by dist.sh.
async function versions({ open, check }) {
  const folder = mkdtempSync(join(tmpdir(), 'widget-versions-'));
  const made = (name, label) => {
    const copy = join(folder, name);
    cpSync(join(ROOT, 'public'), join(copy, 'public'), { recursive: true });
    cpSync(join(ROOT, 'dist.sh'), join(copy, 'dist.sh'));
    const strings = join(copy, 'public/widget/dev/strings.js');
    writeFileSync(strings, readFileSync(strings, 'utf8').replaceAll('Your question', label));
    execFileSync('sh', ['dist.sh'], { cwd: copy });
    const dist = join(copy, 'dist');
    return { dist, version: readdirSync(join(dist, 'widget'))[0] };
  };
  const before = made('before', 'Before');
  const after = made('after', 'After');
  let current = before;
  const asked = [];
  const page = '<!doctype html><html lang="en"><head><title>P</title><script src="/widget.js" defer></script></head><body><p>P.</p></body></html>';
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (pathname === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end(page);
    const file = join(current.dist, pathname);
    if (pathname.startsWith('/widget')) asked.push(pathname);
    if (!existsSync(file)) return response.writeHead(404).end();
    return response.writeHead(200, {
      'content-type': extname(file) === '.js' ? 'text/javascript' : 'text/plain',
      'cache-control': pathname === '/widget.js' ? 'public, max-age=300' : 'public, max-age=31536000, immutable',
    }).end(readFileSync(file));
  });
  const address = `http://localhost:${await listen(server, 0, '127.0.0.1')}`;
  try {
    const kept = await open();
    await kept.goto(address);
    await button(kept, ASK).waitFor();
    // Opened for the first time when the modules of its version are gone.
    current = after;
    asked.length = 0;
    await button(kept, ASK).click();
    await kept.getByRole('textbox', { name: 'After' }).waitFor();
    // And a page whose cache has the old loader, and nothing else.
    const cached = await open();
    current = before;
    await cached.goto(address);
    await button(cached, ASK).waitFor();
    current = after;
    await cached.goto(`${address}/?again`);
    await button(cached, ASK).click();
    await cached.getByRole('textbox', { name: 'After' }).waitFor();
    const loaded = await cached.evaluate(() => performance.getEntriesByType('resource')
      .filter(({ name, responseStatus }) => name.includes('/widget/') && responseStatus !== 404)
      .map(({ name }) => name.split('/')[4]));
    const running = loaded.slice(loaded.lastIndexOf(before.version) + 1);
    check(running.length > 5 && running.every((version) => version === after.version), `versions: ${loaded}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

const needs = 'functions';
export const cases = [
  { name: 'what it weighs', run: sizes, needs },
  { name: 'an old cache and a new deployment', run: versions, needs, allowed: [/404|request: http:\/\/localhost/] },
];
