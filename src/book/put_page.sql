-- Stores a page of a version that is being built, in the place of what is there of it.
-- $1 the version   $2 the indexing that holds it   $3 the location   $4 its facts   $5 its chunks
with held as (
    select id from book_versions where id = $1 and held_by = $2 and state = 'building'
),
page as (
    insert into book_pages (version, location, facts)
    select id, $3, $4::jsonb from held
    on conflict (version, location) do update
        set facts = excluded.facts, skipped = null, read_at = now()
),
chunks as (
    select * from jsonb_to_recordset($5::jsonb) as chunk (
        position integer, page text, url text, title text, trail text[], text text, lang text,
        tokens integer, hash text, config text
    )
),
beyond as (
    delete from book_chunks
    where version = (select id from held) and location = $3
        and position >= (select count(*) from chunks)
),
stored as (
    insert into book_chunks (
        version, location, position, page, url, title, trail, content, lang, tokens, hash, config,
        words
    )
    select
        held.id, $3, position, page, url, title, trail, text, lang, tokens, decode(hash, 'hex'),
        config::regconfig,
        -- The search knows by the weight that a word stands in a heading.
        setweight(
            to_tsvector(config::regconfig, concat_ws(' ', title, array_to_string(trail, ' '))), 'A'
        ) || to_tsvector(config::regconfig, text)
    from held, chunks
    on conflict (version, location, position) do update set
        page = excluded.page, url = excluded.url, title = excluded.title, trail = excluded.trail,
        content = excluded.content, lang = excluded.lang, tokens = excluded.tokens,
        hash = excluded.hash, config = excluded.config, words = excluded.words
)
select exists (select from held) as held
