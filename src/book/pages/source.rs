//! Where pages come from: a folder that a generator built, or the web.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::address::{self, Base};
use super::web::Web;
use super::{Limits, Validators};

/// Where the pages of a book are.
#[derive(Debug)]
pub enum Source {
    /// The folder that will lie at the book's address.
    Folder(PathBuf),
    /// The book's address itself.
    Web(Web),
}

/// What a source has at a path.
#[derive(Debug)]
pub(super) enum Answer {
    /// A page, or a sitemap.
    Found(Body),
    /// The known version is still the newest.
    NotModified,
    /// A picture, an archive: not a page, but not a mistake either.
    NotText,
    /// There is nothing.
    Missing,
}

/// A text that was read.
#[derive(Debug)]
pub(super) struct Body {
    /// The path at which it was found in the end.
    pub(super) path: String,
    pub(super) text: String,
    /// There was more than the limit allows.
    pub(super) cut: bool,
    pub(super) validators: Validators,
}

/// Why there is no answer, in a line.
pub(super) type Fault = String;

impl Source {
    /// Whether it has anything above the book.
    pub(super) fn reaches_above(&self) -> bool {
        matches!(self, Self::Web(_))
    }

    /// Asks for what is at a path, unless the known version of it is still the newest.
    pub(super) async fn get(
        &self,
        base: &Base,
        path: &str,
        known: Option<&Validators>,
        limits: &Limits,
    ) -> Result<Answer, Fault> {
        match self {
            Self::Folder(folder) => from_folder(folder, base, path, limits.bytes),
            Self::Web(web) => web.get(base, path, known, limits).await,
        }
    }
}

/// The file that a server would send for the path.
fn from_folder(folder: &Path, base: &Base, path: &str, most: usize) -> Result<Answer, Fault> {
    let inner = path
        .strip_prefix(base.path())
        .ok_or("it lies outside the book")?;
    let inner = address::decode(inner);
    let inner = Path::new(inner.as_ref());
    // A percent-encoded slash can hide a way out of the folder.
    if !inner
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        return Err("it lies outside the book".into());
    }
    let exact = folder.join(inner);
    let mut with_extension = exact.clone().into_os_string();
    with_extension.push(".html");
    let candidates = [
        exact.clone(),
        exact.join("index.html"),
        with_extension.into(),
    ];
    let Some(file) = candidates.into_iter().find(|file| file.is_file()) else {
        return Ok(Answer::Missing);
    };
    let extension = file.extension().and_then(|extension| extension.to_str());
    if !matches!(extension, Some("html" | "htm" | "xhtml" | "xml")) {
        return Ok(Answer::NotText);
    }
    let (text, cut) = read(&file, most).map_err(|error| error.to_string())?;
    // A file that is a folder's page: the folder's address ends with a slash.
    let stands_for_folder = file.ends_with("index.html") && !path.ends_with("index.html");
    let slash = if stands_for_folder && !path.ends_with('/') {
        "/"
    } else {
        ""
    };
    let path = format!("{path}{slash}");
    Ok(Answer::Found(Body {
        path,
        text,
        cut,
        validators: Validators::default(),
    }))
}

fn read(file: &Path, most: usize) -> io::Result<(String, bool)> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    File::open(file)?.take(limit).read_to_end(&mut bytes)?;
    let cut = bytes.len() > most;
    bytes.truncate(most);
    Ok((String::from_utf8_lossy(&bytes).into_owned(), cut))
}
