//! Whether the hosts that settings name can be reached: looked at, never spoken to.

use std::{
    env, io,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use crate::beside;

/// How long a host may take to be found and to answer. A sleeping database's proxy is awake.
const LIMIT: Duration = Duration::from_secs(4);

/// Says why the host of a database's URL cannot be reached; nothing where it can, or is not told in
/// a way that is understood here.
#[must_use]
pub fn database(url: &str) -> Option<String> {
    let (host, port) = host_of_url(url).or_else(|| host_of_words(url))?;
    problem(&host, port.unwrap_or(5432))
}

/// Whether a database's URL names this machine; not where that cannot be told.
#[must_use]
pub fn is_here(url: &str) -> bool {
    match host_of_url(url).or_else(|| host_of_words(url)) {
        Some((host, _)) => ["localhost", "127.0.0.1", "::1"].contains(&host.as_str()),
        // The folder of a socket.
        None => ["host=/", "host=%2f"]
            .iter()
            .any(|socket| url.to_lowercase().contains(socket)),
    }
}

/// The same as [`database`] for a page's address. Behind a proxy it cannot be told.
#[must_use]
pub fn page(url: &str) -> Option<String> {
    let proxies = [
        "https_proxy",
        "HTTPS_PROXY",
        "http_proxy",
        "all_proxy",
        "ALL_PROXY",
    ];
    if proxies.iter().any(|name| env::var_os(name).is_some()) {
        return None;
    }
    let (scheme, place) = url.split_once("://")?;
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        scheme => return Some(format!("`{scheme}` is neither http nor https")),
    };
    let (host, own) = host_of_place(place)?;
    problem(&host, own.unwrap_or(port))
}

fn problem(host: &str, port: u16) -> Option<String> {
    // Looking a name up cannot be given a limit, nor be stopped.
    let name = host.to_owned();
    let answer = beside(move || connect(&name, port));
    match answer.recv_timeout(LIMIT) {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(_) => Some(format!(
            "{host} port {port} does not answer within {} seconds",
            LIMIT.as_secs()
        )),
    }
}

fn connect(host: &str, port: u16) -> Result<(), String> {
    let addresses = (host, port).to_socket_addrs();
    let addresses = addresses.map_err(|_| format!("there is no host {host}"))?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(format!("{host} port {port}: {}", plain(&last)))
}

fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        _ => error.to_string(),
    }
}

/// Of `scheme://user:password@host:port/…`, as the driver reads it: the credentials end at the first `@`,
/// whatever is in them. Several hosts are not looked at.
fn host_of_url(url: &str) -> Option<(String, Option<u16>)> {
    let (_, rest) = url.split_once("://")?;
    host_of_place(rest.split_once('@').map_or(rest, |(_, place)| place))
}

/// Of `host:port/…`.
fn host_of_place(place: &str) -> Option<(String, Option<u16>)> {
    let place = place.split(['/', '?', '#']).next()?;
    let (host, port) = match place.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() || place.contains(',') || host.contains('%') {
        return None;
    }
    let port = port.map(str::parse).transpose().ok()?;
    Some((host.to_owned(), port))
}

/// Of `host=… port=…`, PostgreSQL's other form.
fn host_of_words(words: &str) -> Option<(String, Option<u16>)> {
    let of = |name: &str| {
        let mut words = words.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let host = of("host")?;
    if host.contains([',', '/', '\'']) {
        return None;
    }
    let port = of("port").map(str::parse).transpose().ok()?;
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn found(host: &str, port: impl Into<Option<u16>>) -> (String, Option<u16>) {
        (host.to_owned(), port.into())
    }

    #[test]
    fn the_host_of_a_database_is_found_in_either_form() {
        let url = "postgresql://ada:12/p?w#d@db.example:6543/book?sslmode=require";
        assert_eq!(host_of_url(url), Some(found("db.example", 6543)));
        assert_eq!(
            host_of_url("postgres://[::1]/book"),
            Some(found("::1", None))
        );
        assert_eq!(host_of_url("postgresql:///book?host=%2Frun"), None);
        assert_eq!(host_of_url("postgresql://a:1,b:2/book"), None);
        let words = "user=ada host=db.example password=secret";
        assert_eq!(host_of_words(words), Some(found("db.example", None)));
        assert_eq!(host_of_words("host=/run/postgresql"), None);
    }

    #[test]
    fn a_database_elsewhere_is_told_from_one_here() {
        for here in [
            "postgres://ada@localhost/book",
            "host=/run/postgresql",
            "postgres://[::1]/",
        ] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in [
            "postgres://ada:p@ep-1.neon.example/book",
            "postgres://ada:12/x@db.example/book",
            "postgres://ada:p@a.example,b.example/book",
            "postgresql:///book?host=db.example",
        ] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn a_host_that_cannot_be_reached_is_named() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let url = format!("postgresql://ada:secret@127.0.0.1:{port}/book");
        assert_eq!(database(&url), None);
        drop(listener);
        let nobody = format!("127.0.0.1 port {port}: nothing listens there");
        assert_eq!(database(&url), Some(nobody));
        assert_eq!(
            database("postgresql://ada:secret@nowhere.invalid/book"),
            Some("there is no host nowhere.invalid".to_owned())
        );
        Ok(())
    }
}
