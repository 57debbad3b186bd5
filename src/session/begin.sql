-- Before the model: everything that must be decided before it is paid. Intervals come as seconds.
select
    outcome, extract(epoch from wait)::float8 as wait_seconds,
    session_id, question_id, answer_id, answered_at, reserved, spending_day,
    role, content, selected_text, state,
    session_created_at, question_created_at, begun_at, replaces
from {turn}.begin(
    named_session => $1, new_session => $2, new_question => $3, new_answer => $4,
    message => $5, passage => $6, history_messages => $7,
    key_hash => $8, request_hash => $9, lease => make_interval(secs => $10),
    network_hash => $11, network_burst => $12,
    network_interval => make_interval(secs => $13), network_daily => $14,
    conversation_burst => $15, conversation_interval => make_interval(secs => $16),
    budget => $17, fixed_cost => $18, byte_cost => $19,
    message_bytes => $20, max_history_bytes => $21,
    spending_shard => $22, sweeps => $23,
    reader => $24, owned => $25, retried => $26,
    new_title => $27, new_parts => $28::jsonb, new_options => $29::jsonb
)
