//! Nobody: takes every message and keeps none. For the canary (`cascade canary`), whose messages go all the way round and to no customer.

use serde::Deserialize;

use super::{Answer, Call, Message, Transport};

/// There is nothing to be told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl Config {
    pub(super) fn timeout_seconds(&self) -> u64 {
        0
    }

    pub(super) fn problems(&self) -> Vec<String> {
        Vec::new()
    }
}

#[derive(Debug)]
struct Nowhere;

pub(super) fn open(_config: &Config) -> Result<Box<dyn Transport>, String> {
    Ok(Box::new(Nowhere))
}

impl Transport for Nowhere {
    fn hand_over<'a>(&'a self, _message: &'a Message) -> Call<'a> {
        Box::pin(async { Answer::taken(None) })
    }
}
