//! Which path leads to which function, and which headers its response carries: the files in `api/`, and
//! the rewrites and headers of `vercel.json`.
//!
//! Owns what of Vercel's configuration is understood here. What is not is refused, never ignored: it
//! would be served otherwise than on the platform.

mod pattern;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use pattern::Pattern;

/// The paths that lead to functions.
#[derive(Debug)]
pub struct Routes {
    /// Path to function.
    paths: BTreeMap<String, String>,
    headers: Vec<(Pattern, HeaderMap)>,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    rewrites: Vec<Rewrite>,
    #[serde(default)]
    headers: Vec<Headers>,
}

/// Headers of the paths that match. As with a rewrite, a rule with more fields is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Headers {
    source: String,
    headers: Vec<Header>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    key: String,
    value: String,
}

/// A rule with more fields (`has`, `missing`) is refused: ignoring them would serve other paths
/// than the platform does.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rewrite {
    source: String,
    destination: String,
}

impl Routes {
    /// Reads the project in `root`.
    ///
    /// # Errors
    ///
    /// When `vercel.json` has a rewrite or a rule for headers that is not understood here, or a rewrite
    /// that leads to no function.
    pub fn read(root: &Path) -> Result<Self> {
        let api = root.join("api");
        let mut functions = Vec::new();
        for entry in fs::read_dir(&api).with_context(|| format!("cannot read {}", api.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                functions.extend(
                    path.file_stem()
                        .map(|stem| stem.to_string_lossy().into_owned()),
                );
            }
        }
        let configuration = match fs::read_to_string(root.join("vercel.json")) {
            Ok(text) => text,
            // It is optional.
            Err(_) => "{}".to_owned(),
        };
        Self::new(&functions, &configuration).context("vercel.json")
    }

    fn new(functions: &[String], configuration: &str) -> Result<Self> {
        let configuration: Configuration = serde_json::from_str(configuration)?;
        let mut paths: BTreeMap<String, String> = functions
            .iter()
            .map(|name| (format!("/api/{name}"), name.clone()))
            .collect();
        for Rewrite {
            source,
            destination,
        } in configuration.rewrites
        {
            if !source.starts_with('/') || source.contains([':', '(', ')', '*', '+', '?', '{', '}'])
            {
                bail!("the rewrite of {source}: only exact paths are supported by `cargo dev`");
            }
            let function = destination
                .strip_prefix("/api/")
                .unwrap_or_default()
                .to_owned();
            ensure!(
                functions.contains(&function),
                "the rewrite of {source}: {destination} is no function (there is no api/{function}.rs)"
            );
            paths.insert(source, function);
        }
        let headers = configuration.headers.into_iter().map(|rule| {
            let pattern = Pattern::new(&rule.source)
                .with_context(|| format!("the headers of {}", rule.source))?;
            let mut headers = HeaderMap::new();
            for Header { key, value } in rule.headers {
                headers.insert(HeaderName::try_from(key)?, HeaderValue::try_from(value)?);
            }
            Ok((pattern, headers))
        });
        let headers = headers.collect::<Result<_>>()?;
        Ok(Self { paths, headers })
    }

    /// The headers that a response to `path` carries unless it has them already: of every rule that
    /// matches, and where two name the same header, the later one's.
    pub(super) fn headers(&self, path: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (pattern, theirs) in &self.headers {
            if pattern.matches(path) {
                for (name, value) in theirs {
                    headers.insert(name, value.clone());
                }
            }
        }
        headers
    }

    /// The function that `path` leads to.
    #[must_use]
    pub fn function(&self, path: &str) -> Option<&str> {
        self.paths.get(path).map(String::as_str)
    }

    /// The functions' names, in order, each once.
    #[must_use]
    pub fn functions(&self) -> Vec<String> {
        let mut names: Vec<String> = self.paths.values().cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The paths that lead to functions.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(configuration: &str) -> Result<Routes> {
        Routes::new(&["chat".to_owned(), "health".to_owned()], configuration)
    }

    fn refusal(source: &str, destination: &str) -> String {
        let rewrite =
            serde_json::json!({ "rewrites": [{ "source": source, "destination": destination }] });
        routes(&rewrite.to_string()).map_or_else(|error| error.to_string(), |_| "none".to_owned())
    }

    #[test]
    fn a_function_is_found_under_its_file_and_under_its_rewrites() -> Result<()> {
        let routes = routes(
            r#"{ "regions": ["iad1"], "rewrites": [{ "source": "/chat", "destination": "/api/chat" }] }"#,
        )?;
        assert_eq!(routes.function("/chat"), Some("chat"));
        assert_eq!(routes.function("/api/chat"), Some("chat"));
        assert_eq!(routes.function("/api/health"), Some("health"));
        assert_eq!(routes.function("/health"), None);
        assert_eq!(routes.functions(), ["chat", "health"]);
        Ok(())
    }

    #[test]
    fn every_rule_that_matches_gives_its_headers_and_the_later_one_wins() -> Result<()> {
        let routes = routes(
            r#"{ "headers": [
                { "source": "/(.*)", "headers": [{ "key": "X-Frame", "value": "none" }, { "key": "X-Age", "value": "1" }] },
                { "source": "/kept/(.*)", "headers": [{ "key": "x-age", "value": "2" }] }
            ] }"#,
        )?;
        assert_eq!(routes.headers("/")["x-age"], "1");
        assert_eq!(routes.headers("/kept/a")["x-age"], "2");
        assert_eq!(routes.headers("/kept/a")["x-frame"], "none");
        Ok(())
    }

    #[test]
    fn a_rule_for_headers_with_conditions_is_refused() {
        for condition in ["has", "missing"] {
            let rule = serde_json::json!({ "source": "/(.*)", "headers": [], condition: [] });
            let refused = routes(&serde_json::json!({ "headers": [rule] }).to_string());
            assert!(refused.is_err_and(|error| error.to_string().contains(condition)));
        }
    }

    #[test]
    fn a_rule_that_is_not_understood_is_named() {
        let refused = routes(r#"{ "headers": [{ "source": "/page/:name", "headers": [] }] }"#);
        let error = format!("{:#}", refused.unwrap_err());
        assert!(error.starts_with("the headers of /page/:name: "), "{error}");
    }

    #[test]
    fn a_rewrite_that_would_be_served_otherwise_than_on_the_platform_is_refused() {
        assert!(refusal("/chat/:path*", "/api/chat").contains("only exact paths"));
        assert!(refusal("/(.*)", "/api/chat").contains("only exact paths"));
        assert!(refusal("/talk", "/api/talk").contains("there is no api/talk.rs"));
        let conditional =
            r#"{ "rewrites": [{ "source": "/a", "destination": "/api/chat", "has": [] }] }"#;
        assert!(routes(conditional).is_err_and(|error| error.to_string().contains("has")));
    }
}
