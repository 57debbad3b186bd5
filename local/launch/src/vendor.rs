//! The libraries that pages load, which are not in the repository: copied from npm beside the build,
//! where npm is there.
//!
//! Each has a folder with a `vendor.sh`, which a deployment runs as well.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    time::SystemTime,
};

use crate::postgres::last_line;

/// A library's folder, and how its copies in `public/vendor` begin.
const LIBRARIES: [(&str, &str); 2] = [("swagger-ui", "swagger-ui"), ("temml", "temml-")];

/// Copies what is not there yet, or was copied before its version changed. What went wrong, a line
/// each: pages say themselves what they lack, so it is no reason to stop.
#[must_use]
pub fn copy(root: &Path) -> Vec<String> {
    let missing = LIBRARIES.iter().filter(|(folder, copies)| {
        let wanted = changed(&root.join(folder).join("package-lock.json"));
        newest(&root.join("public/vendor"), copies) <= wanted
    });
    let missing: Vec<_> = missing.map(|(folder, _)| *folder).collect();
    if missing.is_empty() || !has_npm() {
        return Vec::new();
    }
    let failures = missing.into_iter().filter_map(|folder| {
        let script = format!("{folder}/vendor.sh");
        let output = Command::new("sh")
            .arg(&script)
            .current_dir(root)
            .stdin(Stdio::null())
            .output();
        let why = match output {
            Ok(output) if output.status.success() => return None,
            Ok(output) => last_line(&output.stderr),
            Err(error) => error.to_string(),
        };
        Some(format!("`sh {script}` failed: {why}"))
    });
    failures.collect()
}

/// What pages lack, and what to do.
#[must_use]
pub fn lacking(root: &Path) -> Option<&'static str> {
    let lacks = |copies: &&(&str, &str)| newest(&root.join("public/vendor"), copies.1).is_none();
    if !LIBRARIES.iter().any(|each| lacks(&each)) {
        None
    } else if has_npm() {
        Some(
            "the API page and formulas lack their libraries, for which npm needs longer: reload such a page \
             later, or see what sh swagger-ui/vendor.sh and sh temml/vendor.sh say",
        )
    } else {
        Some("the API page and formulas lack their libraries: install npm, and start again")
    }
}

fn has_npm() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join("npm").is_file())
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|it| it.modified()).ok()
}

fn newest(vendor: &Path, prefix: &str) -> Option<SystemTime> {
    let copied = fs::read_dir(vendor).into_iter().flatten().flatten();
    let copied = copied.filter(|it| it.file_name().to_string_lossy().starts_with(prefix));
    copied.filter_map(|it| changed(&it.path())).max()
}
