//! A secret that configuration names but does not hold.

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
