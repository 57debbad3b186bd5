-- The book's index: versions of it, their pages, and the pieces that are searched.
--
-- Vectors are a table of their own (`src/book/vectors.sql`), which `migrate` adds where the database
-- has the extension: everything here works without.

create table book_versions (
    id bigint generated always as identity primary key,
    -- The address below which its pages lie: an index belongs to it, and is found by no other.
    url text not null,
    -- 'building' until all of it is there, 'active' while it is searched, 'retired' until it is gone.
    state text not null check (state in ('building', 'active', 'retired')),
    -- What else decides what is read from a page; pages read otherwise are not taken over.
    options text not null,
    -- When its pages were last compared with the book.
    checked_at timestamptz not null default now(),
    -- A lease, renewed while it is built: another indexing keeps away until it has passed.
    held_by uuid,
    held_until timestamptz not null default '-infinity'
);

create index book_versions_url on book_versions (url, state);
create unique index book_versions_building on book_versions (url) where state = 'building';

create table book_pages (
    version bigint not null references book_versions (id) on delete cascade,
    -- The path that it was asked for.
    location text not null,
    -- What is remembered of it until the next reading, its path among others (`pages::Facts`).
    facts jsonb not null,
    -- Why it gives nothing, where that lies in the other pages.
    skipped text,
    read_at timestamptz not null default now(),
    primary key (version, location)
);

create table book_chunks (
    id bigint generated always as identity primary key,
    version bigint not null references book_versions (id) on delete cascade,
    -- The page's location, and the place within it, counted from 0.
    location text not null,
    position integer not null,
    -- The path of the page, and of the section with its fragment.
    page text not null,
    url text not null,
    title text not null,
    -- The headings above it, outermost first, without the title.
    trail text[] not null,
    content text not null,
    -- The `lang` of the page.
    lang text not null,
    tokens integer not null,
    -- SHA-256 of what is embedded: title, trail and content.
    hash bytea not null,
    -- How its words were reduced, and what came of it.
    config regconfig not null,
    words tsvector not null,
    unique (version, location, position)
);

create index book_chunks_words on book_chunks using gin (words);
create index book_chunks_page on book_chunks (version, page);
-- Which configurations there are, which a search must know first.
create index book_chunks_config on book_chunks (version, config);
