//! What `cargo dev` prints once it serves: every page, where the data are, and what is wrong.

use std::{fmt::Write, path::Path};

use launch::{variables::Variables, vendor};
use local::{gateway::Routes, postgres::Server};

use crate::{book::Book, stack::DATABASE};

pub(crate) struct Facts<'a> {
    pub(crate) port: u16,
    pub(crate) root: &'a Path,
    pub(crate) routes: &'a Routes,
    pub(crate) variables: &'a Variables,
    /// What `migrate` has said.
    pub(crate) tables: &'a str,
    pub(crate) book: &'a Book,
    pub(crate) server: Option<&'a Server>,
    pub(crate) is_offline: bool,
    /// A line each.
    pub(crate) problems: &'a [String],
}

pub(crate) fn text(facts: &Facts<'_>) -> String {
    let Facts {
        port,
        root,
        routes,
        variables,
        tables,
        book,
        server,
        is_offline,
        problems,
    } = facts;
    let site = format!("http://localhost:{port}");
    let question = if book.is_sample {
        "What is a humanoid robot?"
    } else {
        "What is this book about?"
    };
    let url = book.url();
    let (book, chat) = if book.is_sample {
        (
            format!("{url}  a sample, with the chat on its pages"),
            format!("{site}/index.html  the chat by itself"),
        )
    } else if book.path == "/" {
        (url.to_owned(), format!("{site}/index.html"))
    } else {
        (url.to_owned(), format!("{site}/"))
    };
    let url = variables.get("DATABASE_URL").unwrap_or_default();
    let (database, data) = match server {
        Some(server) => (server.psql(DATABASE), server.folder().display().to_string()),
        None => (
            format!(
                "{}, by {}",
                without_secrets(&url),
                variables.place("DATABASE_URL")
            ),
            "in that database".to_owned(),
        ),
    };
    let model = match variables.get("OPENAI_BASE_URL") {
        _ if *is_offline => {
            "offline, for there is no OPENAI_API_KEY: it quotes the book and knows nothing"
                .to_owned()
        }
        Some(url) => url,
        None => "OpenAI".to_owned(),
    };
    // Each function has a longer path, too, that of its file.
    let paths = routes.paths().filter(|path| !path.starts_with("/api/"));
    let paths = paths.collect::<Vec<_>>().join(" ");
    let mut text = format!(
        "
  book      {book}
  chat      {chat}
  widget    {site}/widget.html  the tag for a book of your own
  ChatKit   {site}/chatkit.html  the chat in OpenAI's window
  API       {site}/api.html  for {paths}
  database  {database}
  data      {data}
  tables    {tables}
  model     {model}

Try it:
  curl -s localhost:{port}/chat -H 'content-type: application/json' -d '{{\"message\":\"{question}\"}}'

Ctrl-C stops everything; the data are kept.
"
    );
    for problem in *problems {
        let _ = write!(text, "\n! {problem}");
    }
    if let Some(lack) = vendor::lacking(root) {
        let _ = write!(text, "\n! {lack}");
    }
    text
}

/// The host and the database of a URL, without the user, the password and the parameters.
fn without_secrets(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else {
        return "a database";
    };
    // The driver ends the credentials at the first `@`. Behind a `?`, it may stand in a password.
    let rest = match rest.split_once('@') {
        Some((before, _)) if before.contains('?') => return "a database",
        Some((_, rest)) => rest,
        None => rest,
    };
    rest.split_once('?').map_or(rest, |(rest, _)| rest)
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn a_database_of_ones_own_is_shown_without_its_password() {
        let shown = [
            "postgresql://ada:hunter2@db.example/book?sslmode=require",
            "postgresql://ada@db.example/book?application_name=me@x&password=hunter2",
            "postgres://db.example/book",
        ];
        for url in shown {
            assert_eq!(without_secrets(url), "db.example/book");
        }
        for unclear in [
            "host=db.example password=hunter2",
            "postgres://db.example/book?password=hunter@2",
        ] {
            assert_eq!(without_secrets(unclear), "a database");
        }
    }
}
