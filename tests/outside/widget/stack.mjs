// The deployment under test: the program `dev`, with the scripted model and the Docusaurus site as
// its book. Owns its settings; whatever else it needs is the program's own business. Its output goes
// to a file, which is printed when it cannot be started.

import { spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { createServer } from 'node:net';

import { listen } from './sites.mjs';

const READY_MS = 240_000; // it may have to compile

/** A free port; the program is to be told, for the sites must know it before. */
export async function freePort() {
  const server = createServer();
  const port = await listen(server, 0, '127.0.0.1');
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function start({ program, port, sites, model, log }) {
  const args = ['--port', String(port)];
  // The data of an earlier run know other addresses. A database that is named is the caller's.
  if (!process.env.DATABASE_URL) args.push('--reset', '--yes');
  const direct = '127.0.0.1,localhost,::1';
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      NO_PROXY: direct,
      no_proxy: direct,
      OPENAI_API_KEY: 'scripted',
      OPENAI_BASE_URL: model.baseUrl,
      CORS_ORIGINS: sites.origins,
      BOOK_URL: `${sites.docusaurus}/`,
      BOOK_TITLE: 'Robots That Walk',
      EMBEDDING_MODEL: '',
      LLM_FIRST_BYTE_TIMEOUT_MS: '60000',
      LLM_TIMEOUT_MS: '120000',
      RATE_LIMIT_NETWORK_PER_MINUTE: '0',
      RATE_LIMIT_NETWORK_PER_DAY: '0',
      RATE_LIMIT_CONVERSATION_PER_MINUTE: '0',
      RATE_LIMIT_READS_PER_MINUTE: '0',
      LOG_LEVEL: 'info',
    },
  });
  // Whatever ends this process ends it, too.
  process.once('exit', () => child.kill('SIGTERM'));
  const file = createWriteStream(log);
  const origin = `http://localhost:${port}`;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await new Promise((resolve, reject) => {
    const failed = (why) => reject(new Error(`${why}\n${tail(log)}`));
    const timer = setTimeout(failed, READY_MS, 'the deployment is not ready');
    let rest = '';
    const listenTo = (piece) => {
      file.write(piece);
      rest += piece;
      const lines = rest.split('\n');
      rest = lines.pop();
      // The program `book` ends with a summary, once its index is in place.
      if (lines.some((line) => /^ *book \| .*\bpages\b/.test(line))) {
        clearTimeout(timer);
        resolve();
      }
    };
    child.stdout.on('data', listenTo);
    child.stderr.on('data', listenTo);
    child.once('error', (error) => failed(`${program}: ${error.message}`));
    child.once('exit', (status) => failed(`the deployment has ended with ${status}`));
  });
  return {
    origin,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function tail(log) {
  return readFileSync(log, 'utf8').split('\n').slice(-30).join('\n');
}
