//! The path that a folder of pages was built for, as its sitemap tells: generators write it into every
//! link, so the pages work nowhere else.

use std::{fs, path::Path};

/// With a slash at either end; nothing where there is no sitemap, or it lists no page of the folder.
pub(crate) fn path(folder: &Path) -> Option<String> {
    let sitemap = fs::read_to_string(folder.join("sitemap.xml")).ok()?;
    let pages: Vec<&str> = sitemap
        .split("<loc>")
        .skip(1)
        .filter_map(|rest| path_of(rest.split_once("</loc>")?.0.trim()))
        .collect();
    let first = pages.first()?;
    // The longest path that all pages lie below, and below which the first one is where it says.
    let slashes = first.rmatch_indices('/').map(|(slash, _)| slash);
    let mut folders = slashes.map(|slash| &first[..=slash]);
    let path = folders.find(|path| {
        pages.iter().all(|page| page.starts_with(path)) && is_there(folder, &first[path.len()..])
    })?;
    Some(path.to_owned())
}

/// Of `https://host/path`.
fn path_of(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    Some(&rest[rest.find('/')?..])
}

fn is_there(folder: &Path, page: &str) -> bool {
    let exact = folder.join(page);
    let with_extension = folder.join(format!("{page}.html"));
    exact.join("index.html").is_file() || exact.is_file() || with_extension.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_for(files: &[&str], pages: &[&str]) -> anyhow::Result<Option<String>> {
        let folder = tempfile::tempdir()?;
        for file in files {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap_or(folder.path()))?;
            fs::write(file, "")?;
        }
        let location = |page: &&str| format!("<url><loc>https://you.example{page}</loc></url>");
        let locations: String = pages.iter().map(location).collect();
        fs::write(folder.path().join("sitemap.xml"), locations)?;
        Ok(path(folder.path()))
    }

    #[test]
    fn the_sitemap_tells_the_path_that_pages_were_built_for() -> anyhow::Result<()> {
        let files = [
            "index.html",
            "docs/intro/index.html",
            "docs/walking/gait.html",
        ];
        for (pages, path) in [
            (&["/", "/docs/intro"][..], Some("/")),
            (&["/docs/intro", "/docs/walking/gait"], Some("/")),
            (&["/my-book/docs/intro", "/my-book/"], Some("/my-book/")),
            (&["/a/b/docs/walking/gait"], Some("/a/b/")),
            (&["/docs/other"], None),
            (&[], None),
        ] {
            let path = path.map(str::to_owned);
            assert_eq!(built_for(&files, pages)?, path, "{pages:?}");
        }
        Ok(())
    }
}
