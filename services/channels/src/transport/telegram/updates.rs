//! What people tell a bot: updates of the Bot API, as `getUpdates` lists them and as they are posted to a webhook.
//!
//! | the update | is read as |
//! |---|---|
//! | `message` in a `private` chat, with `text` or `caption` | REPLIED, with the text |
//! | the same with a stop word, also as a command: `/stop` | UNSUBSCRIBED |
//! | the same with `/start`, or `/start` and a word | nothing: the bot was opened |
//! | `message` with a `photo`, `voice`, `sticker`, `contact`, `location` or the like and no words | REPLIED, without a text: what was sent stands in the bot's chat alone |
//! | `my_chat_member` in a `private` chat, the new status `kicked` | UNSUBSCRIBED: the bot was blocked |
//! | the same with `member` | nothing: it is no longer blocked, but a consent comes from the shop |
//! | `message` with `pinned_message` or another word of the service; one of a bot (`is_bot`) | nothing |
//! | whatever is said in a `group`, `supergroup` or `channel` | nothing |
//! | `edited_message`, and every other kind | nothing |
//! | what has no `update_id`, no chat, or is no JSON | nothing (`unreadable`) |
//!
//! A reply is about the latest send to its chat: Telegram numbers messages anew in each chat, so the number that one answers
//! (`reply_to_message`) says less than the chat does.

use schemas::Status;
use serde_json::Value;

use crate::transport::About;
use crate::transport::replies::{self, Said, Text};

/// What a person can send instead of words.
const KINDS: [&str; 14] = [
    "animation",
    "audio",
    "contact",
    "dice",
    "document",
    "game",
    "location",
    "photo",
    "poll",
    "sticker",
    "venue",
    "video",
    "video_note",
    "voice",
];

/// Reads an update that was posted. Never fails: what cannot be read says nothing.
pub fn read(bytes: &[u8], stop_words: &[String]) -> Said {
    serde_json::from_slice(bytes).map_or_else(|_| Said::nothing("unreadable"), |update| of(&update, stop_words))
}

/// The number of an update: later ones have higher numbers.
pub(super) fn id(update: &Value) -> Option<i64> {
    update["update_id"].as_i64()
}

/// What an update says.
pub(super) fn of(update: &Value, stop_words: &[String]) -> Said {
    if id(update).is_none() {
        return Said::nothing("unreadable");
    }
    match (update.get("message"), update.get("my_chat_member")) {
        (Some(message), _) => in_private(message, |chat| written(message, chat, stop_words)),
        (_, Some(change)) => in_private(change, |chat| changed(change, chat)),
        _ => Said::nothing(NOTHING),
    }
}

/// There is no news of a send in it.
const NOTHING: &str = "no_information";

fn in_private(event: &Value, read: impl FnOnce(String) -> Said) -> Said {
    let chat = &event["chat"];
    let Some(id) = chat["id"].as_i64() else { return Said::nothing("unreadable") };
    if chat["type"] != "private" || event["from"]["is_bot"] == true {
        return Said::nothing(NOTHING);
    }
    // Telegram counts in seconds.
    let occurred_at = event["date"].as_i64().and_then(|seconds| seconds.checked_mul(1_000));
    Said { occurred_at, ..read(id.to_string()) }
}

fn written(message: &Value, chat: String, stop_words: &[String]) -> Said {
    let words = message["text"].as_str().or_else(|| message["caption"].as_str()).unwrap_or_default();
    let command = words.split_whitespace().next().unwrap_or_default();
    if command == "/start" || words.trim().is_empty() && !KINDS.iter().any(|kind| message.get(kind).is_some()) {
        return Said::nothing(NOTHING);
    }
    let bare = words.trim().trim_start_matches('/');
    Said { status: replies::status(bare, stop_words), text: Text::of(words), ..Said::of(About::Address(chat)) }
}

fn changed(change: &Value, chat: String) -> Said {
    match change["new_chat_member"]["status"].as_str() {
        Some("kicked") => Said { status: Status::Unsubscribed, ..Said::of(About::Address(chat)) },
        _ => Said::nothing(NOTHING),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::double::recorded;
    use super::*;

    /// As the samples write it.
    fn shown(said: &Said) -> String {
        match &said.about {
            About::Address(chat) => {
                let text = said.text.as_ref().map_or("-", Text::as_str);
                format!("{} {chat} {} {text}", said.status, said.occurred_at.unwrap_or_default())
            }
            About::Nothing(why) => (*why).to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_documented_update_is_read_as_the_table_says_and_as_a_webhook_posts_it() {
        let words = replies::default_stop_words();
        for sample in recorded(include_str!("../answers/telegram_updates.json"), include_str!("updates.rs")) {
            let said = of(&sample.body, &words);
            assert_eq!(shown(&said), sample.read_as, "{}", sample.about);
            assert_eq!(read(&sample.bytes(), &words), said, "{}", sample.about);
        }
    }

    #[test]
    fn what_is_cut_or_bent_says_nothing_and_harms_nobody() {
        let message = json!({"chat": {"id": 7, "type": "private"}, "from": {"is_bot": false}, "date": 1, "text": "да"});
        let whole = json!({"update_id": 1, "message": message}).to_string();
        for end in 0..whole.len() {
            assert_eq!(read(&whole.as_bytes()[..end], &[]), Said::nothing("unreadable"), "cut at {end}");
        }
        for bent in
            [json!(null), json!([]), json!({"update_id": "1", "message": {}}), json!({"update_id": 1, "message": 7})]
        {
            assert_eq!(of(&bent, &[]), Said::nothing("unreadable"), "{bent}");
        }
        let far =
            json!({"update_id": 1, "message": {"chat": {"id": 7, "type": "private"}, "date": i64::MAX, "text": "x"}});
        assert_eq!(of(&far, &[]).occurred_at, None);
    }
}
