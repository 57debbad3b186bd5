//! A book of any size that nobody has written: its text, its index, and questions about it.
//!
//! Owns the words and how often they stand in a text: like those of a real one, a few of them
//! everywhere and most of them hardly anywhere, those of a page's subject again and again on that
//! page. The same text every time. Measures nothing.

use std::collections::HashSet;

use anyhow::{Context, Result};
use textbook_chat::{book::pages::Base, llm::DIMENSIONS};
use tokio_postgres::{Client, NoTls, types::ToSql};

use crate::random::Random;

/// The address of the book.
pub const URL: &str = "https://book.example/docs/";

/// The model of its vectors.
pub const EMBEDDING_MODEL: &str = "text-embedding-3-small";

/// Different words of the book, besides those that the stemmer takes for noise.
const WORDS: u32 = 30_000;

const NOISE: [&str; 24] = [
    "the", "of", "and", "to", "a", "in", "is", "that", "it", "for", "as", "with", "are", "this",
    "be", "by", "or", "an", "which", "can", "from", "not", "if", "at",
];

/// Words of which every page has its own.
const SUBJECTS: usize = 12;

const BATCH: usize = 1_000;

const STORE: &str = "
    insert into book_chunks (
        version, location, position, page, url, title, trail, content, lang, tokens, hash, config,
        words
    )
    select
        $1, page, position, page, url, title, array[heading], content, 'en', length(content) / 4,
        sha256(convert_to(url || position, 'UTF8')), 'english',
        setweight(to_tsvector('english', title || ' ' || heading), 'A')
            || to_tsvector('english', content)
    from unnest($2::text[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[])
        as chunk (page, position, url, title, heading, content)";

/// Points of a unit sphere, at random; a set for each row, because it names the row.
const EMBED: &str = "
    insert into book_vectors (hash, model, vector)
    select hash, $1, l2_normalize((
        select array_agg(random() - 0.5) from generate_series(1, $2 + 0 * length(hash))
    )::halfvec)
    from (select hash from book_chunks order by id) chunk";

/// What a question is made of.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Three words that stand in many chunks, and one that stands in few.
    Usual,
    /// The same, and the rare one misspelt.
    Slip,
}

/// The words of the book and its index.
pub struct Book {
    client: Client,
    /// The most frequent first.
    words: Vec<String>,
    /// How much all words up to this one weigh together.
    weights: Vec<f64>,
}

/// Pieces of the book, in columns.
#[derive(Default)]
struct Pieces {
    page: Vec<String>,
    position: Vec<i32>,
    url: Vec<String>,
    title: Vec<String>,
    heading: Vec<String>,
    content: Vec<String>,
}

impl Book {
    /// Opens the database that holds the index; nothing is stored yet.
    pub async fn open(database: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(database, NoTls).await?;
        tokio::spawn(connection);
        let mut random = Random::new(1);
        let mut words: Vec<String> = Vec::new();
        let mut known = HashSet::new();
        for rank in 0..WORDS {
            // Frequent words are short.
            let syllables = if rank < 2_000 { 2 } else { 3 };
            loop {
                let word: String = (0..syllables).map(|_| syllable(&mut random)).collect();
                if known.insert(word.clone()) {
                    words.push(word);
                    break;
                }
            }
        }
        let mut sum = 0.0;
        let weights = (0..WORDS).map(|rank| {
            // Zipf's law, in Mandelbrot's form.
            sum += 1.0 / (f64::from(rank) + 2.7);
            sum
        });
        Ok(Self {
            weights: weights.collect(),
            client,
            words,
        })
    }

    pub fn base() -> Result<Base> {
        Base::parse(URL).ok().context("the address of the book")
    }

    /// Puts an index of so many chunks in the place of what is there.
    pub async fn write(&self, chunks: usize, with_vectors: bool) -> Result<()> {
        let empty = "truncate book_versions, book_pages, book_chunks, book_vectors";
        self.client.batch_execute(empty).await?;
        let sql = "insert into book_versions (url, state, options) values ($1, 'active', '')
                   returning id";
        let version: i64 = self.client.query_one(sql, &[&URL]).await?.get(0);
        let mut random = Random::new(2);
        let (mut page, mut left) = (0, chunks);
        while left > 0 {
            let mut pieces = Pieces::default();
            while pieces.content.len() < left.min(BATCH) {
                page += 1;
                self.page(page, left, &mut random, &mut pieces);
            }
            let columns: [&(dyn ToSql + Sync); 7] = [
                &version,
                &pieces.page,
                &pieces.position,
                &pieces.url,
                &pieces.title,
                &pieces.heading,
                &pieces.content,
            ];
            let stored = self.client.execute(STORE, &columns).await?;
            left -= usize::try_from(stored)?;
        }
        if with_vectors {
            let seed = "select setseed(0.5)";
            self.client.batch_execute(seed).await?;
            let numbers = i32::try_from(DIMENSIONS)?;
            self.client
                .execute(EMBED, &[&EMBEDDING_MODEL, &numbers])
                .await?;
        }
        let vacuum = "vacuum (analyze) book_versions, book_chunks, book_vectors";
        self.client.batch_execute(vacuum).await?;
        Ok(())
    }

    /// Adds a page of three to ten sections, but no more than `most` pieces in all. A section has one
    /// piece of 60 to 350 tokens, every fourth one two.
    fn page(&self, number: u32, most: usize, random: &mut Random, pieces: &mut Pieces) {
        let subjects: Vec<&str> = (0..SUBJECTS).map(|_| self.word(random)).collect();
        let title = subjects[..3].join(" ");
        let page = format!("/docs/page-{number}.html");
        let mut position = 0;
        for section in 0..random.between(3, 10) {
            let heading = format!("{} {}", random.of(&subjects), self.word(random));
            for _ in 0..if section % 4 == 3 { 2 } else { 1 } {
                if pieces.content.len() == most {
                    return;
                }
                pieces.page.push(page.clone());
                pieces.position.push(position);
                pieces.url.push(format!("{page}#section-{section}"));
                pieces.title.push(title.clone());
                pieces.heading.push(heading.clone());
                let chars = 4 * random.between(60, 350);
                pieces.content.push(self.text(chars, &subjects, random));
                position += 1;
            }
        }
    }

    fn text(&self, chars: usize, subjects: &[&str], random: &mut Random) -> String {
        let mut text = String::new();
        while text.len() < chars {
            let word = match random.below(100) {
                0..45 => random.of(&NOISE),
                45..55 => random.of(subjects),
                _ => self.word(random),
            };
            text.push_str(word);
            text.push_str(if random.below(12) == 0 { ". " } else { " " });
        }
        text
    }

    /// A word, as often as it stands in a text.
    fn word(&self, random: &mut Random) -> &str {
        let all = self.weights.last().copied().unwrap_or_default();
        let place = random.unit() * all;
        let rank = self.weights.partition_point(|weight| *weight < place);
        &self.words[rank.min(self.words.len() - 1)]
    }

    /// Questions as readers write them, noise and all.
    pub fn questions(&self, kind: Kind, count: usize) -> Vec<String> {
        let mut random = Random::new(3);
        let mut question = || {
            let [one, two, three] = [(); 3].map(|()| random.of(&self.words[20..400]).clone());
            let rare = random.of(&self.words[1_000..5_000]).clone();
            let rare = match kind {
                Kind::Usual => rare,
                Kind::Slip => misspelt(&rare),
            };
            format!("What is the {one} {two} of a {rare}, and how can it be {three}?")
        };
        (0..count).map(|_| question()).collect()
    }
}

fn syllable(random: &mut Random) -> String {
    let of = |letters: &[&'static str], random: &mut Random| *random.of(letters);
    let consonants = [
        "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z",
    ];
    let begin = of(&consonants, random);
    let vowel = of(&["a", "e", "i", "o", "u"], random);
    let end = of(&["", "", "n", "r", "l", "t", "m"], random);
    [begin, vowel, end].concat()
}

/// The third and the fourth letter exchanged, or one missing where they are the same.
fn misspelt(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    if letters[2] == letters[3] {
        letters.remove(2);
    } else {
        letters.swap(2, 3);
    }
    letters.into_iter().collect()
}
