-- What an answer cites of the book, and where its reader was.

-- Of a question: the path of the page that the reader was on.
alter table messages add column page text;

-- Of an answer for which the book was searched: its sources, the places in the text where they are
-- cited, how many sections the model was shown, and whether it says that they hold no answer. The
-- text itself has neither numbers nor links.
alter table messages add column citations jsonb;
