//! The process's descriptors, duplicated: the only safe way to those that another part of the
//! program owns. Never accepts, reads or writes anything.

use std::fs::ReadDir;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// The descriptors that are open now.
pub(super) struct Duplicates {
    process: OwnedFd,
    open: ReadDir,
}

impl Duplicates {
    /// # Errors
    ///
    /// When the kernel has no `pidfd_getfd` (before Linux 5.6) or a sandbox forbids it; so may each
    /// item be.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            process: pidfd_open(getpid(), PidfdFlags::empty())?,
            open: std::fs::read_dir("/proc/self/fd")?,
        })
    }
}

impl Iterator for Duplicates {
    type Item = io::Result<OwnedFd>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let name = match self.open.next()? {
                Ok(entry) => entry.file_name(),
                Err(error) => return Some(Err(error)),
            };
            let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            match pidfd_getfd(&self.process, number, PidfdGetfdFlags::empty()) {
                // Closed meanwhile.
                Err(Errno::BADF) => {}
                duplicate => return Some(duplicate.map_err(Into::into)),
            }
        }
    }
}
