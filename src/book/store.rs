//! The version of a book that is being built, in the database: one statement per step, each safe to
//! run twice.
//!
//! Knows tables and leases; never fetches a page, and never decides whether a version is good.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::pages::{Facts, Page};
use super::rows::{Row, json};
use super::versions::active;
use crate::database::{Database, Error, Parameter, Statement};

/// How long a version stays with an indexing that does not renew its lease.
pub const LEASE: Duration = Duration::from_secs(30);

const HOLD: Statement = Statement::new(
    "hold book",
    "insert into book_versions as version (url, state, options, held_by, held_until)
     values ($1, 'building', $2, $3, now() + make_interval(secs => $4))
     on conflict (url) where state = 'building' do update
         set held_by = excluded.held_by, held_until = excluded.held_until
         where version.held_by = excluded.held_by or version.held_until < now()
     returning id, options",
);

// Never makes one: the version may have been put in place a moment ago.
const RENEW: Statement = Statement::new(
    "renew book's lease",
    "update book_versions set held_until = now() + make_interval(secs => $3)
     where id = $1 and held_by = $2 and state = 'building' returning id",
);

const HELD: Statement = Statement::new(
    "read book's lease",
    "select held_until from book_versions where url = $1 and state = 'building'",
);

const RESET: Statement = Statement::new(
    "reset book",
    "with pages as (delete from book_pages where version = $1),
          chunks as (delete from book_chunks where version = $1)
     update book_versions set options = $2 where id = $1",
);

const RELEASE: Statement = Statement::new(
    "release book",
    "update book_versions set held_until = '-infinity' where id = $1 and held_by = $2",
);

const DROP: Statement = Statement::new(
    "drop book",
    "delete from book_versions where id = $1 and state = 'building' and held_by = $2",
);

const PUT: Statement = Statement::new("store book's page", include_str!("put_page.sql"));

const COPY: Statement = Statement::new("copy book's pages", include_str!("copy_pages.sql"));

const SKIP: Statement = Statement::new(
    "skip book's pages",
    "with skipped as (
         select * from unnest($2::text[], $3::text[]) as skipped (location, reason)
     ),
     unseen as (
         delete from book_pages where version = $1 and location <> all ($4)
     ),
     chunks as (
         delete from book_chunks where version = $1
             and (location in (select location from skipped) or location <> all ($4))
     )
     update book_pages set skipped = skipped.reason
     from skipped where version = $1 and book_pages.location = skipped.location",
);

const EXPIRE: Statement = Statement::new(
    "expire book's pages",
    "update book_pages set read_at = '-infinity' where version = $1",
);

const COUNT: Statement = Statement::new(
    "count book's chunks",
    "select count(*) as chunks from book_chunks where version = $1",
);

const ACTIVATE: Statement = Statement::new(
    "put book in place",
    "update book_versions
     set state = case when id = $2 then 'active' else 'retired' end,
         checked_at = now(), held_by = null, held_until = '-infinity'
     where url = $1 and (id = $2 or state = 'active')
         and exists (select from book_versions where id = $2 and held_by = $3)
     returning id",
);

/// The version that is being built, held by this indexing.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) id: i64,
    holder: Uuid,
    url: String,
}

/// Takes the version that is being built, or makes one; if another indexing holds it, returns until
/// when at least.
pub(super) async fn hold(
    database: &Database,
    url: &str,
    options: &str,
) -> Result<Result<Version, DateTime<Utc>>, Error> {
    let version = Version {
        id: 0,
        holder: Uuid::new_v4(),
        url: url.into(),
    };
    let Some((id, known)) = version.take(database, options).await? else {
        let rows = database.query(&HELD, &[(&url, Type::TEXT)]).await?;
        let until = rows.first().map(|row| row.get("held_until"));
        return Ok(Err(until.unwrap_or_else(Utc::now)));
    };
    if known != options {
        let parameters: [Parameter<'_>; 2] = [(&id, Type::INT8), (&options, Type::TEXT)];
        database.query(&RESET, &parameters).await?;
    }
    Ok(Ok(Version { id, ..version }))
}

impl Version {
    /// Renews the lease; `false` where another indexing has taken over.
    pub(super) async fn renew(&self, database: &Database) -> Result<bool, Error> {
        let parameters: [Parameter<'_>; 3] = [
            (&self.id, Type::INT8),
            (&self.holder, Type::UUID),
            (&LEASE.as_secs_f64(), Type::FLOAT8),
        ];
        let rows = database.query(&RENEW, &parameters).await?;
        Ok(!rows.is_empty())
    }

    async fn take(
        &self,
        database: &Database,
        options: &str,
    ) -> Result<Option<(i64, String)>, Error> {
        let parameters: [Parameter<'_>; 4] = [
            (&self.url, Type::TEXT),
            (&options, Type::TEXT),
            (&self.holder, Type::UUID),
            (&LEASE.as_secs_f64(), Type::FLOAT8),
        ];
        let rows = database.query(&HOLD, &parameters).await?;
        Ok(rows.first().map(|row| (row.get("id"), row.get("options"))))
    }

    /// Lets another indexing go on with it at once.
    pub(super) async fn release(&self, database: &Database) -> Result<(), Error> {
        let parameters: [Parameter<'_>; 2] = [(&self.id, Type::INT8), (&self.holder, Type::UUID)];
        database.query(&RELEASE, &parameters).await?;
        Ok(())
    }

    /// Deletes it.
    pub(super) async fn drop(&self, database: &Database) -> Result<(), Error> {
        let parameters: [Parameter<'_>; 2] = [(&self.id, Type::INT8), (&self.holder, Type::UUID)];
        database.query(&DROP, &parameters).await?;
        Ok(())
    }

    /// Stores a page with its chunks; says whether this indexing still holds the version.
    pub(super) async fn put(&self, database: &Database, page: &Page) -> Result<bool, Error> {
        let chunks: Vec<_> = page.chunks.iter().map(Row::of).collect();
        let parameters: [Parameter<'_>; 5] = [
            (&self.id, Type::INT8),
            (&self.holder, Type::UUID),
            (&page.facts.location, Type::TEXT),
            (&json(&page.facts), Type::TEXT),
            (&json(&chunks), Type::TEXT),
        ];
        let rows = database.query(&PUT, &parameters).await?;
        Ok(rows.first().is_some_and(|row| row.get("held")))
    }

    /// Takes pages over from another version, chunks included.
    pub(super) async fn copy(
        &self,
        database: &Database,
        from: i64,
        pages: &[Facts],
    ) -> Result<(), Error> {
        let parameters: [Parameter<'_>; 3] = [
            (&self.id, Type::INT8),
            (&from, Type::INT8),
            (&json(&pages), Type::TEXT),
        ];
        database.query(&COPY, &parameters).await?;
        Ok(())
    }

    /// Leaves out the pages that were judged, and those that were not seen.
    pub(super) async fn skip(
        &self,
        database: &Database,
        skipped: &[(String, String)],
        seen: &[String],
    ) -> Result<(), Error> {
        let (locations, reasons): (Vec<_>, Vec<_>) = skipped.iter().cloned().unzip();
        let parameters: [Parameter<'_>; 4] = [
            (&self.id, Type::INT8),
            (&locations, Type::TEXT_ARRAY),
            (&reasons, Type::TEXT_ARRAY),
            (&seen, Type::TEXT_ARRAY),
        ];
        database.query(&SKIP, &parameters).await?;
        Ok(())
    }

    /// Has its pages compared with the book again by the next indexing.
    pub(super) async fn expire(&self, database: &Database) -> Result<(), Error> {
        database.query(&EXPIRE, &[(&self.id, Type::INT8)]).await?;
        Ok(())
    }

    /// How many chunks it has.
    pub(super) async fn count(&self, database: &Database) -> Result<u64, Error> {
        let rows = database.query(&COUNT, &[(&self.id, Type::INT8)]).await?;
        let row = rows.first().ok_or(Error::Unexpected(COUNT.name))?;
        Ok(row.get::<_, i64>("chunks").unsigned_abs())
    }

    /// Puts it in the place of the active one; `false` if this indexing no longer holds it.
    pub(super) async fn activate(&self, database: &Database) -> Result<bool, Error> {
        let parameters: [Parameter<'_>; 3] = [
            (&self.url, Type::TEXT),
            (&self.id, Type::INT8),
            (&self.holder, Type::UUID),
        ];
        let rows = database.query(&ACTIVATE, &parameters).await?;
        Ok(!rows.is_empty()
            || active(database, &self.url)
                .await?
                .is_some_and(|it| it.id == self.id))
    }
}
