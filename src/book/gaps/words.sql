-- The words of some texts: as they are reduced, and as the text has them.
-- $1 the texts   $2 the configuration of each
select place, array_agg(lexeme) as lexemes, array_agg(form) as forms
from (
    select place, lexeme, (array_agg(token order by length(token), token))[1] as form
    from unnest($1, $2) with ordinality as given (content, config, place),
        ts_parse('default', lower(content)) as parsed (kind, token),
        -- The parts of a word with hyphens are tokens, too.
        unnest(to_tsvector(config::regconfig, token)) as reduced (lexeme, positions, weights)
    group by place, lexeme
) words
group by place
