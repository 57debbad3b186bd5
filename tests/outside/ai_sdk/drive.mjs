// Plays one scene against a running backend with the AI SDK's own chat, as a page uses it,
// and prints one line of JSON: what the chat knows after each turn.
//
// usage: node drive.mjs <base URL> <scene> <a question that the book answers>
import { setTimeout as sleep } from 'node:timers/promises';

import { Chat } from '@ai-sdk/react';
import { DefaultChatTransport } from 'ai';

const [url, scene, question] = process.argv.slice(2);

const text = message =>
  message?.parts.map(part => (part.type === 'text' ? part.text : '')).join('');

let session;

// What a page has to write itself: how the SDK's request becomes ours.
const transport = new DefaultChatTransport({
  api: `${url}/chat`,
  prepareSendMessagesRequest: ({ messages, headers, body }) => ({
    headers: { ...headers, accept: 'text/event-stream' },
    body: {
      message: text(messages.at(-1)),
      session_id: session,
      selected_text: body.selected_text,
      page: body.page,
    },
  }),
});

let finish;
const chat = new Chat({
  transport,
  onFinish: event => {
    finish = event;
    session = event.message.metadata?.sessionId ?? session;
  },
  // An error before the first word is our JSON, which names the conversation once there is one.
  onError: error => {
    if (error.responseBody) session = JSON.parse(error.message).session_id ?? session;
  },
});
const turns = [];

async function turn(sending) {
  finish = undefined;
  await sending();
  const { status, error, messages } = chat;
  turns.push({
    status,
    error: error && {
      name: error.name,
      message: error.message,
      statusCode: error.statusCode,
      responseBody: error.responseBody,
    },
    finish: finish && {
      isAbort: finish.isAbort,
      isDisconnect: finish.isDisconnect,
      isError: finish.isError,
      reason: finish.finishReason,
    },
    messages: messages.map(({ id, role, metadata, parts }) => ({ id, role, metadata, parts })),
  });
}

const scenes = {
  async conversation() {
    await turn(() => chat.sendMessage({ text: 'What is a humanoid robot?' }));
    await turn(() => chat.sendMessage({ text: 'And why?' }));
  },
  async passage() {
    await turn(() =>
      chat.sendMessage(
        { text: 'What does this mean?' },
        { body: { selected_text: 'Bipedal gait is a controlled fall.' } },
      ),
    );
  },
  async sources() {
    const body = { page: 'https://book.example/book/walking.html?theme=dark#task' };
    await turn(() => chat.sendMessage({ text: question }, { body }));
    await turn(() => chat.sendMessage({ text: 'And why?' }, { body }));
  },
  async stop() {
    await turn(async () => {
      const sending = chat.sendMessage({ text: 'What is a humanoid robot?' });
      while (chat.status !== 'error' && text(chat.lastMessage) !== 'Half an ') await sleep(5);
      await chat.stop();
      await sending;
    });
  },
};

await scenes[scene]();
console.log(JSON.stringify({ turns }));
