//! What is set in the environment and in `.env`; the environment wins.

use std::{collections::BTreeMap, env, path::Path};

use anyhow::{Context, Result};

/// The variables that override the environment which the started programs inherit.
#[derive(Clone, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Reads `.env` in `root`, if there is one.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut variables = BTreeMap::new();
        match dotenvy::from_path_iter(root.join(".env")) {
            Ok(file) => {
                for variable in file {
                    let (name, value) = variable.context(".env")?;
                    if env::var_os(&name).is_none() {
                        variables.insert(name, value);
                    }
                }
            }
            Err(error) if error.not_found() => {}
            Err(error) => return Err(error).context(".env"),
        }
        Ok(Self(variables))
    }

    /// The value of `name`; a blank one, as in a copied example, counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = self.0.get(name).cloned().or_else(|| env::var(name).ok());
        value.filter(|value| !value.trim().is_empty())
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0.into_iter().collect()
    }
}
