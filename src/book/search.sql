-- Finds the chunks of a book that a question is about, best first: by their words, by their vectors
-- where there are some, and by the page that the reader is on. What `by_vector` holds is put there by
-- search.rs: nothing, or a query that takes the question's vector ($8) and its model ($9).
--
-- $1 the book's url   $2 the question   $3 the question before it, or null
-- $4 the reader's page in all the ways to write it, or null   $5 its language, or null
-- $6 how many sections are wanted   $7 how many of them are kept for the reader's page
with recursive
version as materialized (
    select id from book_versions where url = $1 and state = 'active' order by id desc limit 1
),
-- How the words of this book are reduced: one probe of an index for each way.
configs (config) as (
    (
        select config from book_chunks
        where version = (select id from version) order by config limit 1
    )
    union all
    select (
        select config from book_chunks
        where version = (select id from version) and config > configs.config
        order by config limit 1
    )
    from configs where config is not null
),
-- The words of the question before count for less: they help where this one only points back at
-- it, and must not win where it speaks of something else.
texts (text, share) as (
    select * from (values ($2, 1::float8), ($3, 0.7)) texts (text, share) where text is not null
),
lexemes as materialized (
    select config, lexeme, max(share) as share,
        -- Quoted, whatever stands in it is a lexeme and never an operator.
        '''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''' as quoted
    from configs, texts, lateral (
        select lexeme from unnest(to_tsvector(config, text)) order by positions[1] limit 64
    ) first
    where config is not null
    group by config, lexeme
    -- Unseen, the limit makes for a low estimate: a high one would have the server compile the plan.
    limit (select 512)
),
known as materialized (
    select config, lexeme, share, quoted, chunk.id
    from lexemes, lateral (
        select id from book_chunks
        -- The sums keep other indexes out, and the offset a join: this is one search a word.
        where words @@ quoted::tsquery
            and version + 0 = (select id from version) and config::oid::int8 = lexemes.config::oid::int8
        offset 0
    ) chunk
),
-- A word that the book does not have may be a slip of the pen: it stands for the nearest one.
seen as materialized (select distinct config, lexeme from known),
tokens as materialized (
    select config, dictionary, word, max(share) as share,
        lexemes = '{}' or exists (
            select from seen where seen.config = configs.config and lexeme = any(lexemes)
        ) as known
    from configs, texts, lateral (
        select lower(token) as word from ts_parse('default', text)
        where tokid = 1 and length(token) between 4 and 16
    ) token, lateral (
        select mapdict::regdictionary as dictionary from pg_ts_config_map
        where mapcfg = config and maptokentype = 1 order by mapseqno limit 1
    ) map, lateral (select ts_lexize(dictionary, word) as lexemes offset 0) reduced
    where config is not null
    group by config, dictionary, word, lexemes
),
unknown as materialized (
    select config, dictionary, word, share from tokens
    where word not in (select word from tokens where known)
    order by share desc, word limit 6
),
cuts as materialized (
    select unknown.*, left(word, at) as head, substr(word, at + 1) as tail
    from unknown, generate_series(0, 16) at where at <= length(word)
),
letters as materialized (
    select chr(96 + number) as letter from generate_series(1, 26) number
),
-- One slip away, the likelier ones first: two letters exchanged, one missing, one too many, a
-- wrong one.
slips as materialized (
    select config, word, share, lexeme, min(slip) as slip
    from (
        select *, head || substr(tail, 2, 1) || left(tail, 1) || substr(tail, 3) as meant, 1 as slip
        from cuts where length(tail) > 1
        union all
        select cuts.*, head || letter || tail, 2 from cuts, letters
        union all
        select *, head || substr(tail, 2), 3 from cuts where tail <> ''
        union all
        select cuts.*, head || letter || substr(tail, 2), 4 from cuts, letters where tail <> ''
    ) meant, unnest(ts_lexize(dictionary, meant)) lexeme
    group by config, word, share, lexeme
    limit (select 4000)
),
meant as materialized (
    select distinct on (config, word) config, lexeme, share, chunks
    from slips, lateral (
        select array_agg(id) as chunks from book_chunks
        where words @@ ('''' || lexeme || '''')::tsquery
            and version + 0 = (select id from version) and config::oid::int8 = slips.config::oid::int8
    ) found
    where chunks is not null
    order by config, word, slip, cardinality(chunks) desc, lexeme
),
found as materialized (
    select config, lexeme, share, quoted, id from known
    union all
    select config, lexeme, share, '''' || lexeme || '''', unnest(chunks) from meant
    where not exists (
        select from known where known.config = meant.config and known.lexeme = meant.lexeme
    )
),
-- A rare word says more. (As in a book of 10,000 chunks: to count them would take longer than this
-- whole search.)
weights as materialized (
    select config, lexeme, quoted::tsquery as word, (quoted || ':A')::tsquery as heading,
        max(share) * ln(1 + 10000.0 / count(*))::float8 as weight
    from found group by config, lexeme, quoted
),
page as materialized (
    select id from book_chunks where version = (select id from version) and page = any($4::text[])
),
-- How often a word stands in a chunk is read only of those that have the most of the words.
sums as materialized (
    select id, sum(weight) as weight from found join weights using (config, lexeme) group by id
),
candidates as materialized (
    select chunk.* from (
        (select id from sums order by weight desc, id limit 200)
        union
        select id from sums where id in (select id from page)
    ) best, lateral (
        -- Joined to nothing, the words are unpacked, once.
        select id, config, words || ''::tsvector as words
        from book_chunks where id = best.id offset 0
    ) chunk
),
-- BM25 with its usual constants and chunks of 80 different words; a word in a heading counts more.
scores as (
    select id, sum(
        weight * (
            2.2 * often / (often + 1.2 * (0.25 + 0.75 * length(words) / 80.0))
            + case when words @@ heading then 0.33 else 0 end
        )
    ) as score
    from candidates join weights using (config),
        lateral (select ts_rank_cd('{1,1,1,1}', words, word) as often offset 0) often
    where often > 0
    group by id
),
by_words as (
    select id, row_number() over (order by score desc, id) as place from scores
),
by_vector as ({vectors}),
-- Reciprocal ranks. The language of the reader's page is worth a place near the top.
fused as materialized (
    select id, url, id in (select id from page) as here,
        score * case when lower(split_part(lang, '-', 1)) = $5 then 1.1 else 1 end as score
    from (
        select id, sum(1.0 / (10 + place)) as score
        from (select * from by_words union all select * from by_vector) places
        group by id
    ) sums, lateral (select url, lang from book_chunks where id = sums.id offset 0) chunk
),
ranked as materialized (
    select *, row_number() over (order by score desc, id) as place,
        row_number() over (partition by url order by score desc, id) as within
    from fused
),
sections as materialized (
    select url, here, place as best,
        row_number() over (order by place) as place
    from ranked where within = 1
),
-- The last places are the page's, if so many of its sections are found that are not there yet.
chosen as (
    select url, row_number() over (order by turn, place) as place
    from (
        select *, case
            when place <= $6 - $7 then 1
            when here and row_number() over (partition by here, place <= $6 - $7 order by place) <= $7
                then 2
            else 3
        end as turn
        from sections
    ) turns
    order by place limit $6
)
-- Each section's best chunk first, then the others that were found nearly as well.
select chunk.* from chosen join ranked using (url), lateral (
    select page, url, title, trail, content, lang, position
    from book_chunks where id = ranked.id offset 0
) chunk
where within = 1 or ranked.place <= 2 * $6
order by within > 1, chosen.place, ranked.place
