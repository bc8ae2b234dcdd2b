//! Mobile push by Apple (APNs, HTTP/2). The address is a device token, or a JSON list of them (`devices.rs`).
//!
//! A device gets title and text as an alert, and beside `aps` the fields `send_id`, `link` and `receipt_token` for the app. What
//! cannot be shown while the message is valid is dropped (`apns-expiration`).
//!
//! *Who we are* says a token that our key signs (ES256). Apple wants it to be renewed after 20 minutes at the earliest and 60 at
//! the latest: its time is that of the half hour, so all replicas change it at the same moments.
//!
//! *Ids.* `apns-id` is the send's id, or, where there are several devices, one that is derived from it and the device.
//!
//! | APNs says | is read as |
//! |---|---|
//! | 200 | taken; the provider's id is `apns-id` |
//! | 410 `Unregistered`, 410 `ExpiredToken`, 400 `BadDeviceToken` | nobody is there |
//! | 400 `DeviceTokenNotForTopic`: the token is another app's, 400 `MissingDeviceToken`, 400 `PayloadEmpty`, 413 `PayloadTooLarge` | this message is refused |
//! | 400 `BadCollapseId`, `BadExpirationDate`, `BadMessageId`, `BadPriority`, `BadTopic`, `DuplicateHeaders`, `IdleTimeout`, `InvalidPushType`, `MissingTopic`, `TopicDisallowed` | not taken for now: it would be so for everybody |
//! | 403 `BadCertificate`, `BadCertificateEnvironment`, `ExpiredProviderToken`, `Forbidden`, `InvalidProviderToken`, `MissingProviderToken`, `UnrelatedKeyIdInToken`, `BadEnvironmentKeyIdInToken`, 404 `BadPath`, 405 `MethodNotAllowed` | not taken for now: it would be so for everybody |
//! | 429 `TooManyProviderTokenUpdates`, `TooManyRequests` (to this device) | not taken for now |
//! | 503 `ServiceUnavailable`, `Shutdown` | not taken for now |
//! | 500 `InternalServerError` | unknown |
//! | everything else | as `call.rs` says |
//!
//! *Whose fault.* `BadDeviceToken` is also what every token hears at the server of the other environment (`url`), and
//! `DeviceTokenNotForTopic` with another app's `topic`. Until this process has had a message taken, both are not taken for now.
//!
//! *Limits.* APNs keeps the newest message for a device that is away, and tells nobody what became of one. A repeat is shown
//! again.

use std::sync::{Mutex, PoisonError};

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{self, Reply, default_timeout};
use super::signed::{Signer, now_seconds};
use super::{Answer, Call, Heard, Message, Secret, Transport, devices, plain_code};

/// An app of Apple's world.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The key for APNs, as Apple hands it out (`.p8`).
    pub key: Secret,
    /// Its id: ten characters.
    pub key_id: String,
    /// The developer team's id: ten characters.
    pub team_id: String,
    /// The app's bundle id.
    pub topic: String,
    /// Server of APNs; `https://api.sandbox.push.apple.com` for apps under development.
    #[serde(default = "default_url")]
    pub url: String,
    /// Sound that a device plays, such as `default`; none where it is left out.
    #[serde(default)]
    pub sound: Option<String>,
    /// Longest hand-over, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

fn default_url() -> String {
    "https://api.push.apple.com".to_owned()
}

impl Config {
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout_seconds
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = call::problems(&self.url, self.timeout_seconds, &[]);
        problems.extend(self.signer().err());
        problems
            .extend(HeaderValue::try_from(&self.topic).is_err().then(|| "transport.topic is no bundle id".to_owned()));
        problems
    }

    fn signer(&self) -> Result<Signer, String> {
        let key = self.key.of("key")?;
        Signer::es256_pem(&key, Some(self.key_id.clone())).map_err(|error| format!("transport.key: {error}"))
    }
}

#[derive(Debug)]
struct Apns {
    client: Client,
    base: Url,
    topic: String,
    sound: Option<String>,
    signer: Signer,
    team_id: String,
    heard: Heard,
    /// The token of a half hour, and which.
    kept: Mutex<Option<(i64, HeaderValue)>>,
}

pub(super) fn open(config: &Config) -> Result<Box<dyn Transport>, String> {
    let base = call::url("url", &config.url)?;
    let builder = call::client(&base, config.timeout_seconds);
    // With TLS both sides agree on HTTP/2; without it (a double, a proxy) there is nobody to ask.
    let builder = if base.scheme() == "http" { builder.http2_prior_knowledge() } else { builder };
    Ok(Box::new(Apns {
        client: builder.build().map_err(|error| error.to_string())?,
        base,
        topic: config.topic.clone(),
        sound: config.sound.clone(),
        signer: config.signer()?,
        team_id: config.team_id.clone(),
        heard: Heard::default(),
        kept: Mutex::default(),
    }))
}

impl Transport for Apns {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(async move {
            let Some(bearer) = self.bearer(now_seconds()) else { return Answer::not_taken("apns_key") };
            devices::each(&message.address, |device, alone| self.call(message, device, alone, bearer.clone())).await
        })
    }
}

/// A provider token serves so long, in seconds.
const SLOT: i64 = 30 * 60;

impl Apns {
    /// The token of this half hour.
    fn bearer(&self, now: i64) -> Option<HeaderValue> {
        let issued_at = now - now.rem_euclid(SLOT);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = kept.as_ref().filter(|(of, _)| *of == issued_at) {
            return Some(value.clone());
        }
        let token = self.signer.sign(&json!({"iss": self.team_id, "iat": issued_at})).ok()?;
        let value = call::hidden("key", &format!("bearer {token}")).ok()?;
        *kept = Some((issued_at, value.clone()));
        Some(value)
    }

    async fn call(&self, message: &Message, device: String, alone: bool, bearer: HeaderValue) -> Answer {
        // What is no token must not change the path.
        if device.is_empty() || !device.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Answer::nobody_there("BadDeviceToken");
        }
        let Ok(url) = call::under(&self.base, &format!("3/device/{device}")) else { return Answer::unfit("bad_url") };
        let expiration = now_seconds().saturating_add_unsigned(message.validity().as_secs());
        let request = self
            .client
            .post(url)
            .header(AUTHORIZATION, bearer)
            .header("apns-topic", &self.topic)
            .header("apns-push-type", "alert")
            .header("apns-priority", "10")
            .header("apns-expiration", expiration)
            .header("apns-id", id(&message.send_id, &device, alone))
            .json(&self.body(message));
        match call::ask(request).await {
            Ok(reply) => self.heard.note(read(reply, &self.heard).await),
            Err(answer) => answer,
        }
    }

    fn body(&self, message: &Message) -> Value {
        let mut alert = json!({"body": message.text});
        if let Some(title) = &message.subject {
            alert["title"] = json!(title);
        }
        let mut body = json!({"aps": {"alert": alert}, "send_id": message.send_id});
        if let Some(sound) = &self.sound {
            body["aps"]["sound"] = json!(sound);
        }
        for (name, value) in [("link", &message.link), ("receipt_token", &message.receipt_token)] {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        body
    }
}

fn id(send_id: &str, device: &str, alone: bool) -> String {
    match Uuid::parse_str(send_id) {
        Ok(send) if !alone => Uuid::new_v5(&send, device.as_bytes()).to_string(),
        _ => send_id.to_owned(),
    }
}

async fn read(reply: Reply, heard: &Heard) -> Answer {
    let (told, retry_after) = (reply.by_status(), reply.retry_after);
    if reply.status.is_success() {
        return Answer::taken(reply.header("apns-id").map(str::to_owned));
    }
    let later = |reason: &str| Answer::NotTaken { code: reason.to_owned(), retry_after };
    let reason = reply.json().await.and_then(|said| call::word(&said, "/reason"));
    match (reason.as_deref(), told) {
        (Some(reason @ ("Unregistered" | "ExpiredToken")), _) => Answer::nobody_there(reason),
        (Some(reason @ "BadDeviceToken"), _) => heard.of_address(Answer::nobody_there(reason)),
        (Some(reason @ "DeviceTokenNotForTopic"), _) => heard.of_address(Answer::refused(reason)),
        (Some(reason), _) if ABOUT_THE_MESSAGE.contains(&reason) => Answer::refused(reason),
        (Some(reason @ "Shutdown"), _) => later(reason),
        (Some(reason), Answer::NotTaken { .. }) => later(plain_code(reason).unwrap_or("apns")),
        (Some(reason), Answer::Unknown { .. }) => Answer::unknown(plain_code(reason).unwrap_or("apns")),
        (_, told) => told,
    }
}

/// Apple advises not to try these again.
const ABOUT_THE_MESSAGE: [&str; 3] = ["MissingDeviceToken", "PayloadEmpty", "PayloadTooLarge"];

#[cfg(test)]
mod tests;
