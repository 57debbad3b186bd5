//! The versions of a book in the database, apart from the one that is being built: the one that is
//! searched, what is known about its pages, and those that nobody needs any more.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;

use super::embed;
use super::pages::Facts;
use crate::database::{Database, Error, Parameter, Statement};

/// For how long a page counts as just read, when an indexing goes on.
const FRESH: Duration = Duration::from_hours(1);

const ACTIVE: Statement = Statement::new(
    "read active book",
    "select id, options, checked_at,
         (select count(*) from book_chunks where version = book_versions.id) as chunks,
         (select count(distinct location) from book_chunks where version = book_versions.id) as pages
     from book_versions where url = $1 and state = 'active' order by id desc limit 1",
);

const PAGES: Statement = Statement::new(
    "read book's pages",
    "select facts::text as facts, skipped is not null as skipped,
         read_at > now() - make_interval(secs => $2) as fresh
     from book_pages where version = $1",
);

const CHECKED: Statement = Statement::new(
    "note book as checked",
    "update book_versions set checked_at = now() where id = $1",
);

const SWEEP: Statement = Statement::new(
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

const FORGET: Statement = Statement::new(
    "forget book",
    "update book_versions set state = 'retired' where url = $1 returning id",
);

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
        pages: row.get::<_, i64>("pages").unsigned_abs(),
        chunks: row.get::<_, i64>("chunks").unsigned_abs(),
    }))
}

/// The pages of a version.
pub(super) async fn pages(database: &Database, version: i64) -> Result<Vec<StoredPage>, Error> {
    let parameters: [Parameter<'_>; 2] =
        [(&version, Type::INT8), (&FRESH.as_secs_f64(), Type::FLOAT8)];
    let rows = database.query(&PAGES, &parameters).await?;
    let pages = rows.iter().filter_map(|row| {
        Some(StoredPage {
            // Facts in another form were stored by an earlier release: the page is read anew.
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

/// Deletes what nobody searches any more, a few thousand rows at a time.
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
