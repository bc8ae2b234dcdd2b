//! A secret that configuration names but does not hold.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// Where a secret stands.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// In this file; white space around it is dropped.
    File(PathBuf),
    /// In this environment variable.
    Env(String),
}

impl Secret {
    /// The secret of the transport's setting `key`.
    ///
    /// # Errors
    /// In words that name setting and place, and not the secret.
    pub(super) fn of(&self, key: &str) -> Result<String, String> {
        self.read().map_err(|error| format!("transport.{key}: {error}"))
    }

    /// The secret itself.
    ///
    /// # Errors
    /// In words that name the place and not the secret.
    pub fn read(&self) -> Result<String, String> {
        let text = match self {
            Secret::File(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
            }
            Secret::Env(name) => std::env::var(name).map_err(|error| format!("${name}: {error}"))?,
        };
        match text.trim() {
            "" => Err("the secret is empty".to_owned()),
            secret => Ok(secret.to_owned()),
        }
    }
}

/// What no `Debug` shows: an address, a key, a path with a token in it.
pub(super) struct Hidden<T>(pub(super) T);

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}
