-- What readers think of answers.

create table message_feedback (
    session_id uuid not null references chat_sessions (id) on delete cascade,
    -- ChatKit's widget names everything it has seen, also what was never stored: no foreign key.
    item_id text not null,
    kind text not null check (kind in ('positive', 'negative')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (session_id, item_id)
);
