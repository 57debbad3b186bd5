//! The index in the database: one statement a step, each safe to run twice.
//!
//! Knows tables and leases; never fetches a page, and never decides whether a version is good.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::pages::{Chunk, Facts, Page};
use super::{embed, language};
use crate::database::{Database, Error, Parameter, Statement};

/// How long a version stays with the indexing that last showed itself.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// How long a page that was read counts as just read, when an indexing goes on.
const FRESH: Duration = Duration::from_hours(1);

const fn sql(name: &'static str, sql: &'static str) -> Statement {
    Statement {
        name,
        sql: Cow::Borrowed(sql),
    }
}

const HOLD: Statement = sql(
    "hold book",
    "insert into book_versions as version (url, state, options, held_by, held_until)
     values ($1, 'building', $2, $3, now() + make_interval(secs => $4))
     on conflict (url) where state = 'building' do update
         set held_by = excluded.held_by, held_until = excluded.held_until
         where version.held_by = excluded.held_by or version.held_until < now()
     returning id, options",
);

// Never makes one: the version may have been put in place a moment ago.
const RENEW: Statement = sql(
    "renew book's lease",
    "update book_versions set held_until = now() + make_interval(secs => $3)
     where id = $1 and held_by = $2 and state = 'building' returning id",
);

const HELD: Statement = sql(
    "read book's lease",
    "select held_until from book_versions where url = $1 and state = 'building'",
);

const RESET: Statement = sql(
    "reset book",
    "with pages as (delete from book_pages where version = $1),
          chunks as (delete from book_chunks where version = $1)
     update book_versions set options = $2 where id = $1",
);

const RELEASE: Statement = sql(
    "release book",
    "update book_versions set held_until = '-infinity' where id = $1 and held_by = $2",
);

const DROP: Statement = sql(
    "drop book",
    "delete from book_versions where id = $1 and state = 'building' and held_by = $2",
);

const ACTIVE: Statement = sql(
    "read active book",
    "select id, options, checked_at,
         (select count(*) from book_chunks where version = book_versions.id) as chunks,
         (select count(distinct location) from book_chunks where version = book_versions.id) as pages
     from book_versions where url = $1 and state = 'active' order by id desc limit 1",
);

const PAGES: Statement = sql(
    "read book's pages",
    "select facts::text as facts, skipped is not null as skipped,
         read_at > now() - make_interval(secs => $2) as fresh
     from book_pages where version = $1",
);

const PUT: Statement = sql("store book's page", include_str!("put_page.sql"));

const COPY: Statement = sql("copy book's pages", include_str!("copy_pages.sql"));

const SKIP: Statement = sql(
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

const EXPIRE: Statement = sql(
    "expire book's pages",
    "update book_pages set read_at = '-infinity' where version = $1",
);

const COUNT: Statement = sql(
    "count book's chunks",
    "select count(*) as chunks, coalesce(sum(tokens), 0)::bigint as tokens
     from book_chunks where version = $1",
);

const ACTIVATE: Statement = sql(
    "put book in place",
    "update book_versions
     set state = case when id = $2 then 'active' else 'retired' end,
         checked_at = now(), held_by = null, held_until = '-infinity'
     where url = $1 and (id = $2 or state = 'active')
         and exists (select from book_versions where id = $2 and held_by = $3)
     returning id",
);

const CHECKED: Statement = sql(
    "note book as checked",
    "update book_versions set checked_at = now() where id = $1",
);

const SWEEP: Statement = sql(
    "sweep books",
    "with dead as (
         select id from book_chunks
         where version in (select id from book_versions where state = 'retired') limit 5000
     ),
     chunks as (delete from book_chunks where id in (select id from dead) returning id),
     versions as (
         delete from book_versions
         where state = 'retired' and not exists (select from dead) returning id
     )
     select (select count(*) from chunks) + (select count(*) from versions) as deleted",
);

const FORGET: Statement = sql(
    "forget book",
    "update book_versions set state = 'retired' where url = $1 returning id",
);

/// The version that is being built, held by this indexing.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) id: i64,
    holder: Uuid,
    url: String,
}

/// The version that is searched.
#[derive(Debug, Clone)]
pub struct Active {
    pub(super) id: i64,
    pub(super) options: String,
    /// When its pages were last compared with the book.
    pub checked_at: DateTime<Utc>,
    /// Pages with text.
    pub pages: u64,
    /// Pieces that are searched.
    pub chunks: u64,
}

/// A page of a version.
#[derive(Debug)]
pub(super) struct StoredPage {
    pub(super) facts: Facts,
    pub(super) skipped: bool,
    pub(super) fresh: bool,
}

/// Takes the version that is being built, or makes one; where another indexing holds it, until when
/// at least.
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
    /// Shows that this indexing is at work; `false` where another one has taken over.
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

    /// Throws it away.
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

    /// How many chunks it has, and their tokens.
    pub(super) async fn count(&self, database: &Database) -> Result<(u64, u64), Error> {
        let rows = database.query(&COUNT, &[(&self.id, Type::INT8)]).await?;
        let row = rows.first().ok_or(Error::Unexpected(COUNT.name))?;
        Ok((unsigned(row.get("chunks")), unsigned(row.get("tokens"))))
    }

    /// Puts it in the place of the active one; `false` where this indexing does not hold it any more.
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

/// The version of this book that is searched.
///
/// # Errors
///
/// When the database fails.
pub async fn active(database: &Database, url: &str) -> Result<Option<Active>, Error> {
    let rows = database.query(&ACTIVE, &[(&url, Type::TEXT)]).await?;
    Ok(rows.first().map(|row| Active {
        id: row.get("id"),
        options: row.get("options"),
        checked_at: row.get("checked_at"),
        pages: unsigned(row.get("pages")),
        chunks: unsigned(row.get("chunks")),
    }))
}

/// The pages of a version.
pub(super) async fn pages(database: &Database, version: i64) -> Result<Vec<StoredPage>, Error> {
    let parameters: [Parameter<'_>; 2] =
        [(&version, Type::INT8), (&FRESH.as_secs_f64(), Type::FLOAT8)];
    let rows = database.query(&PAGES, &parameters).await?;
    let pages = rows.iter().filter_map(|row| {
        Some(StoredPage {
            // Facts of another form are those of an earlier version: the page is read anew.
            facts: serde_json::from_str(row.get("facts")).ok()?,
            skipped: row.get("skipped"),
            fresh: row.get("fresh"),
        })
    });
    Ok(pages.collect())
}

/// Notes that the active version is as the book is.
pub(super) async fn checked(database: &Database, version: i64) -> Result<(), Error> {
    database.query(&CHECKED, &[(&version, Type::INT8)]).await?;
    Ok(())
}

/// Deletes what nobody searches any more, some at a time.
pub(super) async fn sweep(database: &Database) -> Result<(), Error> {
    loop {
        let rows = database.query(&SWEEP, &[]).await?;
        if rows
            .first()
            .is_none_or(|row| row.get::<_, i64>("deleted") == 0)
        {
            return Ok(());
        }
    }
}

/// Removes the index of this book, its vectors included; says whether there was one.
///
/// # Errors
///
/// When the database fails.
pub async fn forget(database: &Database, url: &str) -> Result<bool, Error> {
    let rows = database.query(&FORGET, &[(&url, Type::TEXT)]).await?;
    sweep(database).await?;
    embed::sweep(database).await?;
    Ok(!rows.is_empty())
}

/// What of a chunk is embedded: its text below its headings.
pub(super) fn embedded_text(title: &str, trail: &[String], content: &str) -> String {
    let mut headings = vec![title];
    headings.extend(trail.iter().map(String::as_str));
    format!("{}\n\n{content}", headings.join(" > "))
}

/// The name under which the vector of a text is kept.
pub(super) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The same for a chunk, in hexadecimal.
pub(super) fn vector_key(chunk: &Chunk) -> String {
    let text = embedded_text(&chunk.title, &chunk.trail, &chunk.text);
    hash(&text).map(|byte| format!("{byte:02x}")).concat()
}

/// A chunk as `put_page.sql` takes it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    chunk: &'a Chunk,
    hash: String,
    config: &'static str,
}

impl<'a> Row<'a> {
    fn of(chunk: &'a Chunk) -> Self {
        Self {
            chunk,
            hash: vector_key(chunk),
            config: language::config(&chunk.lang, &chunk.text),
        }
    }
}

fn json(value: &impl Serialize) -> String {
    // Our own types, whose maps have strings for keys; PostgreSQL's texts cannot hold NUL.
    let json = serde_json::to_string(value).unwrap_or_default();
    json.replace("\\u0000", "\u{fffd}")
}

fn unsigned(number: i64) -> u64 {
    number.unsigned_abs()
}
