-- Readers stop answers that nobody listens to any more.

-- The turn is to end. The instance that runs it looks at this once its reader has left.
alter table reservations add column stopped boolean not null default false;
