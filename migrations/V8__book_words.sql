-- The index of the book's words is kept up to date at once. Otherwise PostgreSQL collects what is new in
-- a list, and while that is long (after each indexing, until autovacuum has come by) a search reads
-- the whole table instead.
alter index book_chunks_words set (fastupdate = off);

select gin_clean_pending_list('book_chunks_words');
