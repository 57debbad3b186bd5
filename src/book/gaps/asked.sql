-- The newest questions for which the book was searched, with the newest whole answer of each.
-- $1 of how many days   $2 how many questions   $3 how many characters of each
with asked as (
    select distinct on (question.seq) question.seq, question.content, question.page, answer.citations
    from messages question
    join messages answer on answer.reply_to = question.id
    where question.created_at > now() - make_interval(days => $1)
        and answer.state = 'complete' and answer.citations is not null
    order by question.seq desc, answer.seq desc
    limit $2
)
select left(content, $3) as question, page, citations::text as citations
from asked order by seq desc
