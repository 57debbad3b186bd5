//! The book that `cargo dev` answers from: the one that is asked for, or a short sample.
//!
//! Owns where it lies and that it is indexed; reading it is the program `book`'s.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use launch::{options::Options, say, variables::Variables};
use local::gateway;
use tokio::process::Command;

pub(crate) struct Book {
    /// What is served on this machine.
    pub(crate) folder: PathBuf,
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
    pub(crate) fn choose(options: &Options, root: &Path, variables: &mut Variables) -> Self {
        let sample = root.join("local/book");
        let place = options.book.clone().or_else(|| variables.get("BOOK_URL"));
        let named = match &options.book {
            Some(_) => "--book".to_owned(),
            None => variables.place("BOOK_URL"),
        };
        let here = format!("http://localhost:{}{}/", options.port, gateway::BOOK);
        let book = match place {
            None => Self {
                folder: sample,
                is_sample: true,
                url: here,
                place: "the sample book".to_owned(),
                is_folder: true,
            },
            Some(url) if url.contains("://") => Self {
                folder: sample,
                is_sample: false,
                url,
                place: named,
                is_folder: false,
            },
            Some(folder) => Self {
                folder: folder.into(),
                is_sample: false,
                url: here,
                place: named,
                is_folder: true,
            },
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
        }
        if by_words {
            // Nobody has asked for vectors, so nobody needs to be told that there are none.
            command.arg("--no-embed");
        }
        let place = self.place.clone();
        let remedy = if self.is_folder {
            ". It must be what a generator built for the path /book/ (Docusaurus: baseUrl: '/book/'): or serve \
             it as it is, and name its address"
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
