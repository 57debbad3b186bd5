//! What is read from built books: the output of seven generators, one rule a page, and pages that
//! no generator writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::harness::site::Server;
use serde::Deserialize;
use textbook_chat::book::pages::{
    Base, Chunk, Error, Known, Options, Page, Reading, Rules, Skip, Source, Web,
};
use textbook_chat::book::pages::{judge, parse, read, tokens};

const GENERATORS: [&str; 7] = [
    "docusaurus",
    "mdbook",
    "mkdocs-material",
    "sphinx-book-theme",
    "sphinx-furo",
    "sphinx-rtd",
    "vitepress",
];

#[derive(Deserialize)]
struct Expected {
    origin: String,
    base: String,
    pages: Vec<ExpectedPage>,
    skip: Vec<Skipped>,
    must_not: Vec<String>,
    noise: Vec<String>,
    must: Vec<String>,
    code: Vec<Code>,
    tex: Vec<String>,
    table_row: String,
}

#[derive(Deserialize)]
struct ExpectedPage {
    url: String,
    title: String,
    lang: String,
    headings: Vec<ExpectedHeading>,
    words: BTreeMap<String, Option<String>>,
}

#[derive(Deserialize, Debug, PartialEq)]
struct ExpectedHeading {
    level: u8,
    anchor: Option<String>,
    text: String,
}

#[derive(Deserialize)]
struct Skipped {
    file: String,
}

#[derive(Deserialize)]
struct Code {
    language: String,
    text: String,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories/book/fixtures")
}

fn expected(generator: &str) -> Expected {
    let text = std::fs::read_to_string(fixtures().join(generator).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn site(generator: &str) -> PathBuf {
    fixtures().join(generator).join("site")
}

fn decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

async fn read_folder(folder: &Path, base: &str, options: &Options) -> Result<Reading, Error> {
    let base = Base::parse(base).unwrap();
    read(
        &Source::Folder(folder.into()),
        &base,
        options,
        Known::default(),
    )
    .await
}

async fn read_web(base: &str, options: &Options) -> Result<Reading, Error> {
    let base = Base::parse(base).unwrap();
    read(
        &Source::Web(Web::new(&base).unwrap()),
        &base,
        options,
        Known::default(),
    )
    .await
}

fn chunks(reading: &Reading) -> Vec<&Chunk> {
    reading.pages.iter().flat_map(|page| &page.chunks).collect()
}

/// Everything that `expected.json` says about a book.
fn check(generator: &str, reading: &Reading) {
    let expected = expected(generator);
    let chunks = chunks(reading);
    let mut urls: Vec<_> = reading
        .pages
        .iter()
        .map(|page| decoded(&page.facts.url))
        .collect();
    let mut wanted: Vec<_> = expected.pages.iter().map(|page| page.url.clone()).collect();
    urls.sort();
    wanted.sort();
    assert_eq!(urls, wanted, "{generator}: the pages");
    for skipped in &expected.skip {
        let path = format!("{}{}", expected.base, skipped.file);
        let names = [
            path.trim_end_matches("index.html"),
            path.trim_end_matches("/index.html"),
            path.trim_end_matches(".html"),
            &path,
        ];
        assert!(
            names.iter().all(|name| !urls.iter().any(|url| url == name)),
            "{generator}: {path}"
        );
    }
    for page in &expected.pages {
        let read = reading
            .pages
            .iter()
            .find(|read| decoded(&read.facts.url) == page.url)
            .unwrap();
        check_page(generator, page, read, &chunks);
    }
    for chunk in &chunks {
        assert!(!chunk.text.trim().is_empty(), "{generator}: {chunk:?}");
        assert!(
            chunk.tokens <= 350 && chunk.tokens == tokens(&chunk.text),
            "{generator}: {chunk:?}"
        );
        for word in expected.must_not.iter().chain(&expected.noise) {
            let all = format!(
                "{}\n{}\n{}",
                chunk.title,
                chunk.trail.join("\n"),
                chunk.text
            );
            assert!(
                !all.contains(word),
                "{generator}: {word:?} is no text of {all}"
            );
        }
    }
    for code in &expected.code {
        let fenced = format!("```{}\n{}\n```", code.language, code.text);
        let found = chunks
            .iter()
            .filter(|chunk| chunk.text.contains(&fenced))
            .count();
        assert_eq!(found, 1, "{generator}: {fenced}");
    }
    let times = |text: &str| {
        chunks
            .iter()
            .map(|chunk| chunk.text.matches(text).count())
            .sum::<usize>()
    };
    for tex in &expected.tex {
        assert_eq!(times(tex), 1, "{generator}: {tex}");
    }
    for text in &expected.must {
        assert!(times(text) > 0, "{generator}: {text}");
    }
    let row = format!("{} | 40 m | $900", expected.table_row);
    assert!(times(&row) > 0, "{generator}: {row}");
}

fn check_page(generator: &str, expected: &ExpectedPage, page: &Page, chunks: &[&Chunk]) {
    let about = format!("{generator}: {}", expected.url);
    assert_eq!(page.title, expected.title, "{about}");
    let headings: Vec<_> = page
        .headings
        .iter()
        .filter(|heading| heading.anchor.as_deref() != Some("footnote-label"))
        .map(|heading| ExpectedHeading {
            level: heading.level,
            anchor: heading.anchor.clone(),
            text: heading.text.clone(),
        })
        .collect();
    assert_eq!(headings, expected.headings, "{about}");
    for chunk in &page.chunks {
        assert_eq!(chunk.lang, expected.lang, "{about}");
        assert_eq!(chunk.page, page.facts.url, "{about}");
    }
    for (word, anchor) in &expected.words {
        let found: Vec<_> = chunks
            .iter()
            .filter(|chunk| has_word(&chunk.text, word))
            .collect();
        assert_eq!(
            found.len(),
            1,
            "{about}: {word} stands in exactly one chunk"
        );
        assert_eq!(found[0].anchor, *anchor, "{about}: {word}");
        assert_eq!(found[0].page, page.facts.url, "{about}: {word}");
        let address = decoded(&found[0].url);
        let wanted = anchor
            .as_ref()
            .map(|anchor| format!("#{anchor}"))
            .unwrap_or_default();
        assert_eq!(
            address,
            format!("{}{wanted}", expected.url),
            "{about}: {word}"
        );
    }
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric())
        .any(|part| part == word)
}

#[tokio::test]
async fn a_folder_of_every_generator_gives_what_its_markdown_says() {
    for generator in GENERATORS {
        let expected = expected(generator);
        let base = format!("{}{}", expected.origin, expected.base);
        let reading = read_folder(&site(generator), &base, &Options::default())
            .await
            .unwrap();
        check(generator, &reading);
    }
}

#[tokio::test]
async fn a_site_gives_the_same_chunks_as_its_folder() {
    for generator in GENERATORS {
        let server = Server::of(site(generator)).await;
        let reading = read_web(&server.book(), &Options::default()).await.unwrap();
        check(generator, &reading);
        let folder = read_folder(&site(generator), &server.book(), &Options::default())
            .await
            .unwrap();
        assert_eq!(chunks(&folder), chunks(&reading), "{generator}");
    }
}

#[derive(Deserialize)]
struct Edges {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    html: String,
    expect: Expect,
}

#[derive(Deserialize)]
struct Expect {
    skip: Option<String>,
    chunks: Option<Vec<ExpectedChunk>>,
}

#[derive(Deserialize)]
struct ExpectedChunk {
    anchor: Option<String>,
    heading: String,
    text: String,
}

fn parsed(html: &str, options: &Options) -> Page {
    let base = Base::parse("https://b.example/").unwrap();
    parse(html, "/page", &base, &Rules::new(options).unwrap()).unwrap()
}

#[test]
fn every_rule_holds_for_the_page_that_shows_it() {
    let text = std::fs::read_to_string(fixtures().join("edges.json")).unwrap();
    let edges: Edges = serde_json::from_str(&text).unwrap();
    for case in edges.cases {
        let page = parsed(&case.html, &Options::default());
        let skip = judge(&[&page.facts]).skips.remove(0);
        if let Some(expected) = case.expect.skip {
            let expected = match expected.as_str() {
                "noindex" => Skip::NoIndex,
                "redirect" => Skip::Redirect,
                "no main" => Skip::NoContent,
                "listing" => Skip::Listing,
                other => panic!("{other}"),
            };
            assert_eq!(skip, Some(expected), "{}", case.name);
        }
        if let Some(expected) = case.expect.chunks {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|chunk| (chunk.anchor, chunk.heading, chunk.text))
                .collect();
            let found: Vec<_> = page
                .chunks
                .into_iter()
                .map(|chunk| {
                    let heading = chunk.trail.last().cloned().unwrap_or(chunk.title);
                    (chunk.anchor, heading, chunk.text)
                })
                .collect();
            assert_eq!(found, expected, "{}", case.name);
        }
    }
}

#[test]
fn what_is_written_for_machines_or_as_a_label_is_no_text() {
    let body = "<p>text</p><script>kx</script><style>kx</style><template>kx</template>\
        <span class=lang>kx</span><svg><title>kx</title></svg><p aria-hidden=true>A note's title</p>";
    let page = parsed(
        &format!("<main><h1>P</h1>{body}</main>"),
        &Options::default(),
    );
    assert_eq!(page.chunks[0].text, "text\n\nA note's title");
}

#[test]
fn code_names_its_language_wherever_the_generator_puts_it() {
    for (html, language) in [
        (
            "<pre><pre class=playground><code class='language-rust ignore'>x</code></pre></pre>",
            "rust",
        ),
        (
            "<div class='highlight-python notranslate'><div><pre>x</pre></div></div>",
            "python",
        ),
        ("<pre data-language=js>x</pre>", "js"),
        ("<pre class=language-text>x</pre>", ""),
    ] {
        let page = parsed(
            &format!("<main><h1>P</h1>{html}</main>"),
            &Options::default(),
        );
        assert_eq!(
            page.chunks[0].text,
            format!("```{language}\nx\n```"),
            "{html}"
        );
    }
}
