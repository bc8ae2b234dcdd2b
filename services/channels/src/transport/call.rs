//! What all providers that speak HTTP have in common: how they are called, and what it means when they do not say it themselves.
//!
//! | what happens | is read as |
//! |---|---|
//! | 408, 429, 503 | not taken for now; `Retry-After` (in seconds) is kept for all calls |
//! | other 5xx | unknown: a gateway may fail after the provider has taken it |
//! | other 4xx, 3xx: a token, a path or a right of ours is wrong | not taken for now: it would be so for everybody |
//! | no connection | not taken for now |
//! | the connection breaks, or there is no answer in time | unknown |
//!
//! A provider's own table comes first: a transport asks for this one where its provider has said nothing that it knows.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Answer, Secret, guard};

/// Longest hand-over, in seconds, where nothing else is configured.
pub(super) fn default_timeout() -> u64 {
    10
}

/// More of an answer is not read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// No pause is longer, whatever a provider asks for: a command that cannot wait expires.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// Reads a name that may be all digits: the environment has them as a number.
pub(super) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Name {
        Text(String),
        Number(u64),
    }
    Ok(match Name::deserialize(deserializer)? {
        Name::Text(text) => text,
        Name::Number(number) => number.to_string(),
    })
}

/// An address that can be called.
pub(super) fn url(key: &str, text: &str) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| format!("transport.{key} must be an http:// or https:// address"))
}

/// The address of one of a provider's methods.
pub(super) fn under(base: &Url, path: &str) -> Result<Url, String> {
    let whole = format!("{}/{path}", base.as_str().trim_end_matches('/'));
    // What is wrong is not shown: some providers want the token in the path.
    Url::parse(&whole).map_err(|_| "transport.url: no path can be put behind it".to_owned())
}

/// What is wrong with the settings that all of these transports have.
pub(super) fn problems(address: &str, timeout_seconds: u64, secrets: &[(&str, &Secret)]) -> Vec<String> {
    let mut problems: Vec<String> = url("url", address).err().into_iter().collect();
    problems.extend(timeout_problem(timeout_seconds));
    problems.extend(secrets.iter().filter_map(|(key, secret)| secret.of(key).err()));
    problems
}

/// A hand-over has to end before the worker is taken for dead.
pub(super) fn timeout_problem(seconds: u64) -> Vec<String> {
    let words = || "transport.timeout_seconds must be from 1 to 45".to_owned();
    (!(1..=45).contains(&seconds)).then(words).into_iter().collect()
}

/// The value of a header that no log shows.
pub(super) fn hidden(key: &str, value: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::try_from(value);
    let mut value = value.map_err(|_| format!("transport.{key} has characters that no header may have"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The same, as the header `Authorization: Bearer …`.
pub(crate) fn bearer(key: &str, secret: &Secret) -> Result<HeaderMap, String> {
    let value = hidden(key, &format!("Bearer {}", secret.of(key)?))?;
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

/// A client for calls of `url`.
pub(super) fn client(url: &Url, timeout_seconds: u64) -> ClientBuilder {
    client_like(Some(url), timeout_seconds)
}

/// A client for calls of addresses like `example`, where one is known.
pub(super) fn client_like(example: Option<&Url>, timeout_seconds: u64) -> ClientBuilder {
    let builder = match example.and_then(Url::host_str) {
        // A proxy that the environment names is for the world outside.
        Some("127.0.0.1" | "[::1]" | "localhost") => Client::builder().no_proxy(),
        _ => Client::builder(),
    };
    builder
        .timeout(Duration::from_secs(timeout_seconds))
        .connect_timeout(connect_timeout(timeout_seconds))
        // A redirect would carry the address and the token to somebody else.
        .redirect(redirect::Policy::none())
}

/// How long a connection may take to come about. Well below the whole: where both end at once, a provider that nobody reached counts
/// as one that did not answer.
pub(super) fn connect_timeout(timeout_seconds: u64) -> Duration {
    Duration::from_millis(timeout_seconds * 500).min(Duration::from_secs(5))
}

/// What the provider says.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    response: Response,
}

/// Calls.
///
/// # Errors
/// With what it means that there is no answer.
pub(crate) async fn ask(request: RequestBuilder) -> Result<Reply, Answer> {
    match request.send().await {
        Ok(response) => Ok(Reply { status: response.status(), retry_after: retry_after(&response), response }),
        Err(error) if error.is_builder() => Err(Answer::unfit("bad_request")),
        Err(error) if guard::forbade(&error) => Err(Answer::unfit("private_host")),
        Err(error) if error.is_connect() => Err(Answer::not_taken("connection")),
        Err(error) if error.is_timeout() => Err(Answer::unknown("timeout")),
        Err(_) => Err(Answer::unknown("connection_broke")),
    }
}

impl Reply {
    /// What the status alone means; see the table above.
    pub(super) fn by_status(&self) -> Answer {
        self.told(format!("http_{}", self.status.as_u16()))
    }

    /// The same, with a reason that says more than the status.
    pub(super) fn told(&self, code: impl Into<String>) -> Answer {
        match self.status {
            status if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE => Answer::unknown(code),
            _ => self.not_taken(code),
        }
    }

    /// It was not taken, and what the provider asks for is kept.
    pub(super) fn not_taken(&self, code: impl Into<String>) -> Answer {
        Answer::NotTaken { code: code.into(), retry_after: self.retry_after }
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The answer's body. A provider that has spoken by its status has spoken: a body that cannot be read is none.
    pub(crate) async fn json(self) -> Option<Value> {
        self.json_up_to(ANSWER_BYTES_MAX).await
    }

    /// The same of an answer that may be longer or must be shorter, in bytes.
    pub(super) async fn json_up_to(self, most: usize) -> Option<Value> {
        let mut response = self.response;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > most {
                return None;
            }
        }
        serde_json::from_slice(&bytes).ok()
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(pause(seconds))
}

/// The pause that a provider asks for, within bounds.
pub(super) fn pause(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(RETRY_AFTER_MAX)
}

/// A text or number in an answer, by its path: `/error/code`.
pub(super) fn word(answer: &Value, path: &str) -> Option<String> {
    match answer.pointer(path)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The provider's id of a message.
pub(super) fn id(answer: Option<&Value>, path: &str) -> Option<String> {
    word(answer?, path).filter(|id| id.len() <= 200)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn a_name_may_be_all_digits() {
        for (text, expected) in [("\"SHOP\"", "SHOP"), ("106540352242922", "106540352242922"), ("\"7\"", "7")] {
            assert_eq!(name(&mut serde_json::Deserializer::from_str(text)).unwrap(), expected);
        }
    }

    /// Connections come about in the kernel, and nobody speaks TLS; behind a full queue they do not come about at all.
    #[tokio::test]
    async fn a_provider_that_is_not_reached_took_nothing_however_short_the_hand_over() {
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let away = tokio::net::TcpSocket::new_v4().unwrap();
        away.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let away = away.listen(1).unwrap();
        let mut waiting = Vec::new();
        while let Ok(connected) =
            timeout(Duration::from_millis(200), TcpStream::connect(away.local_addr().unwrap())).await
        {
            waiting.push(connected.unwrap());
        }
        for address in
            [format!("https://{}", mute.local_addr().unwrap()), format!("http://{}", away.local_addr().unwrap())]
        {
            for seconds in [1, 2] {
                let address = url("url", &address).unwrap();
                let client = client(&address, seconds).build().unwrap();
                let asked = ask(client.post(address.clone())).await;
                assert_eq!(asked.err(), Some(Answer::not_taken("connection")), "{address}, {seconds} s");
            }
        }
    }

    #[test]
    fn a_method_stands_under_the_server_s_address() {
        for base in ["https://api.example", "https://api.example/"] {
            assert_eq!(under(&url("url", base).unwrap(), "a/b").unwrap().as_str(), "https://api.example/a/b");
        }
        assert_eq!(under(&url("url", "https://x/y/").unwrap(), "a").unwrap().as_str(), "https://x/y/a");
        assert!(url("url", "ftp://x").is_err() && url("url", "x").is_err());
    }
}
