//! What Viber posts. Signed with the bot's token, over the raw body (`X-Viber-Content-Signature`).
//!
//! | Viber posts | is read as |
//! |---|---|
//! | `delivered` | DELIVERED |
//! | `seen` | OPENED, by the customer |
//! | `failed` | FAILED |
//! | `message` | REPLIED; UNSUBSCRIBED for a stop word |
//! | `unsubscribed` | UNSUBSCRIBED |
//! | `subscribed`, `conversation_started`, `webhook`, `client_status`, whatever else | nothing |
//!
//! `delivered`, `seen` and `failed` are about the `message_token` that Viber gave the message; a customer's message is about our
//! token, which stands in its `tracking_data`, else about the latest one to its sender. Why a message failed is a sentence (`desc`), so
//! there is no code.

use reqwest::header::HeaderMap;
use schemas::Status;
use serde_json::Value;

use crate::transport::hook::{Hook, Said, Secrets, address, header, id, millis, text};

/// Reads a bot's posts.
#[derive(Debug)]
pub(in crate::transport) struct Viber {
    pub(in crate::transport) secrets: Secrets,
    pub(in crate::transport) stop_words: Vec<String>,
}

impl Hook for Viber {
    fn trusts(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        header(headers, "x-viber-content-signature").is_some_and(|signature| self.secrets.signed(body, signature))
    }

    fn read(&self, body: &[u8]) -> Vec<Said> {
        let Ok(post) = serde_json::from_slice::<Value>(body) else { return vec![Said::nothing("unreadable")] };
        let of = |status| Said::of(status, id(&post, "/message_token"));
        let said = match text(&post, "/event") {
            Some("delivered") => of(Status::Delivered),
            Some("seen") => of(Status::Opened),
            Some("failed") => of(Status::Failed),
            Some("unsubscribed") => Said::of(Status::Unsubscribed, address(&post, "/user_id")),
            Some("message") => {
                let reply = Said::reply(text(&post, "/message/text"), &self.stop_words, address(&post, "/sender/id"));
                let token = text(&post, "/message/tracking_data").filter(|token| !token.is_empty());
                Said { token: token.map(str::to_owned), ..reply }
            }
            Some(_) => return vec![Said::nothing("no_information")],
            None => return vec![Said::nothing("unreadable")],
        };
        vec![said.at(millis(&post, "/timestamp"))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::hook::tests::{Posts, secrets, sign};
    use crate::transport::replies::default_stop_words;

    const TOKEN: &str = "445da6az1s345z78-dazcczb2542zv51a-e0vc5fva17480im9";

    fn viber(tokens: &[&str]) -> Viber {
        Viber { secrets: secrets(tokens), stop_words: default_stop_words() }
    }

    #[test]
    fn every_documented_post_is_read_as_the_table_says() {
        let posts = Posts::of(include_str!("../posts/viber.json"), include_str!("hook.rs"));
        posts.check(|_| Box::new(viber(&[TOKEN])));
    }

    #[test]
    fn only_what_the_bots_token_has_signed_is_believed_and_a_new_one_beside_the_old() {
        let believed = |tokens: &[&str], signature: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-viber-content-signature", signature.parse().unwrap());
            viber(tokens).trusts(&headers, b"{}")
        };
        let good = sign(TOKEN, b"{}");
        assert!(believed(&[TOKEN], &good) && believed(&["another token of ours", TOKEN], &good.to_uppercase()));
        assert!(!believed(&["another token of ours"], &good) && !believed(&[TOKEN], &good[1..]));
        assert!(!believed(&[TOKEN], &format!("é{}", &good[2..])) && !believed(&[TOKEN], &format!("+1{}", &good[2..])));
        let mut twice = HeaderMap::new();
        twice.append("x-viber-content-signature", good.parse().unwrap());
        twice.append("x-viber-content-signature", good.parse().unwrap());
        assert!(!viber(&[TOKEN]).trusts(&twice, b"{}"), "two signatures are none");
    }
}
