-- What an `Idempotency-Key` began: the same request twice is answered once. A key holds for 24 hours.

create table idempotency_keys (
    -- SHA-256 of the key, and of the request that it came with: another request is refused.
    key bytea primary key,
    request bytea not null,
    session_id uuid not null references chat_sessions (id) on delete cascade,
    question_id uuid not null,
    -- The answer of the turn that holds the key now.
    answer_id uuid not null,
    -- A lease: a turn that dies without a word releases its key when this has passed. An answer
    -- that was cancelled or never came lets the key begin again, with the question already stored.
    running_until timestamptz not null,
    created_at timestamptz not null default now()
);

-- For the sweep, and for the deletion of a conversation.
create index idempotency_keys_created_at on idempotency_keys (created_at);
create index idempotency_keys_session_id on idempotency_keys (session_id);
