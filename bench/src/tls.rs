//! TLS in front of PostgreSQL: the tests' own front, because the embedded server has no TLS.
//!
//! Owns where that front leads, and the file of authorities that makes a function trust it.

use std::{fs, path::PathBuf, sync::OnceLock};

use anyhow::{Context, Result};

#[expect(clippy::unwrap_used, reason = "it was written for tests")]
#[expect(
    unreachable_pub,
    dead_code,
    reason = "it offers more than is used here"
)]
#[path = "../../tests/harness/tls.rs"]
mod front;

static PORT: OnceLock<u16> = OnceLock::new();

/// What the front leads to.
struct Database;

impl Database {
    fn port() -> u16 {
        PORT.get().copied().unwrap_or_default()
    }
}

/// A running front.
pub struct Front {
    pub port: u16,
    /// The machine's authorities and the front's: as many to parse as a deployed function has.
    pub authorities: PathBuf,
    /// Dropping it removes its file.
    _kept: front::TlsFront,
}

impl Front {
    /// In front of the server at this port; once in each process.
    pub async fn start(server: u16) -> Result<Self> {
        PORT.get_or_init(|| server);
        let front = front::TlsFront::start().await;
        let system = openssl_probe::probe().cert_file;
        let system = system.context("the machine has no file of authorities")?;
        let authorities = front.authority.with_extension("all.pem");
        let all = [fs::read(system)?, fs::read(&front.authority)?].concat();
        fs::write(&authorities, all)?;
        Ok(Self {
            port: front.port,
            authorities,
            _kept: front,
        })
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.authorities);
    }
}
