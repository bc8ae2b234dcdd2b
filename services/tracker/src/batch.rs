//! What is posted: one thing, or a list of them.

use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The things of one request.
pub(crate) struct Batch<T> {
    pub(crate) all: Vec<T>,
    /// They came as a list.
    pub(crate) is_list: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Body<T> {
    Many(Vec<T>),
    One(Box<T>),
}

impl<T: DeserializeOwned> Batch<T> {
    /// Reads a body.
    ///
    /// # Errors
    /// 413 for more than `most`, 400 for what it is not.
    pub(crate) fn read(body: &[u8], most: usize) -> Result<Self, StatusCode> {
        match serde_json::from_slice(body) {
            Ok(Body::Many(all)) if all.len() <= most => Ok(Batch { all, is_list: true }),
            Ok(Body::Many(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
            Ok(Body::One(one)) => Ok(Batch { all: vec![*one], is_list: false }),
            Err(_) => Err(StatusCode::BAD_REQUEST),
        }
    }
}
