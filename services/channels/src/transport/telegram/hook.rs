//! What Telegram posts: one update at a time, proven by the secret that was given to `setWebhook`
//! (`X-Telegram-Bot-Api-Secret-Token`).
//!
//! | Telegram posts | is read as |
//! |---|---|
//! | `message` of a `private` chat | REPLIED; UNSUBSCRIBED for a stop word |
//! | the same, `/start` | nothing |
//! | `my_chat_member` of a `private` chat, `kicked`: the bot was blocked | UNSUBSCRIBED |
//! | the same, `member` | nothing: consent is the shop's to say |
//! | chats of several (`group`), `edited_message`, whatever else | nothing |
//!
//! All of it is about the latest message to the chat: Telegram's `message_id` names a message within its chat alone.

use reqwest::header::HeaderMap;
use schemas::Status;
use serde_json::Value;

use crate::transport::hook::{Hook, Said, Secrets, address, header, seconds, text};

/// Reads a bot's posts.
#[derive(Debug)]
pub(in crate::transport) struct Telegram {
    pub(in crate::transport) secrets: Secrets,
    pub(in crate::transport) stop_words: Vec<String>,
}

impl Hook for Telegram {
    fn trusts(&self, headers: &HeaderMap, _body: &[u8]) -> bool {
        header(headers, "x-telegram-bot-api-secret-token").is_some_and(|secret| self.secrets.hold(secret))
    }

    fn read(&self, body: &[u8]) -> Vec<Said> {
        let Ok(update) = serde_json::from_slice::<Value>(body) else { return vec![Said::nothing("unreadable")] };
        vec![self.update(&update)]
    }
}

impl Telegram {
    fn update(&self, update: &Value) -> Said {
        let (event, is_message) = match (update.get("message"), update.get("my_chat_member")) {
            (Some(message), _) => (message, true),
            (None, Some(member)) => (member, false),
            (None, None) if update.get("update_id").is_some() => return Said::nothing("no_information"),
            (None, None) => return Said::nothing("unreadable"),
        };
        match text(event, "/chat/type") {
            Some("private") => {}
            Some(_) => return Said::nothing("no_information"),
            None => return Said::nothing("unreadable"),
        }
        let (chat, at) = (address(event, "/chat/id"), seconds(event, "/date"));
        if is_message {
            let written = text(event, "/text").or_else(|| text(event, "/caption"));
            if written.is_some_and(|text| text.split_whitespace().next() == Some("/start")) {
                return Said::nothing("no_information");
            }
            return Said::reply(written, &self.stop_words, chat).at(at);
        }
        match text(event, "/new_chat_member/status") {
            Some("kicked") => Said::of(Status::Unsubscribed, chat).at(at),
            Some(_) => Said::nothing("no_information"),
            None => Said::nothing("unreadable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::hook::tests::{Posts, secrets};
    use crate::transport::replies::default_stop_words;

    fn telegram() -> Telegram {
        Telegram { secrets: secrets(&["the_secret_of_the_hook"]), stop_words: default_stop_words() }
    }

    #[test]
    fn every_documented_post_is_read_as_the_table_says() {
        let posts = Posts::of(include_str!("../posts/telegram.json"), include_str!("hook.rs"));
        posts.check(|_| Box::new(telegram()));
    }

    #[test]
    fn only_who_shows_the_secret_is_believed() {
        let believed = |secret: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-telegram-bot-api-secret-token", secret.parse().unwrap());
            telegram().trusts(&headers, b"{}")
        };
        assert!(believed("the_secret_of_the_hook"));
        assert!(!believed("the_secret_of_the_hoo") && !believed("") && !telegram().trusts(&HeaderMap::new(), b"{}"));
    }
}
