// Runs the cases of `cases/` in a browser, against a deployment and the sites. See `--help`.
//
// Owns the order of starting, and the report: a line for each case, and a last one
// `widget: N passed, M failed`.

import { mkdirSync, mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { chromium } from 'playwright-core';

import { build } from './build.mjs';
import { check } from './check.mjs';
import { startModel } from './model.mjs';
import { serve } from './sites.mjs';
import { freePort, start } from './stack.mjs';
import { Watch } from './watch.mjs';

const HELP = `node run.mjs (--dev PROGRAM | --origin URL | --files FOLDER) [--keep] [case …]

  --dev PROGRAM   start this program (target/debug/dev) as the deployment
  --origin URL    use a deployment that runs already (with the ports below)
  --files FOLDER  no functions, only this folder (public), for cases that ask nothing
  --keep          then leave everything running, until Ctrl-C
  case            parts of the names of files in cases/

Variables: WIDGET_PICTURES (folder for pictures), WIDGET_SITES (folder of built sites), CHROMIUM,
MKDOCS (the programs), WIDGET_SITES_PORT, WIDGET_MODEL_PORT (0: any), WIDGET_HEADED=1, DATABASE_URL.
`;

const CASE_MS = 120_000;
const HERE = dirname(fileURLToPath(import.meta.url));
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dev: { type: 'string' },
    origin: { type: 'string' },
    files: { type: 'string' },
    keep: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});
if (values.help || !(values.dev || values.origin || values.files)) {
  console.error(HELP);
  process.exit(values.help ? 0 : 2);
}

const pictures = process.env.WIDGET_PICTURES;
if (pictures) mkdirSync(pictures, { recursive: true });

const folders = build();
const port = values.dev ? await freePort() : 0;
const deployment = values.dev ? `http://localhost:${port}` : values.origin?.replace(/\/$/, '');
const model = await startModel();
const sites = await serve(folders, { deployment, files: values.files });
const origin = sites.address;
const log = join(mkdtempSync(join(tmpdir(), 'widget-')), 'deployment.log');
const stack = values.dev
  ? await start({ program: values.dev, port, sites, model, log })
  : { stop() {} };
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: !process.env.WIDGET_HEADED,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    // Whoever asks another host is told at once that there is none.
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1',
  ],
});

let passed = 0;
let failed = 0;
for (const file of readdirSync(join(HERE, 'cases')).sort()) {
  if (!file.endsWith('.mjs')) continue;
  if (positionals.length && !positionals.some((part) => file.includes(part))) continue;
  const found = await import(pathToFileURL(join(HERE, 'cases', file)));
  // A file has one case, or several in `cases`.
  for (const one of found.cases ?? [found]) await runCase(file.replace('.mjs', ''), one);
}
if (values.keep) {
  console.log(`${origin} ${JSON.stringify(sites, null, 2)}\ndeployment's output: ${log}`);
  await new Promise((resolve) => process.once('SIGINT', resolve));
}
await browser.close();
await stack.stop();
sites.close();
model.close();
console.log(`widget: ${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);

async function runCase(file, { name = 'all of it', run, allowed = [], needs }) {
  const began = performance.now();
  const watch = new Watch(browser, origin, allowed);
  model.reset();
  sites.reports.length = 0;
  let limit;
  try {
    if (needs === 'functions' && values.files) return;
    const page = await watch.open();
    const late = new Promise((_, reject) => {
      limit = setTimeout(() => reject(new Error(`not done after ${CASE_MS / 1000} s`)), CASE_MS);
    });
    const story = run({
      browser,
      page,
      open: (options) => watch.open(options),
      origin,
      site: sites,
      model,
      check,
      axe,
      picture: (name, of = page) => takePicture(`${file}-${name}`, of),
    });
    await Promise.race([story, late]);
    await watch.verdict();
    passed += 1;
    const ms = Math.round(performance.now() - began);
    console.log(`ok    ${file}: ${name} (${ms} ms)`);
  } catch (error) {
    failed += 1;
    const place = /cases\/([^):]+:\d+)/.exec(error.stack ?? '')?.[1] ?? file;
    console.log(`FAIL  ${file}: ${name}\n      ${place}: ${error.message.replace(/\n/g, '\n      ')}`);
    for (const line of watch.problems) console.log(`      also: ${line}`);
    for (const page of watch.pages()) await takePicture(`${file}-failed`, page).catch(() => {});
  } finally {
    clearTimeout(limit);
    await watch.close();
  }
}

/** The rules that a page violates, in the light and in every open shadow root. */
async function axe(page, { include, disabled = [] } = {}) {
  await page.evaluate(`${AXE};0`);
  const results = await page.evaluate(
    ([within, off]) =>
      axe.run(within ? { include: within } : document, {
        rules: Object.fromEntries(off.map((rule) => [rule, { enabled: false }])),
      }),
    [include, disabled],
  );
  return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.target).join(' ')}`);
}

async function takePicture(name, page) {
  if (!pictures) return;
  await page.screenshot({ path: join(pictures, `${name.replace(/[^\w.-]+/g, '-')}.png`) });
}
