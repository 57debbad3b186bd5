//! What is set in the environment and in `.env`; the environment wins.

use std::{collections::BTreeMap, env, fs, io::ErrorKind, path::Path};

use anyhow::{Context, Error, Result};

use crate::dotenv;

/// The variables that override the environment which the started programs inherit.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
    /// Of those that stand in `.env` and count.
    lines: BTreeMap<String, usize>,
}

impl Variables {
    /// Reads `.env` in `root`, if there is one.
    ///
    /// # Errors
    ///
    /// When it is malformed: its line, the variable, and what to do.
    pub fn read(root: &Path) -> Result<Self> {
        let text = match fs::read_to_string(root.join(".env")) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            text => text.context("cannot read .env")?,
        };
        let mut variables = Self::default();
        for line in dotenv::variables(&text) {
            let line = line.map_err(Error::msg)?;
            // As the functions read it: of two lines for a variable, the first counts.
            if env::var_os(&line.name).is_none() && !variables.values.contains_key(&line.name) {
                variables.lines.insert(line.name.clone(), line.number);
                variables.values.insert(line.name, line.value);
            }
        }
        Ok(variables)
    }

    /// The value of `name`; a blank one, as in a copied example, counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let value = self.values.get(name).cloned();
        let value = value.or_else(|| env::var(name).ok());
        value.filter(|value| !value.trim().is_empty())
    }

    /// Sets `name` for what is started.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.values.insert(name.to_owned(), value.into());
        self.lines.remove(name);
    }

    /// The name, and the line of `.env` if that is where it is set: for words about it.
    #[must_use]
    pub fn place(&self, name: &str) -> String {
        match self.lines.get(name) {
            Some(line) => format!("{name} (.env line {line})"),
            None => name.to_owned(),
        }
    }

    /// The names that stand in `.env` and count, in order.
    pub fn of_file(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }

    /// All of them, for what is started.
    #[must_use]
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.values.into_iter().collect()
    }
}
