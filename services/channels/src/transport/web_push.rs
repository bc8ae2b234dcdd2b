//! Push to browsers (RFC 8030), encrypted for the browser alone (RFC 8291), with our name on it (VAPID, RFC 8292).
//!
//! The address is the JSON of the browser's `PushSubscription`, or a list of such (`devices.rs`):
//!
//! ```json
//! {"endpoint": "https://…", "keys": {"p256dh": "…", "auth": "…"}}
//! ```
//!
//! The service worker gets `{"send_id", "title", "body", "link", "receipt_token"}`, fields without a value left out, and shows
//! it. What cannot be handed to the browser while the message is valid is dropped (`TTL`). The push service keeps one message for
//! each send (`Topic`): a repeat takes the place of the first one that still waits there.
//!
//! The endpoint is somebody else's word: only public hosts are called, by https (`guard.rs`).
//!
//! | the push service says | is read as |
//! |---|---|
//! | 201, 202 | taken |
//! | 410 | nobody is there |
//! | 404 | nobody is there; until this process has had a message taken, it is not taken for now (`heard.rs`) |
//! | 413, 400 | this message is refused; the same: the fault may be ours |
//! | 429, 503 | not taken for now; `retry-after` is kept for all calls of this push service |
//! | 401, 403: our name is not believed | not taken for now: it would be so for everybody |
//! | everything else, also 307 and 500 | as `call.rs` says |
//!
//! A subscription that cannot be read: nobody is there. An endpoint that is not https or not public: the message is refused.
//!
//! *Outages.* Each endpoint names its push service, and a subscriber may write any there. So a service that is down, or asks for a
//! pause, is left alone by itself (`service_paused`), and never holds up the calls of another: the channel does not pause.
//!
//! *Limits.* A push service tells nobody what became of a message; only the service worker can (`receipt_token`). 403 is also said to
//! the subscriptions of a former key: after a change of keys browsers have to subscribe anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;
use stream::clock::Tick;
use web_push_native::p256::elliptic_curve::sec1::ToEncodedPoint;
use web_push_native::p256::pkcs8::DecodePrivateKey;
use web_push_native::p256::{PublicKey, SecretKey};
use web_push_native::{Auth, encrypt};

use super::call::{self, Reply, default_timeout};
use super::guard::{self, Unfit};
use super::signed::{Signer, now_seconds};
use super::{Answer, Call, Heard, Message, Secret, Transport, devices};
use crate::breaker::Breaker;

/// An application server, as browsers call whoever sends pushes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The private key whose public half the pages subscribe with: PEM (PKCS#8), or its 32 bytes in base64url.
    pub key: Secret,
    /// Whom a push service may ask: `mailto:push@shop.example` or an https address.
    pub subject: String,
    /// How urgent it is to wake a device: `very-low`, `low`, `normal` or `high`.
    #[serde(default = "default_urgency")]
    pub urgency: String,
    /// Calls endpoints that are not https or not public, too: for tests, or behind a proxy that guards.
    #[serde(default)]
    pub allow_private_hosts: bool,
    /// Longest hand-over, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

fn default_urgency() -> String {
    "normal".to_owned()
}

impl Config {
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout_seconds
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = call::timeout_problem(self.timeout_seconds);
        problems.extend(self.key().err());
        if !self.subject.starts_with("mailto:") && !self.subject.starts_with("https://") {
            problems.push("transport.subject must begin with mailto: or https://".to_owned());
        }
        if !["very-low", "low", "normal", "high"].contains(&&*self.urgency) {
            problems.push("transport.urgency must be very-low, low, normal or high".to_owned());
        }
        problems
    }

    fn key(&self) -> Result<SecretKey, String> {
        let text = self.key.of("key")?;
        let bytes = || SecretKey::from_slice(&unpadded(&text)?).ok();
        SecretKey::from_pkcs8_pem(&text)
            .ok()
            .or_else(bytes)
            .ok_or_else(|| "transport.key is no P-256 key: neither PEM (PKCS#8) nor 32 bytes in base64url".to_owned())
    }
}

#[derive(Debug)]
struct WebPush {
    client: Client,
    signer: Signer,
    /// The public key, as the header wants it.
    name: String,
    subject: String,
    urgency: String,
    allow_private: bool,
    heard: Heard,
    /// Push services that took nothing lately, by their origins.
    failing: Mutex<HashMap<String, Failing>>,
}

/// More failing push services are not told apart: then all of them are tried again.
const FAILING_MAX: usize = 10_000;

pub(super) fn open(config: &Config) -> Result<Box<dyn Transport>, String> {
    let key = config.key()?;
    let client = guard::client(None, config.timeout_seconds, config.allow_private_hosts).build();
    Ok(Box::new(WebPush {
        client: client.map_err(|error| error.to_string())?,
        signer: Signer::es256(&key, None)?,
        name: URL_SAFE_NO_PAD.encode(key.public_key().to_encoded_point(false).as_bytes()),
        subject: config.subject.clone(),
        urgency: config.urgency.clone(),
        allow_private: config.allow_private_hosts,
        heard: Heard::default(),
        failing: Mutex::default(),
    }))
}

impl Transport for WebPush {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(devices::each(&message.address, |subscription, _| self.call(message, subscription)))
    }

    fn is_one_provider(&self) -> bool {
        false
    }

    /// 410 is the protocol's own word for a subscription that has ended.
    fn is_own_word(&self, code: &str) -> bool {
        code == "http_410" || !code.starts_with("http_")
    }
}

/// A message of more bytes need not be taken by a push service (RFC 8291, section 4).
const PLAIN_BYTES_MAX: usize = 3_993;

/// Push services believe a token for at most a day.
const TOKEN_SECONDS: i64 = 12 * 3_600;

impl WebPush {
    async fn call(&self, message: &Message, subscription: String) -> Answer {
        let Some(browser) = Browser::parse(&subscription) else { return Answer::nobody_there("bad_subscription") };
        match guard::check(&browser.endpoint, self.allow_private) {
            Ok(()) => {}
            Err(Unfit::Scheme) => return Answer::unfit("not_https"),
            Err(Unfit::Private) => return Answer::unfit("private_host"),
        }
        let plain = body(message);
        if plain.len() > PLAIN_BYTES_MAX {
            return Answer::unfit("too_large");
        }
        let Ok(sealed) = encrypt(plain, &browser.key, &browser.auth) else {
            return Answer::nobody_there("bad_subscription");
        };
        let Some(vapid) = self.vapid(&browser.endpoint) else { return Answer::not_taken("vapid_key") };
        let Some(out) = self.begin(browser.endpoint.origin().ascii_serialization()) else {
            return Answer::not_taken("service_paused");
        };
        let request = self
            .client
            .post(browser.endpoint)
            .header(AUTHORIZATION, vapid)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_ENCODING, "aes128gcm")
            .header("ttl", message.validity().as_secs())
            .header("urgency", &self.urgency)
            .header("topic", topic(&message.send_id))
            .body(sealed);
        let answer = match call::ask(request).await {
            Ok(reply) => self.heard.note(read(&reply, &self.heard)),
            Err(answer) => answer,
        };
        out.learn(&answer);
        answer
    }

    /// A call to a push service begins, unless that is left alone.
    fn begin(&self, service: String) -> Option<Out<'_>> {
        if let Some(Failing { breaker, out }) = self.failing().get_mut(&service) {
            if breaker.admits(*out, usize::MAX, Tick::now()) == 0 {
                return None;
            }
            *out += 1;
        }
        Some(Out { push: self, service })
    }

    fn failing(&self) -> MutexGuard<'_, HashMap<String, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who we are, to this push service and for half a day.
    fn vapid(&self, endpoint: &Url) -> Option<reqwest::header::HeaderValue> {
        let claims = json!({
            "aud": endpoint.origin().ascii_serialization(),
            "exp": now_seconds() + TOKEN_SECONDS,
            "sub": self.subject,
        });
        let token = self.signer.sign(&claims).ok()?;
        call::hidden("key", &format!("vapid t={token}, k={}", self.name)).ok()
    }
}

/// A push service that has failed, and the calls to it that are under way since.
#[derive(Debug, Default)]
struct Failing {
    breaker: Breaker,
    out: usize,
}

/// A call under way to a push service; counted out when it is over, also by being given up.
struct Out<'a> {
    push: &'a WebPush,
    service: String,
}

impl Out<'_> {
    fn learn(&self, answer: &Answer) {
        let mut failing = self.push.failing();
        if matches!(answer, Answer::NotTaken { .. } | Answer::Unknown { .. }) {
            if failing.len() >= FAILING_MAX {
                failing.clear();
            }
            failing.entry(self.service.clone()).or_default();
        }
        let Some(Failing { breaker, .. }) = failing.get_mut(&self.service) else { return };
        breaker.learn(answer, Tick::now());
        if breaker.is_well() {
            failing.remove(&self.service);
        }
    }
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        if let Some(Failing { out, .. }) = self.push.failing().get_mut(&self.service) {
            *out = out.saturating_sub(1);
        }
    }
}

/// At most 32 characters of base64url (RFC 8030, section 5.4): just what a UUID without its strokes is.
fn topic(send_id: &str) -> String {
    send_id.chars().filter(char::is_ascii_alphanumeric).take(32).collect()
}

fn body(message: &Message) -> Vec<u8> {
    let mut body = json!({"send_id": message.send_id, "body": message.text});
    for (name, value) in
        [("title", &message.subject), ("link", &message.link), ("receipt_token", &message.receipt_token)]
    {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    body.to_string().into_bytes()
}

fn read(reply: &Reply, heard: &Heard) -> Answer {
    let code = format!("http_{}", reply.status.as_u16());
    match reply.status {
        status if status.is_success() => Answer::taken(None),
        StatusCode::NOT_FOUND | StatusCode::GONE => Answer::nobody_there(code),
        StatusCode::BAD_REQUEST => heard.of_address(Answer::refused(code)),
        StatusCode::PAYLOAD_TOO_LARGE => Answer::refused(code),
        _ => reply.by_status(),
    }
}

/// Whom a message is encrypted for.
struct Browser {
    endpoint: Url,
    key: PublicKey,
    auth: Auth,
}

impl Browser {
    fn parse(subscription: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Subscription {
            endpoint: String,
            keys: Keys,
        }
        #[derive(Deserialize)]
        struct Keys {
            p256dh: String,
            auth: String,
        }
        let Subscription { endpoint, keys } = serde_json::from_str(subscription).ok()?;
        let endpoint = Url::parse(&endpoint).ok()?;
        let auth: [u8; 16] = unpadded(&keys.auth)?.try_into().ok()?;
        Some(Browser { endpoint, key: PublicKey::from_sec1_bytes(&unpadded(&keys.p256dh)?).ok()?, auth: auth.into() })
    }
}

/// Base64url, which some write with padding.
fn unpadded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests;
