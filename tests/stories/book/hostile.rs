//! What a broken or malicious site can send: one page of it costs a line, never the book.
#![expect(clippy::format_collect, reason = "nothing here is large")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::site::{Script, Server};
use textbook_chat::book::pages::{
    Base, Error, Facts, Known, Limits, Options, Reading, Rules, Skip, Source, Web,
};
use textbook_chat::book::pages::{parse, read};

fn html(body: &str) -> String {
    format!("<!doctype html><html lang=en><title>T</title><main><h1>P</h1>{body}</main></html>")
}

fn ok(body: impl AsRef<[u8]>) -> (String, Vec<u8>) {
    (
        "200 OK\r\nContent-Type: text/html".into(),
        body.as_ref().to_vec(),
    )
}

fn moved(to: &str) -> (String, Vec<u8>) {
    (format!("302 Found\r\nLocation: {to}"), Vec::new())
}

fn empty() -> PathBuf {
    PathBuf::from("/nonexistent")
}

async fn site(script: impl IntoIterator<Item = (&str, (String, Vec<u8>))>) -> Server {
    let script: Script = script
        .into_iter()
        .map(|(path, answer)| (path.into(), answer))
        .collect();
    Server::with(empty(), script).await
}

async fn read_site(server: &Server, options: &Options, known: &[Facts]) -> Result<Reading, Error> {
    let base = Base::parse(&server.book()).unwrap();
    read(
        &Source::Web(Web::new(&base).unwrap()),
        &base,
        options,
        Known {
            before: known,
            settled: &[],
        },
    )
    .await
}

fn urls(reading: &Reading) -> Vec<&str> {
    reading
        .pages
        .iter()
        .map(|page| page.facts.url.as_str())
        .collect()
}

fn problems(reading: &Reading) -> Vec<String> {
    reading
        .problems
        .iter()
        .map(|problem| format!("{} {}", problem.url, problem.reason))
        .collect()
}

#[tokio::test]
async fn pages_that_fail_are_told_in_a_line_each_and_the_rest_is_read() {
    let links = [
        "big", "gone", "broken", "away", "down", "round", "deep", "many", "slow", "picture",
        "bytes", "fine",
    ];
    let body: String = links
        .iter()
        .map(|link| format!("<a href={link}>{link}</a> "))
        .collect();
    let elsewhere = site([("/book/", ok(html("<p>secret")))]).await;
    let downgraded = elsewhere.book();
    let server = site([
        (
            "/book/",
            ok(html(&format!(
                "<p>First, a text of some length, longer than its links are. {body} {}",
                "More. ".repeat(50)
            ))),
        ),
        ("/book/big", ok(html(&"x".repeat(5_000_001)))),
        (
            "/book/broken",
            ("500 Internal Server Error".into(), Vec::new()),
        ),
        ("/book/away", moved(&downgraded)),
        ("/book/down", moved("/other/")),
        ("/book/round", moved("/book/round")),
        ("/book/deep", ok(html(&"<div>".repeat(200_000)))),
        ("/book/many", ok(html(&"<h2>h</h2>t".repeat(100_000)))),
        (
            "/book/slow",
            (
                "200 OK\r\nContent-Type: text/html\r\nContent-Length: 9".into(),
                b"<p>".to_vec(),
            ),
        ),
        (
            "/book/picture",
            ("200 OK\r\nContent-Type: image/png".into(), vec![0; 9]),
        ),
        (
            "/book/bytes",
            ok([
                html("<h2 id=x>X</h2><p>broken ").as_bytes(),
                &[0xFF, 0xC3],
                b" text",
            ]
            .concat()),
        ),
        ("/book/fine", ok(html("<p>fine"))),
    ])
    .await;
    let mut options = Options::default();
    options.limits.page_time = Duration::from_secs(12);
    let book = server.book();
    // As a task of its own, which shows that a reading may move from thread to thread.
    let reading = tokio::spawn(async move {
        let base = Base::parse(&book).unwrap();
        read(
            &Source::Web(Web::new(&base).unwrap()),
            &base,
            &options,
            Known::default(),
        )
        .await
        .unwrap()
    });
    let reading = reading.await.unwrap();
    assert_eq!(urls(&reading), ["/book/", "/book/bytes", "/book/fine"]);
    assert_eq!(
        problems(&reading),
        [
            "/book/big it is larger than 5000000 bytes",
            "/book/gone there is no such page",
            "/book/broken the server answers 500 Internal Server Error",
            "/book/away it is redirected to an address outside the book",
            "/book/down it is redirected to an address outside the book",
            "/book/round it is redirected more than 5 times",
            "/book/deep its elements are nested more than 1000 deep",
            "/book/many it has more than 5000 sections",
            "/book/slow no whole answer in 12 s",
        ]
    );
    assert!(
        elsewhere.requests.lock().unwrap().is_empty(),
        "another host is never asked"
    );
    let request = server.requests.lock().unwrap()[0].clone();
    let agent = format!(
        "user-agent: textbook-chat-book/{} (+{})",
        env!("CARGO_PKG_VERSION"),
        server.book()
    );
    assert!(request.contains(&agent), "{request}");
}

#[tokio::test]
async fn links_that_are_no_pages_of_the_book_are_never_followed() {
    let body = "<p>Much more text than links, for a page of nothing but links is none of the text. \
        <a href='javascript:alert(1)'>a</a> <a href='mailto:a@b.c'>b</a> <a href='data:text/html,x'>c</a> \
        <a href='/other/'>d</a> <a href='../../etc/passwd'>e</a> <a href='https://else.invalid/book/x'>f</a> \
        <a href='x?y#z'>g</a> <a href='#z'>h</a> <a href='http://[bad'>i</a>";
    let server = site([("/book/", ok(html(body))), ("/book/x", ok(html("<p>x")))]).await;
    let reading = read_site(&server, &Options::default(), &[]).await.unwrap();
    assert_eq!(urls(&reading), ["/book/", "/book/x"]);
    assert!(reading.problems.is_empty(), "{:?}", reading.problems);
    assert_eq!(
        server.requests.lock().unwrap().len(),
        6,
        "two sitemaps, here and above, and two pages"
    );
}

#[tokio::test]
async fn what_is_unchanged_is_not_sent_again_and_counts_for_the_verdict() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories/book/fixtures/vitepress/site");
    let server = Server::of(folder).await;
    let first = read_site(&server, &Options::default(), &[]).await.unwrap();
    let known: Vec<Facts> = first.pages.iter().map(|page| page.facts.clone()).collect();
    let stored = serde_json::to_string(&known).unwrap();
    let known: Vec<Facts> = serde_json::from_str(&stored).unwrap();
    let again = read_site(&server, &Options::default(), &known)
        .await
        .unwrap();
    assert!(again.pages.is_empty());
    assert_eq!(again.unchanged, known);
    assert_eq!(again.skipped, first.skipped);
}

#[tokio::test]
async fn a_sitemap_without_an_end_is_read_as_far_as_the_limits_go() {
    let locations: String = (0..1_000_000)
        .map(|n| format!("<loc>https://b.example/book/{n}</loc>"))
        .collect();
    let first = format!("<urlset><loc>https://b.example/book/fine</loc>{locations}</urlset>");
    let server = site([
        (
            "/book/sitemap.xml",
            (
                "200 OK\r\nContent-Type: application/xml".into(),
                first.into_bytes(),
            ),
        ),
        ("/book/fine", ok(html("<p>fine"))),
    ])
    .await;
    let limits = Limits {
        pages: 20,
        ..Limits::default()
    };
    let options = Options {
        limits,
        ..Options::default()
    };
    let reading = read_site(&server, &options, &[]).await.unwrap();
    assert_eq!(urls(&reading), ["/book/fine"]);
    let problems = problems(&reading);
    assert_eq!(
        problems[0],
        "/book/sitemap.xml it is larger than 5000000 bytes: what follows is not read"
    );
    assert_eq!(
        problems[1],
        "/book/19 the book has more than 20 pages: from here on none is read"
    );
    assert_eq!(problems.len(), 2 + 19);
}

#[tokio::test]
async fn an_index_of_sitemaps_is_followed_and_names_only_paths() {
    let xml = |text: &str| {
        (
            "200 OK\r\nContent-Type: application/xml".into(),
            text.as_bytes().to_vec(),
        )
    };
    let server = site([
        ("/book/sitemap-index.xml", xml("<sitemapindex><loc>https://placeholder.invalid/book/sitemap-0.xml</loc><loc>https://placeholder.invalid/book/gone.xml</loc></sitemapindex>")),
        ("/book/sitemap-0.xml", xml("<urlset><loc>https://placeholder.invalid/book/a/</loc></urlset>")),
        ("/book/a/", ok(html("<p>a"))),
    ])
    .await;
    let reading = read_site(&server, &Options::default(), &[]).await.unwrap();
    assert_eq!(urls(&reading), ["/book/a/"]);
    assert_eq!(problems(&reading), ["/book/gone.xml it is no sitemap"]);
}

#[tokio::test]
async fn a_sitemap_that_fails_is_not_taken_for_none() {
    let failure = ("503 Service Unavailable".into(), Vec::new());
    let server = site([("/book/sitemap.xml", failure), ("/book/", ok(html("<p>x")))]).await;
    let error = read_site(&server, &Options::default(), &[])
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "the sitemap /book/sitemap.xml cannot be read: the server answers 503 Service Unavailable"
    );
}

#[tokio::test]
async fn a_site_built_for_another_folder_is_told_so() {
    let sitemap = "<urlset><loc>https://b.example/robots-book/a</loc></urlset>";
    let server = site([("/book/sitemap.xml", ok(sitemap))]).await;
    let error = read_site(&server, &Options::default(), &[])
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("lies below /book/; the first is https://b.example/robots-book/a"),
        "{error}"
    );
}

#[tokio::test]
async fn a_book_that_is_drawn_in_the_browser_is_never_put_in_place() {
    let spinner =
        "<!doctype html><title>x</title><body><div id=__docusaurus><div class=spin></div></div>";
    let locations: String = (0..9)
        .map(|n| format!("<loc>https://b.example/book/{n}</loc>"))
        .collect();
    let mut script: Script = (0..9)
        .map(|n| (format!("/book/{n}"), ok(spinner)))
        .collect();
    script.insert(
        "/book/sitemap.xml".into(),
        ok(format!("<urlset>{locations}</urlset>")),
    );
    let server = Server::with(empty(), script).await;
    let error = read_site(&server, &Options::default(), &[])
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("9 of 9 pages have no content: the pages are drawn in the browser"),
        "{error}"
    );
    assert!(
        error.contains("typeof window") && error.contains("without src/theme"),
        "{error}"
    );
}

#[tokio::test]
async fn a_sitemap_in_a_folder_above_lists_the_books_pages_too() {
    let page = |words: &str| {
        ok(format!(
            "<title>x</title><main><h1>x</h1><p>{words}</p></main>"
        ))
    };
    let sitemap = |paths: &[&str]| {
        let location = |path: &&str| format!("<loc>https://b.example{path}</loc>");
        let locations: String = paths.iter().map(location).collect();
        ok(format!("<urlset>{locations}</urlset>"))
    };
    // No page links to another.
    let pages = [
        ("/book/one", page("It stands.")),
        ("/book/two", page("It walks.")),
        ("/blog/news", page("It was seen.")),
    ];
    let above = sitemap(&["/", "/blog/news", "/book/one", "/book/two"]);
    let server = site(pages.clone().into_iter().chain([("/sitemap.xml", above)])).await;
    let reading = read_site(&server, &Options::default(), &[]).await.unwrap();
    assert_eq!(urls(&reading), ["/book/one", "/book/two"]);

    // The address is that of a page.
    let above = sitemap(&["/", "/book", "/blog/news"]);
    let pages = [("/book/", page("It is here."))];
    let server = site(pages.into_iter().chain([("/sitemap.xml", above)])).await;
    let reading = read_site(&server, &Options::default(), &[]).await.unwrap();
    assert_eq!(urls(&reading), ["/book/"]);
    let [problem] = &reading.problems[..] else {
        panic!("{:?}", reading.problems);
    };
    assert!(problem.reason.contains("the folder that they lie in"));
}

#[tokio::test]
async fn a_sitemap_above_that_names_the_books_front_page_alone_leaves_the_links_to_be_followed() {
    let first = ok(html(
        "<p>It has a good deal to say, and more of it <a href='two'>on this page</a>.",
    ));
    for named in ["/book/", "/book", "/book/index.html"] {
        let above = format!("<urlset><loc>https://b.example{named}</loc></urlset>");
        let pages = [
            ("/sitemap.xml", ok(above)),
            ("/book/", first.clone()),
            ("/book/two", ok(html("<p>It walks."))),
        ];
        let reading = read_site(&site(pages).await, &Options::default(), &[])
            .await
            .unwrap();
        assert_eq!(urls(&reading), ["/book/", "/book/two"], "{named}");
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
    }
}

#[tokio::test]
async fn a_sitemap_above_that_is_away_for_a_moment_is_not_taken_for_none() {
    let answer = |status: &str| (status.to_owned(), Vec::new());
    let page = ok(html("<p>It walks."));
    let away = [
        ("/sitemap.xml", answer("503 Unavailable")),
        ("/book/", page.clone()),
    ];
    let error = read_site(&site(away).await, &Options::default(), &[]).await;
    let error = error.unwrap_err().to_string();
    assert_eq!(
        error,
        "the sitemap /sitemap.xml cannot be read: the server answers 503 Service Unavailable"
    );
    for lasting in [answer("401 Unauthorized"), moved("/sitemap-0.xml")] {
        let pages = [("/sitemap.xml", lasting), ("/book/", page.clone())];
        let reading = read_site(&site(pages).await, &Options::default(), &[]).await;
        assert_eq!(urls(&reading.unwrap()), ["/book/"]);
    }
}

#[tokio::test]
async fn a_host_that_is_silent_or_has_no_book_is_an_error() {
    let server = site([]).await;
    let error = read_site(&server, &Options::default(), &[])
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the page at the book's address cannot be read: there is no such page"),
        "{error}"
    );
    let base = Base::parse("http://127.0.0.1:1/").unwrap();
    let source = Source::Web(Web::new(&base).unwrap());
    let error = read(&source, &base, &Options::default(), Known::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("the connection fails"), "{error}");
}

#[tokio::test]
async fn the_operator_says_which_pages_and_which_of_their_parts_are_the_book() {
    let page = |text: &str| {
        ok(format!(
            "<title>T</title><div class=own><h1>{text}</h1><p>{text}</p><p class=ad>Buy!</p></div>"
        ))
    };
    let server = site([
        ("/book/", ok("<title>T</title><a href=docs/1>1</a> <a href=docs/old/2>2</a> <a href=blog/3>3</a>")),
        ("/book/docs/1", page("one")),
        ("/book/docs/old/2", page("two")),
        ("/book/blog/3", page("three")),
    ])
    .await;
    let options = Options {
        select: vec![".own".into()],
        drop: vec![".ad".into()],
        include: vec!["/book/docs/".into()],
        exclude: vec!["*/old/".into()],
        ..Options::default()
    };
    let reading = read_site(&server, &options, &[]).await.unwrap();
    assert_eq!(urls(&reading), ["/book/docs/1"]);
    assert_eq!(reading.pages[0].chunks[0].text, "one");
    assert!(
        !server.asked_for("/book/docs/old/2"),
        "what is excluded is not even asked for"
    );
    let wrong = Options {
        drop: vec!["p[".into()],
        ..Options::default()
    };
    let error = read_site(&server, &wrong, &[])
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(error, "\"p[\" is not a CSS selector");
}

#[tokio::test]
async fn a_folder_gives_nothing_that_lies_outside_it() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("book");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(folder.path().join("secret.html"), html("<p>secret")).unwrap();
    std::fs::write(inside.join("leftover.html"), html("<p>no page links here")).unwrap();
    let links = "<p>A text that is longer than its links are: enough of it, and then some more. \
        <a href='..%2fsecret.html'>a</a> <a href='%2e%2e/secret.html'>b</a> <a href='%2fetc%2fpasswd'>c</a>";
    std::fs::write(inside.join("index.html"), html(links)).unwrap();
    let base = Base::parse("https://b.example/book/").unwrap();
    let source = Source::Folder(inside);
    let reading = read(&source, &base, &Options::default(), Known::default())
        .await
        .unwrap();
    assert_eq!(urls(&reading), ["/book/"]);
    assert_eq!(
        problems(&reading),
        [
            "/book/..%2fsecret.html it lies outside the book",
            "/book/%2fetc%2fpasswd it lies outside the book"
        ]
    );
}

#[test]
fn no_page_takes_long_or_much_stack() {
    let base = Base::parse("https://b.example/").unwrap();
    let rules = Rules::new(&Options::default()).unwrap();
    let mut pages: Vec<String> = [
        "<div>",
        "<b>",
        "<b><p>",
        "<ul><li>",
        "<table><tr><td>",
        "<sup>",
        "<blockquote>",
        "<a href=#x>",
        "<div/>",
        "<svg><g>",
        "</div>",
        "<",
    ]
    .iter()
    .map(|part| html(&part.repeat(1_000_000 / part.len())))
    .collect();
    pages.push(html(&format!("{}x", "<section><p>".repeat(900))));
    pages.push(html(&"<h2 id=x>h</h2>".repeat(60_000)));
    pages.push(html(&format!("<h2>{}</h2><p>t", "long ".repeat(200_000))));
    pages.push(html(&format!("<pre>{}</pre>", "x".repeat(1_000_000))));
    pages.push(html(&"<a id=x></a>".repeat(80_000)));
    pages.push(String::new());
    for page in pages {
        let began = Instant::now();
        let start: String = page.chars().take(120).collect();
        if let Ok(page) = parse(&page, "/page", &base, &rules) {
            assert!(page.chunks.iter().all(|chunk| chunk.tokens <= 350));
            assert!(
                page.chunks
                    .iter()
                    .all(|chunk| chunk.trail.concat().len() <= 900)
            );
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{start}");
    }
}

#[test]
fn a_search_page_is_none_of_the_text_but_a_chapter_about_searching_is() {
    let base = Base::parse("https://b.example/book/").unwrap();
    let rules = Rules::new(&Options::default()).unwrap();
    let skip = |path| {
        parse(&html("<p>text"), path, &base, &rules)
            .unwrap()
            .facts
            .skip
    };
    assert_eq!(skip("/book/search.html"), Some(Skip::Utility));
    assert_eq!(skip("/book/search/"), Some(Skip::Utility));
    assert_eq!(skip("/book/docs/search"), None);
}
