//! A schema registry with Confluent's interface, for those who have one. Nothing here is needed to run.
//!
//! Two things are asked of it: which schema an id stands for, and an id for one of our schemas. Ids never change their
//! meaning, so each is asked for once and kept in [`Ids`].

use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;

use crate::projection::SchemaError;
use crate::{Ids, Record};

/// A registry that does not answer must not stop a partition for long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest answer, in bytes: a schema of ours has about ten thousand.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Content type of the interface.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A client of one registry.
pub struct Registry {
    base: Url,
    login: Option<Login>,
    client: Client,
}

/// Name and password for HTTP's basic scheme. Shown by nothing.
#[derive(Clone)]
pub struct Login {
    /// User name, or API key.
    pub name: String,
    /// Password, or API secret.
    pub password: String,
}

/// Why the registry was of no use.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// `bad_registry_url`: no registry can be asked there.
    #[error("the registry's address is not an http or https URL")]
    Url,
    /// `registry_unreachable`: worth another try.
    #[error("the registry does not answer ({0}): see whether it runs and can be reached from here, then try again")]
    Unreachable(&'static str),
    /// `registry_refused`: it answered, and will answer the same again.
    #[error("the registry refused ({status}, error code {code}): {advice}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The registry's own `error_code`; 0 where it gave none.
        code: i64,
        /// What to do.
        advice: &'static str,
    },
    /// `registry_answer`: what came is not the documented answer.
    #[error("the registry's answer is not that of Confluent's interface: check the path of its address")]
    Answer,
    /// The schema is none that we can read; the code is that of the inner error.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl RegistryError {
    /// The stable code that goes into labels and reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url => "bad_registry_url",
            Self::Unreachable(_) => "registry_unreachable",
            Self::Refused { .. } => "registry_refused",
            Self::Answer => "registry_answer",
            Self::Schema(error) => error.code(),
        }
    }

    /// Whether the same request may succeed later.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::Url | Self::Answer | Self::Schema(_) => false,
        }
    }
}

#[derive(Deserialize)]
struct Schema {
    schema: String,
    /// Absent for Avro.
    #[serde(default, rename = "schemaType")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    error_code: i64,
}

impl Registry {
    /// A registry at this address, such as `https://registry.example` or `http://localhost:8080/apis/ccompat/v7`.
    pub fn new(address: &str, login: Option<Login>) -> Result<Self, RegistryError> {
        let base: Url = address.parse().map_err(|_| RegistryError::Url)?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(RegistryError::Url);
        }
        let client =
            Client::builder().timeout(TIMEOUT).build().map_err(|_| RegistryError::Unreachable("no TLS set-up"))?;
        Ok(Registry { base, login, client })
    }

    /// Makes records with this id readable, unless they are already.
    pub async fn learn(&self, ids: &mut Ids, id: u32) -> Result<(), RegistryError> {
        if ids.knows(id) {
            return Ok(());
        }
        let request = self.client.get(self.url(&["schemas", "ids", &id.to_string()])?);
        let answer: Schema = self.ask(request).await?;
        if answer.kind.is_some_and(|kind| kind != "AVRO") {
            return Err(SchemaError::Invalid.into());
        }
        ids.learn(id, &answer.schema)?;
        Ok(())
    }

    /// Registers our current schema for the values of a topic, and writes such records with the registry's id from now on. A
    /// schema that is registered already keeps its id.
    pub async fn register<T: Record>(&self, ids: &mut Ids, topic: &str) -> Result<u32, RegistryError> {
        let url = self.url(&["subjects", &format!("{topic}-value"), "versions"])?;
        let request = self.client.post(url).header(reqwest::header::CONTENT_TYPE, CONTENT_TYPE);
        let registered: Registered = self.ask(request.body(json!({"schema": T::SCHEMA}).to_string())).await?;
        ids.write_as::<T>(registered.id)?;
        Ok(registered.id)
    }

    fn url(&self, path: &[&str]) -> Result<Url, RegistryError> {
        let mut url = self.base.clone();
        url.path_segments_mut().map_err(|()| RegistryError::Url)?.pop_if_empty().extend(path);
        Ok(url)
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, RegistryError> {
        let request = request.header(reqwest::header::ACCEPT, CONTENT_TYPE);
        let request = match &self.login {
            Some(login) => request.basic_auth(&login.name, Some(&login.password)),
            None => request,
        };
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let body = body(response).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| RegistryError::Answer);
        }
        let code = serde_json::from_slice::<Refusal>(&body).unwrap_or_default().error_code;
        Err(RegistryError::Refused { status: status.as_u16(), code, advice: advice(status) })
    }
}

/// The body, as far as a schema may go.
async fn body(mut response: Response) -> Result<Vec<u8>, RegistryError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(RegistryError::Answer);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Without the library's own text, which repeats the address, and so perhaps a password in it.
fn unreachable(error: &reqwest::Error) -> RegistryError {
    RegistryError::Unreachable(if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    })
}

fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "give a login that may read and register schemas",
        StatusCode::NOT_FOUND => "the id is not of this registry: check which one the producer uses",
        StatusCode::CONFLICT => {
            "the topic's subject holds a schema that ours is not compatible with: use another prefix, or delete it"
        }
        StatusCode::UNPROCESSABLE_ENTITY => "it does not take the schema: check that it supports Avro",
        _ => "see its log, then try again",
    }
}
