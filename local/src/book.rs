//! The book that `cargo dev` answers from: the one that is asked for, or a short sample.
//!
//! Owns where it lies and that it is indexed; reading it is the program `book`'s.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use launch::{options::Options, say, variables::Variables};
use local::gateway::{self, Routes};
use tokio::process::Command;

use crate::built;

pub(crate) struct Book {
    /// What is served on this machine.
    pub(crate) folder: PathBuf,
    /// The path that it is served below.
    pub(crate) path: String,
    /// Whether that is the short sample, and the functions answer from it.
    pub(crate) is_sample: bool,
    url: String,
    /// What names it, in words.
    place: String,
    /// Whether it is read from that folder.
    is_folder: bool,
}

impl Book {
    /// Chooses the book and tells the functions of it.
    pub(crate) fn choose(
        options: &Options,
        root: &Path,
        routes: &Routes,
        variables: &mut Variables,
    ) -> Self {
        let sample = root.join("local/book");
        let (place, named) = options.place_of_book(variables);
        let here = |path: &str| format!("http://localhost:{}{path}", options.port);
        let book = match place {
            None => Self {
                folder: sample,
                path: gateway::BOOK.to_owned(),
                is_sample: true,
                url: here(gateway::BOOK),
                place: "the sample book".to_owned(),
                is_folder: true,
            },
            Some(url) if url.contains("://") => Self {
                folder: sample,
                path: gateway::BOOK.to_owned(),
                is_sample: false,
                url,
                place: named,
                is_folder: false,
            },
            Some(folder) => {
                // What is started has another working directory.
                let folder = std::path::absolute(&folder).unwrap_or(folder.into());
                let path = built::path(&folder)
                    .filter(|path| !is_ours(path, root, routes))
                    .unwrap_or_else(|| gateway::BOOK.to_owned());
                Self {
                    folder,
                    url: here(&path),
                    path,
                    is_sample: false,
                    place: named,
                    is_folder: true,
                }
            }
        };
        variables.set("BOOK_URL", &book.url);
        // Embeddings cost money: only where somebody has asked for them.
        if variables.get("EMBEDDING_MODEL").is_none() {
            variables.set("EMBEDDING_MODEL", "");
        }
        book
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Brings its index up to date, and says what came of it. Nobody waits for it.
    pub(crate) fn index(&self, binaries: &Path, root: &Path, variables: Variables) {
        let by_words = variables.get("EMBEDDING_MODEL").is_none();
        let mut command = Command::new(binaries.join("book"));
        command
            .arg("index")
            .envs(variables.into_pairs())
            .current_dir(root)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if self.is_folder {
            command.arg("--folder").arg(&self.folder);
            command.args(["--site-url", &self.url]);
            // At this address there may have been another book before.
            command.arg("--accept-loss");
        }
        if by_words {
            // Nobody has asked for vectors, so nobody needs to be told that there are none.
            command.arg("--no-embed");
        }
        let place = self.place.clone();
        let remedy = if self.is_folder {
            ". It must be what a generator has built, and not its sources"
        } else {
            ""
        };
        tokio::spawn(async move {
            match command.output().await {
                Ok(output) => {
                    for text in [output.stdout, output.stderr] {
                        for line in String::from_utf8_lossy(&text).lines() {
                            say(&format!("    book | {line}"));
                        }
                    }
                    if !output.status.success() {
                        say(&format!(
                            "! {place}: the book could not be read, and answers rest on the index that is there, if any{remedy}"
                        ));
                    }
                }
                Err(error) => say(&format!("! {place}: the book cannot be indexed: {error}")),
            }
        });
    }
}

/// Whether something else is served below a book's path.
fn is_ours(path: &str, root: &Path, routes: &Routes) -> bool {
    let first = path.trim_start_matches('/').split('/').next();
    let first = first.unwrap_or_default();
    !first.is_empty()
        && (routes.function(&format!("/{first}")).is_some()
            || first == "api"
            || root.join("public").join(first).exists())
}
