//! What VK posts (Callback API). Each post holds the `secret` that was set for it; and VK wants to hear `ok`.
//!
//! | VK posts (`type`) | is read as |
//! |---|---|
//! | `confirmation` of our `group_id` | nothing; the answer is the string that it wants to hear |
//! | `message_new` of a person | REPLIED; UNSUBSCRIBED for a stop word |
//! | the same in a chat of several (a `peer_id` from 2000000000), or of a community | nothing |
//! | `message_deny` | UNSUBSCRIBED |
//! | `message_allow`, `message_reply`, whatever else | nothing |
//! | what is for another `group_id` | nothing |
//!
//! A message is about the one that it answers (`reply_message`), else about the latest one to its sender. VK tells nobody here whether
//! a message was delivered or read.
//!
//! *Limits.* Whoever reads one post knows the secret: VK signs nothing. So the address must be one of https, as VK demands.

use reqwest::header::HeaderMap;
use schemas::Status;
use serde::Deserialize;
use serde_json::Value;

use crate::transport::hook::{Hook, Said, Secrets, address, id, seconds, text};

/// From here on a `peer_id` is a chat of several.
const CHATS: i64 = 2_000_000_000;

/// Reads a community's posts.
#[derive(Debug)]
pub(in crate::transport) struct Vk {
    pub(in crate::transport) secrets: Secrets,
    pub(in crate::transport) stop_words: Vec<String>,
    pub(in crate::transport) group: u64,
    pub(in crate::transport) confirmation: String,
}

/// What is read of a post before it is believed.
#[derive(Deserialize)]
struct Signed {
    secret: String,
}

impl Hook for Vk {
    fn trusts(&self, _headers: &HeaderMap, body: &[u8]) -> bool {
        // A field that is there twice is no field.
        serde_json::from_slice::<Signed>(body).is_ok_and(|signed| self.secrets.hold(&signed.secret))
    }

    fn read(&self, body: &[u8]) -> Vec<Said> {
        let Ok(post) = serde_json::from_slice::<Value>(body) else { return vec![Said::nothing("unreadable")] };
        if post.pointer("/group_id").and_then(Value::as_u64) != Some(self.group) {
            return vec![Said::nothing("another_sender")];
        }
        vec![match text(&post, "/type") {
            // Before version 5.103 the object is the message.
            Some("message_new") => self.message(post.pointer("/object/message").unwrap_or_else(|| &post["object"])),
            Some("message_deny") => Said::of(Status::Unsubscribed, address(&post, "/object/user_id")),
            Some(_) => Said::nothing("no_information"),
            None => Said::nothing("unreadable"),
        }]
    }

    fn answer(&self, body: &[u8]) -> String {
        let post = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let is_ours = post.pointer("/group_id").and_then(Value::as_u64) == Some(self.group);
        let asks = is_ours && text(&post, "/type") == Some("confirmation");
        if asks { self.confirmation.clone() } else { "ok".to_owned() }
    }
}

impl Vk {
    fn message(&self, message: &Value) -> Said {
        let number = |path: &str| message.pointer(path).and_then(Value::as_i64);
        let (Some(from), Some(peer)) = (number("/from_id"), number("/peer_id")) else {
            return Said::nothing("unreadable");
        };
        if from <= 0 || peer >= CHATS {
            return Said::nothing("no_information");
        }
        let about = id(message, "/reply_message/id").into_iter().chain(address(message, "/peer_id"));
        Said::reply(text(message, "/text"), &self.stop_words, about).at(seconds(message, "/date"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::hook::tests::{Posts, secrets};
    use crate::transport::replies::default_stop_words;

    fn vk() -> Vk {
        let (secrets, confirmation) = (secrets(&["aaQ13axAPQEcczQa"]), "e7e13fe2".to_owned());
        Vk { secrets, stop_words: default_stop_words(), group: 1, confirmation }
    }

    #[test]
    fn every_documented_post_is_read_as_the_table_says() {
        let posts = Posts::of(include_str!("../posts/vk.json"), include_str!("hook.rs"));
        posts.check(|_| Box::new(vk()));
    }

    #[test]
    fn only_who_knows_the_secret_is_believed() {
        let believed = |body: &str| vk().trusts(&HeaderMap::new(), body.as_bytes());
        assert!(believed(r#"{"type": "x", "secret": "aaQ13axAPQEcczQa"}"#));
        assert!(!believed(r#"{"type": "x", "secret": "aaQ13axAPQEcczQb"}"#) && !believed(r#"{"type": "x"}"#));
        assert!(!believed(r#"{"secret": "guess", "secret": "aaQ13axAPQEcczQa"}"#), "which of both?");
        assert!(!believed(r#"{"secret": ["aaQ13axAPQEcczQa"]}"#) && !believed("aaQ13axAPQEcczQa"));
    }

    #[test]
    fn vk_hears_what_it_wants_to_hear() {
        let answer = |body: &str| vk().answer(body.as_bytes());
        assert_eq!(answer(r#"{"type": "confirmation", "group_id": 1}"#), "e7e13fe2");
        assert_eq!(answer(r#"{"type": "confirmation", "group_id": 2}"#), "ok");
        assert_eq!(answer(r#"{"type": "message_new", "group_id": 1}"#), "ok");
    }
}
