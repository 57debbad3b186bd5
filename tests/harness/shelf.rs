//! A book in the index, without its pages having been read.

use super::{Database, World};

/// Where the book lies.
pub const BOOK: &str = "https://book.example/docs/";

/// A section: the path of its page below the book, its anchor (or none), and its text.
pub type Section<'a> = (&'a str, &'a str, &'a str);

/// Four sections, each of which has words of its own.
pub const SECTIONS: [Section<'_>; 4] = [
    (
        "balance",
        "tipping",
        "A robot tips over when the zero-moment point leaves the foot.",
    ),
    (
        "balance",
        "ankles",
        "Ankles push back against a small robot push.",
    ),
    (
        "walking",
        "gait",
        "A gait is the pattern in which a robot moves its legs.",
    ),
    (
        "walking",
        "",
        "Every chapter on walking robots begins with standing.",
    ),
];

impl World {
    /// The same with this book in the index, searched by its words.
    pub async fn with_sections(self, sections: &[Section<'_>]) -> Self {
        self.database.put_book(sections).await;
        self.with("BOOK_URL", BOOK).with("EMBEDDING_MODEL", "")
    }
}

impl Database {
    /// Puts a new version of the book in place of the one that is searched.
    pub async fn put_book(&self, sections: &[Section<'_>]) {
        let pieces: Vec<_> = sections
            .iter()
            .enumerate()
            .map(|(position, (page, anchor, text))| {
                let text = text.replace('\'', "''");
                let fragment = if anchor.is_empty() { "" } else { "#" };
                let trail = if anchor.is_empty() {
                    String::new()
                } else {
                    format!("'The {anchor}'")
                };
                format!(
                    "('/docs/{page}', {position}, '/docs/{page}', '/docs/{page}{fragment}{anchor}',
                      'On {page}', array[{trail}]::text[], '{text}', 'en', 20,
                      sha256(convert_to('{text}', 'utf8')), 'english'::regconfig,
                      setweight(to_tsvector('english', 'On {page} {anchor}'), 'A')
                          || to_tsvector('english', '{text}'))"
                )
            })
            .collect();
        let sql = format!(
            "with version as (
                 insert into book_versions (url, state, options) values ('{BOOK}', 'building', '')
                 returning id
             )
             insert into book_chunks (
                 version, location, position, page, url, title, trail, content, lang, tokens, hash,
                 config, words
             )
             select version.id, piece.* from version, (values {}) as piece;
             update book_versions set state = case
                 when id = (select max(id) from book_versions) then 'active' else 'retired'
             end where url = '{BOOK}'",
            pieces.join(", ")
        );
        self.rows(&sql).await;
    }
}
