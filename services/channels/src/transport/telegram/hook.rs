//! What Telegram posts: one update at a time, proven by the secret that was given to `setWebhook`
//! (`X-Telegram-Bot-Api-Secret-Token`). It is read as `getUpdates` would have told it ([`super::updates`]). Telegram posts nothing while a
//! worker asks for the same (`receive`), and tells a worker nothing while there is a webhook.

use reqwest::header::HeaderMap;

use super::updates;
use crate::transport::hook::{Hook, Said, Secrets, header};

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
        vec![updates::read(body, &self.stop_words).into()]
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
    fn every_documented_post_is_read_as_an_update_is() {
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
