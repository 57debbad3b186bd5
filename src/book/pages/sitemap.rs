//! The addresses that a sitemap holds.
//!
//! Not an XML parser: only `<loc>` counts, and a sitemap that is cut off, or followed by nonsense,
//! still gives what comes before that.

/// What a file that should be a sitemap is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sitemap {
    /// The addresses of pages.
    Pages(Vec<String>),
    /// The addresses of further sitemaps.
    Index(Vec<String>),
}

/// Reads a sitemap; `None` if it is something else, such as the page that a server sends for
/// every address.
pub(super) fn parse(text: &str, most: usize) -> Option<Sitemap> {
    let locations = |text| locations(text).take(most).collect();
    if text.contains("<sitemapindex") {
        Some(Sitemap::Index(locations(text)))
    } else if text.contains("<urlset") {
        Some(Sitemap::Pages(locations(text)))
    } else {
        None
    }
}

fn locations(text: &str) -> impl Iterator<Item = String> {
    text.split("<loc>").skip(1).filter_map(|after| {
        let (location, _) = after.split_once("</loc>")?;
        let location = location.trim();
        let literal = location
            .strip_prefix("<![CDATA[")
            .and_then(|location| location.strip_suffix("]]>"));
        Some(match literal {
            Some(literal) => literal.trim().to_owned(),
            None => location
                .replace("&apos;", "'")
                .replace("&quot;", "\"")
                .replace("&amp;", "&"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_however_they_are_written() {
        let text = "<urlset><url><loc> https://b.example/a?x&amp;y </loc></url>\
                    <url><loc><![CDATA[https://b.example/b]]></loc>\
                    <image:loc>https://b.example/c.png</image:loc></url><url><loc>https://b.ex";
        let expected = ["https://b.example/a?x&y", "https://b.example/b"];
        assert_eq!(
            parse(text, 9),
            Some(Sitemap::Pages(expected.map(str::to_owned).into()))
        );
        assert_eq!(
            parse(text, 1),
            Some(Sitemap::Pages(vec![expected[0].to_owned()]))
        );
        assert_eq!(parse("<!doctype html><p>Not found", 9), None);
    }
}
