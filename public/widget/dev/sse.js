// Server-sent events from a response's body: yields the data of each frame, as text.
//
// A frame may arrive in pieces that end anywhere, even within a character or a line ending.
// Comments are skipped, and so are the fields that nothing here uses; a frame that the end
// of the body cuts off is dropped. `onBytes` is called for every piece, comments included.
export async function* frames(body, onBytes = () => {}) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      onBytes();
      // A "\r" at the very end may be the first half of "\r\n": it waits for what follows.
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith('data:')) {
          data.push(line.slice(line[5] === ' ' ? 6 : 5));
        } else if (line === '' && data.length > 0) {
          yield data.join('\n');
          data = [];
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // whoever stops listening hangs up
  }
}
