// Builds the sites that the widget is tested in. Owns where their pages lie and whether these are
// still those of their sources; never installs anything. Debian's book is taken as it is.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const TARGET = process.env.CARGO_TARGET_DIR ?? join(HERE, '../../../target');
const MDBOOK = '/usr/share/doc/rust-doc/html/book';

/** The folder of each site's pages. They are built anew where their sources have changed. */
export function build() {
  const folder = process.env.WIDGET_SITES ?? join(TARGET, 'widget-sites');
  if (!existsSync(MDBOOK)) throw new Error('no book of mdBook here: apt-get install rust-doc');
  return {
    docusaurus: made('docusaurus', folder, (from, to) => {
      const program = join(from, 'node_modules/@docusaurus/core/bin/docusaurus.mjs');
      if (!existsSync(program)) throw new Error(`npm ci --prefix ${from} --ignore-scripts`);
      // Not by itself: the first Node on the PATH may be too old for it.
      run(process.execPath, [program, 'build', '--out-dir', to], from);
    }),
    mkdocs: made('mkdocs', folder, (from, to) => {
      const program = process.env.MKDOCS ?? join(TARGET, 'mkdocs/bin/mkdocs');
      run(program, ['build', '--quiet', '--strict', '--site-dir', to], from);
    }),
    mdbook: MDBOOK,
  };
}

function made(name, folder, build) {
  const [from, to, stamp] = [join(HERE, name), join(folder, name), join(folder, `${name}.stamp`)];
  const now = fingerprint(from);
  if (existsSync(to) && existsSync(stamp) && readFileSync(stamp, 'utf8') === now) return to;
  if (process.env.WIDGET_SITES) console.error(`${to} is not of these sources`);
  mkdirSync(folder, { recursive: true });
  console.error(`building the ${name} site`);
  build(from, to);
  writeFileSync(stamp, now);
  return to;
}

function run(program, args, folder) {
  const quiet = { DOCUSAURUS_NO_TELEMETRY: '1', DO_NOT_TRACK: '1', NO_MKDOCS_2_WARNING: '1' };
  execFileSync(program, args, {
    cwd: folder,
    env: { ...process.env, ...quiet },
    stdio: ['ignore', 2, 2],
  });
}

function fingerprint(folder) {
  const hash = createHash('sha256');
  const visit = (path) => {
    for (const name of readdirSync(path).sort()) {
      if (/^(node_modules|build|site|\.docusaurus)$/.test(name)) continue;
      const file = join(path, name);
      if (statSync(file).isDirectory()) visit(file);
      else hash.update(`${file.slice(folder.length)}\0`).update(readFileSync(file));
    }
  };
  visit(folder);
  return hash.digest('hex');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(build()));
