//! What `cargo dev` prints.

use std::io::{self, Write};

use local::{gateway::Routes, model::Model, postgres::Server};

use crate::{book::Book, variables::Variables};

pub(crate) fn say(text: &str) {
    // If nobody reads the output any longer, that is no reason to stop.
    let _ = writeln!(io::stdout(), "{text}");
}

pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

pub(crate) fn log_line(function: &str, line: &str) {
    say(&format!("{function:>8} | {line}"));
}

pub(crate) fn text(
    port: u16,
    routes: &Routes,
    variables: &Variables,
    tables: &str,
    book: &Book,
    server: Option<&Server>,
    model: Option<&Model>,
) -> String {
    let site = format!("http://localhost:{port}");
    // Each function has a longer path, too, that of its file.
    let paths: Vec<_> = routes
        .paths()
        .filter(|path| !path.starts_with("/api/"))
        .collect();
    let api = paths.join("  ");
    let url = book.url();
    let (book, chat) = if book.is_sample {
        (
            format!("{url}, a sample with the chat on its pages"),
            format!("{site}/index.html, by itself"),
        )
    } else {
        (url.to_owned(), format!("{site}/"))
    };
    let url = variables.get("DATABASE_URL").unwrap_or_default();
    let (database, data) = match server {
        Some(server) => (
            format!("{} {url}", server.psql().display()),
            server.folder().display().to_string(),
        ),
        None => (
            format!("psql \"$DATABASE_URL\"  ({})", without_secrets(&url)),
            "in that database".to_owned(),
        ),
    };
    let model = match model {
        Some(model) => format!(
            "offline, for there is no OPENAI_API_KEY: {}",
            model.base_url()
        ),
        None => variables
            .get("OPENAI_BASE_URL")
            .unwrap_or_else(|| "OpenAI".to_owned()),
    };
    format!(
        "
  book      {book}
  chat      {chat}
  widget    {site}/widget.html, to put the chat into a book of your own
  API       {site}  {api}
  database  {database}
  data      {data}
  tables    {tables}
  model     {model}

Try it:
  curl -s localhost:{port}/chat -H 'content-type: application/json' -d '{{\"message\":\"What is a humanoid robot?\"}}'

Ctrl-C stops everything; the data are kept.
"
    )
}

/// The host and the database of a URL, without the user, the password and the parameters.
fn without_secrets(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else {
        return "from DATABASE_URL";
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    rest.split_once('?').map_or(rest, |(rest, _)| rest)
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn a_database_of_ones_own_is_shown_without_its_password() {
        let shown = [
            "postgresql://ada:p@ss?word@db.example/book?sslmode=require",
            "postgres://db.example/book",
        ];
        for url in shown {
            assert_eq!(without_secrets(url), "db.example/book");
        }
        assert_eq!(
            without_secrets("host=db.example password=secret"),
            "from DATABASE_URL"
        );
    }
}
