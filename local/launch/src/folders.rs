//! Where things are kept on this machine, and the account that PostgreSQL runs as.
//!
//! Owns the choice of folders and of the account; never decides what is put into the folders.

use std::{
    env, fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use nix::unistd::{User, geteuid};

/// The variable that names the cache folder, if the default does not suit.
pub const CACHE_VARIABLE: &str = "TEXTBOOK_CHAT_CACHE";

/// The folder for what is fetched once, and for the data of `cargo dev`; made if it does not exist.
/// The environment names it, or the default is taken.
///
/// # Errors
///
/// When it cannot be found or made.
pub fn cache() -> Result<PathBuf> {
    cache_at(env::var_os(CACHE_VARIABLE).map(PathBuf::from))
}

/// The same, in a folder that somebody may have named; an empty name is none.
///
/// # Errors
///
/// When it cannot be found or made.
pub fn cache_at(named: Option<PathBuf>) -> Result<PathBuf> {
    let named = named.filter(|folder| !folder.as_os_str().is_empty());
    let folder = if let Some(folder) = named {
        std::path::absolute(folder)?
    } else if geteuid().is_root() {
        // PostgreSQL refuses to run as root, and the account that it then runs as cannot enter /root.
        PathBuf::from("/var/cache/textbook-chat")
    } else {
        let home = || env::var_os("HOME").map(PathBuf::from);
        let user = if cfg!(target_os = "macos") {
            home().map(|home| home.join("Library/Caches"))
        } else {
            env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(|| home().map(|home| home.join(".cache")))
        };
        user.with_context(|| format!("HOME is not set: name a folder in {CACHE_VARIABLE}"))?
            .join("textbook-chat")
    };
    make(&folder)?;
    Ok(folder)
}

/// The data of the embedded database of the checkout in `root`.
#[must_use]
pub fn data(cache: &Path, root: &Path) -> PathBuf {
    // One for each checkout: its path, with other separators, is a readable folder name.
    let project = root.to_string_lossy().replace('/', "%");
    cache.join("data").join(project.trim_start_matches('%'))
}

/// The folder in which temporary folders are made.
#[must_use]
pub fn temporary() -> PathBuf {
    // The account that PostgreSQL runs as may not be able to enter root's own TMPDIR.
    if geteuid().is_root() {
        PathBuf::from("/tmp")
    } else {
        env::temp_dir()
    }
}

/// Makes a folder that every account may enter (whatever the umask).
///
/// # Errors
///
/// When it cannot be made.
pub fn make(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        fs::create_dir_all(folder)
            .and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(0o755)))
            .with_context(|| {
                format!(
                    "cannot make {}: name another folder in {CACHE_VARIABLE}",
                    folder.display()
                )
            })?;
    }
    Ok(())
}

/// The account that PostgreSQL runs as: our own, unless that is root.
#[derive(Debug)]
pub struct Account(Option<User>);

impl Account {
    /// Chooses it.
    ///
    /// # Errors
    ///
    /// When we are root and there is no other to run as.
    pub fn choose() -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self(None));
        }
        for name in ["postgres", "nobody"] {
            if let Some(user) = User::from_name(name)? {
                return Ok(Self(Some(user)));
            }
        }
        anyhow::bail!(
            "PostgreSQL refuses to run as root, and there is no account `postgres` or `nobody`"
        )
    }

    /// Lets `command` run as this account.
    pub fn run(&self, command: &mut Command) {
        if let Self(Some(user)) = self {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
    }

    /// Makes this account the owner of `path`.
    ///
    /// # Errors
    ///
    /// When that is refused.
    pub fn own(&self, path: &Path) -> Result<()> {
        if let Self(Some(user)) = self {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .with_context(|| format!("cannot give {} to {}", path.display(), user.name))?;
        }
        Ok(())
    }

    /// What to add to an error whose cause may be that this account is not ours.
    #[must_use]
    pub fn hint(&self, programs: &Path) -> String {
        self.0.as_ref().map_or_else(String::new, |user| {
            format!(
                "\n(Run by root, PostgreSQL runs as `{}`, which must be able to enter that folder and {}; \
                 {CACHE_VARIABLE} names another.)",
                user.name,
                programs.display()
            )
        })
    }
}
