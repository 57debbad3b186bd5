-- Finds the chunks of a book that a question is about, best first: by their words, by their vectors
-- where there are some, and by the page that the reader is on. It is installed twice, as
-- `search_words` and `search_vectors`: the latter needs the extension for vectors, and search.rs puts
-- into it what asks for them.
--
-- No row: there is no index of this book. One row of nulls: nothing was found.
--
-- Its plan is made once on each connection, for making it takes half as long as the search. The
-- server need not compile it either, as it would for a large book.
create function {turn}.{name}(
    book_url text, asked text,
    -- How many sections are wanted, and how many of them are kept for the reader's page.
    most_sections bigint, kept_sections bigint,
    -- The reader's page in all the ways to write it.
    reader_pages text[] default null,
    -- The question before this one, or where to find it: in a conversation, before a retried question.
    asked_before text default null,
    of_session uuid default null, retried uuid default null,
    -- The hash of the reader's token; whether the conversation must be theirs.
    reader bytea default null, owned boolean default false,
    -- The question as a model has embedded it.
    asked_vector text default null, vector_model text default null
)
returns table (
    page text, url text, title text, trail text[], content text, lang text, "position" integer
)
language plpgsql stable
set jit = off
-- A search that nobody waits for any more must not wait for a lock either.
set lock_timeout = '1s'
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
    return query
    with recursive
    version as materialized (
        select id from book_versions where url = book_url and state = 'active' order by id desc limit 1
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
    -- The question before this one, and the passage that it was about. The conversation is the reader's,
    -- by the rule of `begin`, which may have stored this very question already.
    question_before as materialized (
        select coalesce(asked_before, (
            select concat_ws(' ', left(selected_text, 1000), messages.content) from messages
            where session_id = of_session and role = 'user' and messages.content <> asked
                and exists (
                    select from chat_sessions
                    where id = of_session and coalesce(owner = reader, owner is null and not owned)
                )
                and (retried is null or seq < (select seq from messages where id = retried))
            order by seq desc limit 1
        )) as text
    ),
    -- Its words count for less, and for little where this question has more than three words that say
    -- something: then it speaks for itself, and perhaps of something else.
    texts (config, text, share) as materialized (
        select config, said.text, said.share
        from configs, question_before, lateral (
            values (asked, 1),
                (question_before.text, case when length(to_tsvector(config, asked)) <= 3 then 0.7 else 0.3 end)
        ) said (text, share)
        where config is not null and said.text is not null
    ),
    lexemes as materialized (
        select config, lexeme, max(share) as share,
            -- Quoted, whatever stands in it is a lexeme and never an operator.
            '''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''' as quoted
        from texts, lateral (
            select lexeme from unnest(to_tsvector(config, text)) order by positions[1] limit 64
        ) first
        group by config, lexeme
        limit 512
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
                select from seen where seen.config = texts.config and lexeme = any(lexemes)
            ) as known
        from texts, lateral (
            select lower(token) as word from ts_parse('default', text)
            where tokid = 1 and length(token) between 4 and 16
        ) token, lateral (
            select mapdict::regdictionary as dictionary from pg_ts_config_map
            where mapcfg = config and maptokentype = 1 order by mapseqno limit 1
        ) map, lateral (select ts_lexize(dictionary, word) as lexemes offset 0) reduced
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
        limit 4000
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
        select id, lower(split_part(lang, '-', 1)) as lang from book_chunks
        where version = (select id from version) and page = any(reader_pages)
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
            score * case
                when lower(split_part(lang, '-', 1)) in (select lang from page) then 1.1 else 1
            end as score
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
                when place <= most_sections - kept_sections then 1
                when here and row_number() over (partition by here, place <= most_sections - kept_sections order by place) <= kept_sections
                    then 2
                else 3
            end as turn
            from sections
        ) turns
        order by place limit most_sections
    )
    -- Each section's best chunk first, then the others that were found nearly as well.
    select chunk.* from version left join (
        chosen join ranked on ranked.url = chosen.url
            and (within = 1 or ranked.place <= 2 * most_sections)
    ) on true left join lateral (
        select page, url, title, trail, content, lang, position
        from book_chunks where id = ranked.id offset 0
    ) chunk on true
    order by within > 1, chosen.place, ranked.place;
end
$$;
