-- Before the model: everything that must be decided before it is paid. See `begin_turn` in
-- `migrations/`. Intervals come as seconds.
select
    outcome, extract(epoch from wait)::float8, session_id, question_id, answer_id, answered_at,
    reserved, spending_day, role, content, selected_text, state,
    session_created_at, question_created_at, begun_at, replaces
from begin_turn(
    $1, $2, $3, $4, $5, $6, $7,
    $8, $9, make_interval(secs => $10),
    $11, $12, make_interval(secs => $13), $14,
    $15, make_interval(secs => $16),
    $17, $18, $19, $20, $21,
    $22,
    $23, $24, $25, $26, $27::jsonb, $28::jsonb
)
