-- Takes pages that have not changed over into a version that is being built.
-- $1 that version   $2 the one that has them   $3 their facts
with pages as (
    select facts ->> 'location' as location, facts
    from jsonb_array_elements($3::jsonb) as page (facts)
),
stored as (
    insert into book_pages (version, location, facts)
    select $1, location, facts from pages
    on conflict (version, location) do update set facts = excluded.facts, read_at = now()
)
insert into book_chunks (
    version, location, position, page, url, title, trail, content, lang, tokens, hash, config, words
)
select
    $1, location, position, page, url, title, trail, content, lang, tokens, hash, config, words
from book_chunks
where version = $2 and location in (select location from pages)
on conflict (version, location, position) do nothing
