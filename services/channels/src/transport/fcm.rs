//! Mobile push by Firebase Cloud Messaging (HTTP v1). The address is a registration token, or a JSON list of them (`devices.rs`).
//!
//! A device gets title and text as a notification, and beside it the data `send_id`, `link` and `receipt_token` for the app. What
//! cannot be shown while the message is valid is dropped (`ttl`).
//!
//! *Who we are* says a token of Google's (OAuth), which we get for one that the service account's key has signed. It is kept,
//! and renewed five minutes before its end; the old one serves until then if that fails. To get one may take a third of a hand-over.
//!
//! | FCM says | is read as |
//! |---|---|
//! | 200 | taken; the provider's id is the last part of `name` |
//! | 404 `UNREGISTERED` | nobody is there |
//! | 400 `INVALID_ARGUMENT` about `message.token`, or that it is `not a valid FCM registration token` | nobody is there |
//! | other 400 `INVALID_ARGUMENT` | this message is refused |
//! | 403 `SENDER_ID_MISMATCH`: the token is another sender's | this message is refused; until this process has had a message taken, it is not taken for now: the project may be the wrong one |
//! | 429 `QUOTA_EXCEEDED` | not taken for now; `retry-after` is kept for all calls, or a minute |
//! | 503 `UNAVAILABLE` | not taken for now; `retry-after` is kept for all calls |
//! | 500 `INTERNAL` | unknown |
//! | 401 `THIRD_PARTY_AUTH_ERROR`, 401 `UNAUTHENTICATED`, 403 `PERMISSION_DENIED`, 404 `NOT_FOUND` alone: project, key or right are wrong | not taken for now: it would be so for everybody; after `UNAUTHENTICATED` there is a new token |
//! | everything else, also `UNSPECIFIED_ERROR` | as `call.rs` says |
//! | no token is to be had: Google's token server says `invalid_grant` or something else, or nothing | not taken for now: FCM was not called |
//!
//! *Limits.* FCM knows no repeats and tells nobody what became of a message. Where one of several tokens is dead and another is not, only
//! the app can tell the shop.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use stream::clock::Tick;
use tokio::sync::Mutex;

use super::call::{self, Reply, default_timeout};
use super::signed::{Signer, now_seconds};
use super::{Answer, Call, Heard, Message, Secret, Transport, devices, plain_code};

/// A project of Firebase.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The service account's key: JSON, as the console hands it out.
    pub service_account: Secret,
    /// Server of FCM.
    #[serde(default = "default_url")]
    pub url: String,
    /// Longest hand-over, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

fn default_url() -> String {
    "https://fcm.googleapis.com".to_owned()
}

/// What we need of a service account's key.
#[derive(Deserialize)]
struct Account {
    project_id: String,
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: String,
}

impl Config {
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout_seconds
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = call::problems(&self.url, self.timeout_seconds, &[]);
        problems.extend(self.account().err());
        problems
    }

    fn account(&self) -> Result<(Account, Signer, Url), String> {
        let text = self.service_account.of("service_account")?;
        // The parser's words could quote the key.
        let account: Account = serde_json::from_str(&text)
            .map_err(|_| "transport.service_account is not the JSON key of a service account".to_owned())?;
        let signer = Signer::rs256(&account.private_key, account.private_key_id.clone())
            .map_err(|error| format!("transport.service_account: private_key is {error}"))?;
        let token_uri = call::url("service_account: token_uri", &account.token_uri)?;
        Ok((account, signer, token_uri))
    }
}

#[derive(Debug)]
struct Fcm {
    client: Client,
    method: Url,
    login: Login,
    timeout: Duration,
    heard: Heard,
}

/// The part of a hand-over that getting a token may take: the call itself needs time to connect and to be answered.
const LOGIN_PART: u32 = 3;

pub(super) fn open(config: &Config) -> Result<Box<dyn Transport>, String> {
    let (account, signer, token_uri) = config.account()?;
    let base = call::url("url", &config.url)?;
    let timeout = Duration::from_secs(config.timeout_seconds);
    let client = call::client(&base, config.timeout_seconds).build().map_err(|error| error.to_string())?;
    let own = call::client(&token_uri, config.timeout_seconds).build().map_err(|error| error.to_string())?;
    Ok(Box::new(Fcm {
        client,
        method: call::under(&base, &format!("v1/projects/{}/messages:send", account.project_id))?,
        login: Login {
            client: own,
            token_uri,
            signer,
            issuer: account.client_email,
            timeout: timeout / (LOGIN_PART + 1),
            kept: Mutex::default(),
        },
        timeout,
        heard: Heard::default(),
    }))
}

impl Transport for Fcm {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(async move {
            let until = Tick::now().after(self.timeout);
            // Nobody was called as long as there is no token: that it takes long is no unknown outcome.
            let bearer = match tokio::time::timeout(self.timeout / LOGIN_PART, self.login.bearer()).await {
                Ok(Ok(bearer)) => bearer,
                Ok(Err(answer)) => return answer,
                Err(_) => return Answer::not_taken("oauth_timeout"),
            };
            devices::each(&message.address, |device, _| self.call(message, device, bearer.clone(), until)).await
        })
    }
}

impl Fcm {
    async fn call(&self, message: &Message, device: String, bearer: HeaderValue, until: Tick) -> Answer {
        let body = body(message, &device);
        let request = self.client.post(self.method.clone()).header(AUTHORIZATION, bearer.clone()).json(&body);
        match call::ask(request.timeout(until.remaining())).await {
            Ok(reply) => self.heard.note(self.read(reply, &bearer).await),
            Err(answer) => answer,
        }
    }

    async fn read(&self, reply: Reply, bearer: &HeaderValue) -> Answer {
        let (status, told, retry_after) = (reply.status, reply.by_status(), reply.retry_after);
        let later = |code: &str, pause| Answer::NotTaken { code: code.to_owned(), retry_after: pause };
        let said = reply.json().await.unwrap_or_default();
        if status.is_success() {
            let name = call::id(Some(&said), "/name");
            return Answer::taken(name.and_then(|name| name.rsplit('/').next().map(str::to_owned)));
        }
        match code(&said).as_deref() {
            Some("UNREGISTERED") => Answer::nobody_there("UNREGISTERED"),
            Some("INVALID_ARGUMENT") if is_about_the_token(&said) => Answer::nobody_there("INVALID_ARGUMENT"),
            Some("INVALID_ARGUMENT") => Answer::refused("INVALID_ARGUMENT"),
            Some(code @ "SENDER_ID_MISMATCH") => self.heard.of_address(Answer::refused(code)),
            Some(code @ "QUOTA_EXCEEDED") => later(code, retry_after.or(Some(QUOTA_PAUSE))),
            Some(code @ ("UNAVAILABLE" | "THIRD_PARTY_AUTH_ERROR" | "PERMISSION_DENIED" | "NOT_FOUND")) => {
                later(code, retry_after)
            }
            Some("INTERNAL") => Answer::unknown("INTERNAL"),
            other => {
                if status == StatusCode::UNAUTHORIZED {
                    self.login.forget(bearer).await;
                }
                match (told, other.and_then(plain_code)) {
                    (Answer::NotTaken { retry_after, .. }, Some(code)) => later(code, retry_after),
                    (Answer::Unknown { .. }, Some(code)) => Answer::unknown(code),
                    (told, _) => told,
                }
            }
        }
    }
}

/// What Google advises where the answer names no time.
const QUOTA_PAUSE: Duration = Duration::from_secs(60);

/// The longest that FCM keeps a message, in seconds.
const TTL_MAX: u64 = 2_419_200;

fn body(message: &Message, device: &str) -> Value {
    let mut data = json!({"send_id": message.send_id});
    for (name, value) in [("link", &message.link), ("receipt_token", &message.receipt_token)] {
        if let Some(value) = value {
            data[name] = json!(value);
        }
    }
    let mut notification = json!({"body": message.text});
    if let Some(title) = &message.subject {
        notification["title"] = json!(title);
    }
    let ttl = message.validity().as_secs().min(TTL_MAX);
    let until = now_seconds().saturating_add_unsigned(ttl);
    json!({"message": {
        "token": device,
        "notification": notification,
        "data": data,
        "android": {"ttl": format!("{ttl}s")},
        "apns": {"headers": {"apns-expiration": until.to_string()}},
        "webpush": {"headers": {"TTL": ttl.to_string()}},
    }})
}

/// FCM's own code where there is one: the status above it is what all of Google's services say.
fn code(said: &Value) -> Option<String> {
    let details = said.pointer("/error/details").and_then(Value::as_array);
    let own = details.into_iter().flatten().find_map(|detail| detail.get("errorCode")?.as_str());
    own.or_else(|| said.pointer("/error/status")?.as_str()).map(str::to_owned)
}

fn is_about_the_token(said: &Value) -> bool {
    let details = said.pointer("/error/details").and_then(Value::as_array);
    let violations = details.into_iter().flatten().filter_map(|detail| detail.get("fieldViolations")?.as_array());
    let words = said.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
    violations.flatten().any(|violation| violation["field"] == "message.token")
        || words.contains("not a valid FCM registration token")
}

/// Gets and keeps the token by which FCM knows us.
#[derive(Debug)]
struct Login {
    client: Client,
    token_uri: Url,
    signer: Signer,
    issuer: String,
    /// How long a trial to get a token may take: shorter than anybody waits, so that the old one serves where it fails.
    timeout: Duration,
    kept: Mutex<Option<Bearer>>,
}

#[derive(Clone, Debug)]
struct Bearer {
    value: HeaderValue,
    renew_at: Tick,
    ends_at: Tick,
}

/// A token is renewed so long before its end.
const MARGIN: Duration = Duration::from_secs(300);

impl Login {
    /// The token that is kept, or a new one. Whoever asks meanwhile waits for the same.
    async fn bearer(&self) -> Result<HeaderValue, Answer> {
        let mut kept = self.kept.lock().await;
        if let Some(bearer) = kept.as_ref().filter(|bearer| !bearer.renew_at.remaining().is_zero()) {
            return Ok(bearer.value.clone());
        }
        match (self.fetch().await, kept.as_ref()) {
            (Ok(fresh), _) => Ok(kept.insert(fresh).value.clone()),
            (Err(_), Some(old)) if !old.ends_at.remaining().is_zero() => Ok(old.value.clone()),
            (Err(answer), _) => Err(answer),
        }
    }

    /// A token that FCM does not believe.
    async fn forget(&self, value: &HeaderValue) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|bearer| bearer.value == value) {
            *kept = None;
        }
    }

    async fn fetch(&self) -> Result<Bearer, Answer> {
        let (asked_at, now) = (Tick::now(), now_seconds());
        let claims = json!({
            "iss": self.issuer,
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": self.token_uri.as_str(),
            "iat": now,
            "exp": now + 3_600,
        });
        let assertion = self.signer.sign(&claims).map_err(|_| Answer::not_taken("oauth_key"))?;
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &*assertion)];
        let reply = match call::ask(self.client.post(self.token_uri.clone()).timeout(self.timeout).form(&form)).await {
            Ok(reply) => reply,
            // Whatever this call came to, FCM was not called.
            Err(_) => return Err(Answer::not_taken("oauth_connection")),
        };
        let (status, retry_after) = (reply.status, reply.retry_after);
        let said = reply.json().await.unwrap_or_default();
        let bearer = said["access_token"].as_str().filter(|_| status.is_success()).and_then(|token| {
            let lifetime = Duration::from_secs(said["expires_in"].as_u64()?.min(86_400));
            Some(Bearer {
                value: call::hidden("service_account", &format!("Bearer {token}")).ok()?,
                renew_at: asked_at.after(lifetime.saturating_sub(MARGIN).max(lifetime / 2)),
                ends_at: asked_at.after(lifetime),
            })
        });
        bearer.ok_or_else(|| {
            let code = call::word(&said, "/error").as_deref().and_then(plain_code).map(|code| format!("oauth_{code}"));
            Answer::NotTaken { code: code.unwrap_or_else(|| format!("oauth_{}", status.as_u16())), retry_after }
        })
    }
}

#[cfg(test)]
mod tests;
