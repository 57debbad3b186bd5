-- The same request twice is answered once: what an `Idempotency-Key` began.
--
-- A key holds for 24 hours. `running_until` is a lease: a turn that died without a word gives its
-- key free when it ends. An answer that was cancelled or never came lets the key begin again,
-- with the question that is stored already.

create table idempotency_keys (
    -- SHA-256 of the key, and of the request that it came with.
    key bytea primary key,
    request bytea not null,
    session_id uuid not null references chat_sessions (id) on delete cascade,
    question_id uuid not null,
    answer_id uuid not null,
    running_until timestamptz not null,
    created_at timestamptz not null default now()
);

create index idempotency_keys_created_at on idempotency_keys (created_at);
create index idempotency_keys_session_id on idempotency_keys (session_id);
