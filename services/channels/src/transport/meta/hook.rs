//! What WhatsApp, Messenger and Instagram post. Signed with the app secret, over the raw body (`X-Hub-Signature-256: sha256=…`); before
//! the first post they ask by GET whether somebody listens who knows the `hub.verify_token`.
//!
//! | Meta posts | is read as |
//! |---|---|
//! | WhatsApp: `statuses`, `sent` | SENT |
//! | `delivered` | DELIVERED |
//! | `read`, `played` | OPENED, by the customer |
//! | `failed` | FAILED; the code is `errors[0].code`, such as `131026` |
//! | `failed` with `131050`: he has stopped marketing messages | UNSUBSCRIBED |
//! | `user_preferences`: `marketing_messages`, `stop` | UNSUBSCRIBED |
//! | the same, `resume` | nothing: consent is the shop's to say |
//! | `messages` of a customer: `text`, `button`, `interactive`, `image` and others | REPLIED; UNSUBSCRIBED for a stop word |
//! | `reaction`, `system`, `unsupported`, `errors` | nothing |
//! | Messenger, Instagram: `message`, `postback` | REPLIED; UNSUBSCRIBED for a stop word |
//! | `delivery` with `mids` | DELIVERED, each of them |
//! | `read` with `mid` (Instagram) | OPENED, by the customer |
//! | `delivery` or `read` with `watermark` alone (Messenger) | nothing: which messages stood before it is not said |
//! | `is_echo`, `is_deleted`, `standby`, whatever else | nothing |
//! | what is for another `sender` or product of the same app | nothing |
//!
//! A status is about our token (`biz_opaque_callback_data`), else about the message's `id`. An answer is about the message that it
//! quotes (`context.id`, `reply_to.mid`), else about the latest one to its sender. Where WhatsApp has shown a message at once,
//! only `read` comes: that it was delivered follows.

use reqwest::header::HeaderMap;
use schemas::Status;
use serde_json::Value;

use super::Product;
use crate::transport::About;
use crate::transport::hook::{Hook, Said, Secrets, address, header, id, list, millis, seconds, text, word};

/// Longest challenge that is given back, in bytes.
const CHALLENGE_BYTES_MAX: usize = 200;

/// The customer wants no marketing messages by WhatsApp.
const STOPPED: u64 = 131_050;

/// Reads one product's posts.
#[derive(Debug)]
pub(in crate::transport) struct Meta {
    pub(in crate::transport) secrets: Secrets,
    pub(in crate::transport) stop_words: Vec<String>,
    pub(in crate::transport) verify: Secrets,
    pub(in crate::transport) product: Product,
    pub(in crate::transport) sender: String,
}

impl Hook for Meta {
    fn challenge(&self, query: &[(String, String)]) -> Option<String> {
        let only = |name: &str| {
            let mut all = query.iter().filter(|(key, _)| key == name);
            all.next().filter(|_| all.next().is_none()).map(|(_, value)| value.as_str())
        };
        let knows = self.verify.hold(only("hub.verify_token")?);
        // Meta's are numbers; nothing else is written into a page of ours.
        let challenge = only("hub.challenge")
            .filter(|text| text.len() <= CHALLENGE_BYTES_MAX && text.chars().all(|c| c.is_ascii_alphanumeric()))?;
        (knows && only("hub.mode") == Some("subscribe")).then(|| challenge.to_owned())
    }

    fn trusts(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let signature = header(headers, "x-hub-signature-256").and_then(|value| value.strip_prefix("sha256="));
        signature.is_some_and(|signature| self.secrets.signed(body, signature))
    }

    fn read(&self, body: &[u8]) -> Vec<Said> {
        let Ok(post) = serde_json::from_slice::<Value>(body) else { return vec![Said::nothing("unreadable")] };
        let object = match self.product {
            Product::Whatsapp => "whatsapp_business_account",
            Product::Messenger => "page",
            Product::Instagram => "instagram",
        };
        if text(&post, "/object") != Some(object) {
            return vec![Said::nothing("another_sender")];
        }
        let said: Vec<Said> = match self.product {
            Product::Whatsapp => {
                list(&post, "/entry").flat_map(|entry| list(entry, "/changes")).flat_map(|it| self.change(it)).collect()
            }
            Product::Messenger | Product::Instagram => {
                list(&post, "/entry").flat_map(|entry| self.conversation(entry)).collect()
            }
        };
        if said.is_empty() { vec![Said::nothing("no_information")] } else { said }
    }
}

impl Meta {
    fn change(&self, change: &Value) -> Vec<Said> {
        let Some(value) = change.get("value") else { return vec![Said::nothing("unreadable")] };
        if word(value, "/metadata/phone_number_id").as_deref() != Some(self.sender.as_str()) {
            return vec![Said::nothing("another_sender")];
        }
        let statuses = list(value, "/statuses").map(status);
        let preferences = list(value, "/user_preferences").map(preference);
        let messages = list(value, "/messages").map(|message| self.message(message));
        let errors = list(value, "/errors").map(|_| Said::nothing("no_information"));
        statuses.chain(preferences).chain(messages).chain(errors).collect()
    }

    fn message(&self, message: &Value) -> Said {
        let Some(kind) = text(message, "/type") else { return Said::nothing("unreadable") };
        let written = match kind {
            "reaction" | "system" | "unsupported" => return Said::nothing("no_information"),
            "text" => text(message, "/text/body"),
            "button" => text(message, "/button/text"),
            "interactive" => text(message, "/interactive/button_reply/title")
                .or_else(|| text(message, "/interactive/list_reply/title")),
            other => text(message, &format!("/{}/caption", other.replace(['/', '~'], ""))),
        };
        // What quotes a message of his own is about no send.
        let is_ours = word(message, "/context/from") != word(message, "/from");
        let quoted = id(message, "/context/id").filter(|_| is_ours);
        let about = quoted.into_iter().chain(address(message, "/from"));
        Said::reply(written, &self.stop_words, about).at(seconds(message, "/timestamp"))
    }

    fn conversation(&self, entry: &Value) -> Vec<Said> {
        if word(entry, "/id").as_deref() != Some(self.sender.as_str()) {
            return vec![Said::nothing("another_sender")];
        }
        list(entry, "/messaging").flat_map(|event| self.event(event)).collect()
    }

    fn event(&self, event: &Value) -> Vec<Said> {
        let at = millis(event, "/timestamp");
        let from = || address(event, "/sender/id");
        if let Some(message) = event.get("message") {
            if message.get("is_echo").is_some() || message.get("is_deleted").is_some() {
                return vec![Said::nothing("no_information")];
            }
            let about = id(message, "/reply_to/mid").into_iter().chain(from());
            return vec![Said::reply(text(message, "/text"), &self.stop_words, about).at(at)];
        }
        if event.get("postback").is_some() {
            return vec![Said::reply(text(event, "/postback/title"), &self.stop_words, from()).at(at)];
        }
        let delivered = list(event, "/delivery/mids").map(|mid| Said::of(Status::Delivered, id(mid, "")).at(at));
        let read = id(event, "/read/mid").map(|about| Said::of(Status::Opened, [about]).at(at));
        let said: Vec<Said> = delivered.chain(read).collect();
        if said.is_empty() { vec![Said::nothing("no_information")] } else { said }
    }
}

fn status(status: &Value) -> Said {
    let error = status.pointer("/errors/0/code").and_then(Value::as_u64);
    let is = match text(status, "/status") {
        Some("sent") => Status::Sent,
        Some("delivered") => Status::Delivered,
        Some("read" | "played") => Status::Opened,
        Some("failed") if error == Some(STOPPED) => Status::Unsubscribed,
        Some("failed") => Status::Failed,
        Some(_) => return Said::nothing("no_information"),
        None => return Said::nothing("unreadable"),
    };
    Said {
        token: text(status, "/biz_opaque_callback_data").map(str::to_owned),
        code: error.filter(|_| is != Status::Sent).map(|code| format!("meta_{code}")),
        ..Said::of(is, id(status, "/id")).at(seconds(status, "/timestamp"))
    }
}

fn preference(preference: &Value) -> Said {
    match (text(preference, "/category"), text(preference, "/value")) {
        (Some("marketing_messages"), Some("stop")) => {
            let about: Option<About> = address(preference, "/wa_id");
            Said::of(Status::Unsubscribed, about).at(seconds(preference, "/timestamp"))
        }
        (Some(_), Some(_)) => Said::nothing("no_information"),
        _ => Said::nothing("unreadable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::hook::tests::{Posts, secrets, sign};

    fn meta(product: Product, sender: &str) -> Meta {
        Meta {
            secrets: secrets(&["the app secret of the shop"]),
            stop_words: crate::transport::replies::default_stop_words(),
            verify: secrets(&["the token that was agreed"]),
            product,
            sender: sender.to_owned(),
        }
    }

    #[test]
    fn every_documented_post_is_read_as_the_table_says() {
        Posts::of(include_str!("../posts/meta.json"), include_str!("hook.rs")).check(|post| {
            let product = match post.hook.as_str() {
                "whatsapp" => Product::Whatsapp,
                "messenger" => Product::Messenger,
                "instagram" => Product::Instagram,
                other => panic!("{other} is no product"),
            };
            Box::new(meta(product, if product == Product::Whatsapp { "106540352242922" } else { "1906385232743451" }))
        });
    }

    /// The example that Meta's documents sign: digits in lower case behind `sha256=`.
    #[test]
    fn only_what_the_app_has_signed_is_believed() {
        let hook = meta(Product::Whatsapp, "1");
        let signed = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-hub-signature-256", value.parse().unwrap());
            hook.trusts(&headers, b"{}")
        };
        let good = sign("the app secret of the shop", b"{}");
        assert!(signed(&format!("sha256={good}")));
        assert!(!signed(&good) && !signed("sha256=") && !signed(&format!("sha1={good}")));
        assert!(!signed(&format!("sha256={}", sign("another app's secret", b"{}"))));
        assert!(!signed(&format!("sha256={}", sign("the app secret of the shop", b"{ }"))));
        assert!(!hook.trusts(&HeaderMap::new(), b"{}"));
    }

    #[test]
    fn only_who_knows_what_was_agreed_hears_the_challenge_again() {
        let hook = meta(Product::Whatsapp, "1");
        let asked = |pairs: &[(&str, &str)]| {
            let query: Vec<_> = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            hook.challenge(&query)
        };
        let (mode, token) = (("hub.mode", "subscribe"), ("hub.verify_token", "the token that was agreed"));
        let challenge = ("hub.challenge", "1158201444");
        assert_eq!(asked(&[mode, token, challenge]).as_deref(), Some("1158201444"));
        assert_eq!(asked(&[mode, ("hub.verify_token", "a guess that is wrong"), challenge]), None);
        assert_eq!(asked(&[("hub.mode", "unsubscribe"), token, challenge]), None);
        assert_eq!(asked(&[mode, token, ("hub.challenge", "<script>")]), None);
        assert_eq!(asked(&[mode, token, ("hub.verify_token", "x"), challenge]), None, "two of them");
        assert_eq!(asked(&[mode, challenge]), None);
    }
}
