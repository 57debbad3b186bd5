// The list of this browser's conversations: opens one, deletes one or all.

import { h, icon, iconButton, setText } from './dom.js';
import { when } from './errors.js';

const SHOWN = 8; // the others under "More"

export function drawEarlier({ element, t, conversations, chat, onDone }) {
  let all = false;
  draw();

  function draw() {
    const list = conversations.list();
    const shown = all ? list : list.slice(0, SHOWN);
    element.replaceChildren(
      h('div', { class: 'earlier-head' },
        h('button', { type: 'button', class: 'quiet back', click: onDone }, icon('back'), t('back'))),
      list.length === 0 ? h('p', { class: 'none' }, t('noEarlier')) : h('ul', { 'aria-label': t('earlier') }, shown.map(row)),
      h('p', { class: 'earlier-foot' },
        shown.length < list.length && h('button', { type: 'button', class: 'all', click: showAll }, t('more')) || null,
        list.length > 0 && h('button', { type: 'button', class: 'quiet alarm', click: () => remove(list, t('deleteAllAsk')) }, t('deleteAll')) || null));
  }

  function row(entry) {
    const { id, at } = entry;
    const title = entry.title || t('untitled');
    const mine = id === chat.conversation.id;
    const open = () => {
      if (!mine) chat.open(conversations.load(id));
      onDone();
    };
    return h('li', null,
      h('button', { type: 'button', class: 'open quiet', 'aria-current': mine ? 'true' : null, click: open },
        h('span', { class: 'title', dir: 'auto' }, title), h('time', null, when(new Date(at), t.lang))),
      iconButton('bin', t('deleteOne', { title }), () => remove([entry], t('deleteAsk'))));
  }

  function showAll() {
    all = true;
    draw();
    element.querySelectorAll('.open')[SHOWN]?.focus();
  }

  function remove(entries, question) {
    const note = h('p', { class: 'note over', role: 'alert' });
    const confirm = h('button', { type: 'button', class: 'alarm', click: go }, t('delete'));
    const keep = h('button', { type: 'button', autofocus: true, click: () => dialog.close() }, t('keep'));
    const dialog = h('dialog', {
      class: 'confirm',
      'aria-labelledby': 'confirm-title',
      'aria-describedby': 'confirm-text',
      close() {
        dialog.remove();
        draw();
        (element.querySelector('.open') ?? element.querySelector('button')).focus();
      },
    },
    h('h2', { id: 'confirm-title' }, question), h('p', { id: 'confirm-text' }, t('deleteText')), note,
    h('p', { class: 'confirm-actions' }, keep, confirm));
    element.append(dialog);
    dialog.showModal();

    // One after the other; those that could not be deleted stay in the list.
    async function go() {
      confirm.disabled = true;
      let failed = false;
      for (const entry of entries) await chat.forget(entry).catch(() => (failed = true));
      confirm.disabled = false;
      if (failed) setText(note, t('deleteFailed'));
      else dialog.close();
    }
  }
}
