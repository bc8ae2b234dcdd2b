//! Hears what people tell a bot: asks `getUpdates`, again and again, for as long as somebody listens.
//!
//! An update is confirmed by the next question, which names the first number that is not: so it is asked for again until Kafka has what came
//! of it, also after a crash, and gets the same ids. What stands behind one that has to be said again is not told twice meanwhile.
//!
//! | `getUpdates` says | what happens |
//! |---|---|
//! | 200 | each update is a word ([`super::updates`]); what they came to confirms them |
//! | 200 with what cannot be read | it is asked for one at a time, after a pause |
//! | 409 `terminated by other getUpdates request` | another replica asks: this one rests, half a minute to two |
//! | 409 `webhook is active` | the same: the tracker hears the bot, so `receive` is of no use |
//! | 429 | it rests as long as `retry_after` says |
//! | 401, 404: the token is wrong | it rests, from a second to a minute |
//! | 500 and whatever else, no answer, no connection | the same |
//!
//! Telegram gives way to whoever asks last, so of several replicas one asks at a time, and the turn goes round: the one that was told to go
//! rests, and then takes the turn again. If one dies, another has its turn within two minutes. Telegram keeps updates for a day.
//!
//! *Limits.* A question tells of at most a hundred updates that are not confirmed: while one of them is said again and again, what stands further back waits.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::{Client, StatusCode, Url};
use schemas::Status;
use serde_json::{Value, json};
use stream::clock::Tick;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::updates;
use crate::transport::secret::Hidden;
use crate::transport::{About, Answer, Fate, Word, call};

/// Telegram waits so long for something to tell, in seconds.
pub(super) const WAIT_SECONDS: u64 = 25;

/// It is given so much longer to answer.
pub(super) const SLACK_SECONDS: u64 = 10;

/// Updates that it may tell at once: no more than its documentation allows.
const AT_ONCE: usize = 100;

/// What tells of nothing may not come sooner, or it is asked more slowly.
const SOON: Duration = Duration::from_secs(1);

/// More of an answer is not read, in bytes. The longest message takes some forty thousand.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The first rest and the longest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rests {
    /// When something is wrong.
    pub(super) trouble: (Duration, Duration),
    /// When another one asks.
    pub(super) turn: (Duration, Duration),
}

pub(super) const RESTS: Rests = Rests {
    trouble: (Duration::from_secs(1), Duration::from_secs(60)),
    turn: (Duration::from_secs(30), Duration::from_secs(120)),
};

fn rests((first, longest): (Duration, Duration)) -> ExponentialBackoff {
    let builder = ExponentialBuilder::default().with_min_delay(first).with_max_delay(longest);
    builder.with_jitter().without_max_times().build()
}

/// Asks.
#[derive(Debug)]
pub(super) struct Poller {
    pub(super) client: Client,
    /// Holds the token.
    pub(super) method: Hidden<Url>,
    pub(super) stop_words: Vec<String>,
    pub(super) words: mpsc::Sender<Word>,
    pub(super) rests: Rests,
}

/// How far it has come.
#[derive(Debug)]
struct Place {
    /// The first update that is not confirmed.
    offset: Option<i64>,
    /// What stands behind it and is done with all the same.
    done: BTreeSet<i64>,
    /// Updates to be told at once.
    at_once: usize,
}

/// Why nothing was heard.
#[derive(Debug)]
enum Silence {
    /// Another one asks.
    Turn(&'static str),
    /// Something is wrong; and what pause is wanted.
    Trouble(String, Option<Duration>),
}

/// Nobody listens any more.
#[derive(Debug)]
struct Deaf;

impl Poller {
    /// Ends when nobody listens.
    pub(super) async fn poll(self) {
        let mut place = Place { offset: None, done: BTreeSet::new(), at_once: AT_ONCE };
        let (mut trouble, mut turn) = (rests(self.rests.trouble), rests(self.rests.turn));
        loop {
            let began = Tick::now();
            let rest = match self.ask(&mut place).await {
                Ok(told) => {
                    let idle = told.is_empty() && began.elapsed() < SOON;
                    let Ok(confirmed) = self.tell(&told, &mut place).await else { return };
                    if confirmed && !idle {
                        (trouble, turn) = (rests(self.rests.trouble), rests(self.rests.turn));
                        continue;
                    }
                    trouble.next()
                }
                Err(Silence::Turn(code)) => {
                    tracing::info!(code, "somebody else hears the bot: this one tries again later");
                    self.count("conflict");
                    turn.next()
                }
                Err(Silence::Trouble(code, asked)) => {
                    tracing::warn!(code, "the bot is not heard for now");
                    self.count("not_heard");
                    asked.or_else(|| trouble.next())
                }
            };
            if self.words.is_closed() {
                return;
            }
            sleep(rest.unwrap_or(self.rests.trouble.1)).await;
        }
    }

    /// A word about nothing is counted by its label.
    fn count(&self, label: &'static str) {
        drop(self.words.try_send(Word::new(About::Nothing(label), Status::Unspecified).0));
    }

    async fn ask(&self, place: &mut Place) -> Result<Vec<Value>, Silence> {
        let mut question = json!({
            "timeout": WAIT_SECONDS, "limit": place.at_once, "allowed_updates": ["message", "my_chat_member"],
        });
        if let Some(offset) = place.offset {
            question["offset"] = json!(offset);
        }
        let request = self.client.post(self.method.0.clone()).json(&question);
        let reply = call::ask(request).await.map_err(|answer| Silence::Trouble(code_of(answer), None))?;
        let status = reply.status;
        let retry_after = reply.retry_after;
        let code = format!("http_{}", status.as_u16());
        let said = reply.json_up_to(ANSWER_BYTES_MAX).await;
        match status {
            StatusCode::OK => {
                match said.and_then(|mut said| Some(said.get_mut("result")?.as_array_mut()?.split_off(0))) {
                    Some(told) => {
                        place.at_once = AT_ONCE;
                        Ok(told)
                    }
                    None => {
                        place.at_once = 1;
                        Err(Silence::Trouble("unreadable".to_owned(), None))
                    }
                }
            }
            StatusCode::CONFLICT => {
                let said = said.unwrap_or_default();
                let is_webhook = said["description"].as_str().is_some_and(|words| words.contains("webhook is active"));
                Err(Silence::Turn(if is_webhook { "webhook_active" } else { "other_poller" }))
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let asked = said.as_ref().and_then(|said| said.pointer("/parameters/retry_after")?.as_u64());
                Err(Silence::Trouble(code, asked.map(call::pause).or(retry_after)))
            }
            _ => Err(Silence::Trouble(code, None)),
        }
    }

    /// Passes on what was told, and waits for what came of it. Whether all is confirmed by the next question.
    async fn tell(&self, told: &[Value], place: &mut Place) -> Result<bool, Deaf> {
        let mut waiting = Vec::new();
        for update in told {
            let id = updates::id(update);
            if id.is_some_and(|id| place.done.contains(&id)) {
                continue;
            }
            let (word, fate) = updates::of(update, &self.stop_words).word();
            self.words.send(word).await.map_err(|_| Deaf)?;
            waiting.push((id, fate));
        }
        let mut again = BTreeSet::new();
        let mut has_numbers = true;
        for (id, fate) in waiting {
            let is_done = matches!(fate.await, Ok(Fate::Kept | Fate::Useless));
            match id {
                Some(id) if is_done => drop(place.done.insert(id)),
                Some(id) => drop(again.insert(id)),
                // It is confirmed with the next one that has a number.
                None => has_numbers = false,
            }
        }
        let beyond = place.done.last().map(|last| last.saturating_add(1));
        place.offset = again.first().copied().or(beyond).or(place.offset);
        place.done.retain(|id| place.offset.is_none_or(|offset| *id >= offset));
        Ok(again.is_empty() && has_numbers)
    }
}

/// Why there was no answer: never the error's own words, which hold the address, and so the token.
fn code_of(answer: Answer) -> String {
    match answer {
        Answer::Unfit { code }
        | Answer::Refused { code }
        | Answer::NotTaken { code, .. }
        | Answer::Unknown { code } => code,
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests;
