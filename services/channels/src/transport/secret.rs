//! A secret that configuration names but does not hold.

use std::env::VarError;
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
            Secret::Env(name) => std::env::var(name).map_err(|error| format!("${name} {}", said(&error)))?,
        };
        match text.trim() {
            "" => Err("the secret is empty".to_owned()),
            secret => Ok(secret.to_owned()),
        }
    }
}

/// The error's own words would show a value that is no text.
fn said(error: &VarError) -> &'static str {
    match error {
        VarError::NotPresent => "is not set",
        VarError::NotUnicode(_) => "is not UTF-8",
    }
}

/// What no `Debug` shows: an address, a key, a path with a token in it.
pub(super) struct Hidden<T>(pub(super) T);

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_no_text_is_not_shown() {
        let error = VarError::NotUnicode("MARKED".into());
        assert_eq!((said(&error), said(&VarError::NotPresent)), ("is not UTF-8", "is not set"));
        let missing = Secret::Env("CASCADE_NOBODY_SETS_THIS".to_owned()).read();
        assert_eq!(missing, Err("$CASCADE_NOBODY_SETS_THIS is not set".to_owned()));
    }
}
