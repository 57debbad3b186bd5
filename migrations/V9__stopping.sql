-- Readers stop answers that nobody listens to any more.

-- The turn is to end: by the instance that runs it, which asks for this once its reader has left.
alter table reservations add column stopped boolean not null default false;
