// The start page of a deployment: says which book is asked, and leads to it.

const byId = (id) => document.getElementById(id);

try {
  const response = await fetch('health?check=ready');
  const { book } = await response.json();
  if (book?.title) {
    byId('title').textContent = book.title;
    document.title = `${book.title}: ask the book`;
  }
  if (/^https?:/.test(book?.url ?? '')) {
    byId('book').href = book.url;
    byId('book').hidden = false;
  }
} catch { /* The book is asked without its name. */ }
