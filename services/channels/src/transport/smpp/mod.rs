//! SMS by SMPP 3.4: one session for each worker, bound as a transceiver, with many messages in flight.
//!
//! [`session`] keeps the connection, [`link`] is one connection, [`submission`] makes `submit_sm` of a message, [`status`] reads the
//! answers, [`receipt`] and [`inbound`] what the provider says later. The codec of the frames is the crate `rusmpp`.
//!
//! | the provider says to `submit_sm` | is read as |
//! |---|---|
//! | 0x00 | taken; with the id of the last segment |
//! | 0x0b `RINVDSTADR` | nobody is there |
//! | 0x01 `RINVMSGLEN`, 0x45 `RSUBMITFAIL`, 0x65 `RX_P_APPN`, 0x66 `RX_R_APPN`, 0xfe `RDELIVERYFAILURE` | this message is refused |
//! | 0x58 `RTHROTTLED` | not taken for now; all calls pause for a second |
//! | 0x14 `RMSGQFUL`, 0x08 `RSYSERR`, 0x64 `RX_T_APPN` | not taken for now |
//! | 0xff `RUNKNOWNERR` | unknown |
//! | every other one of the standard: a sender, a login, a way of speaking of ours is wrong | not taken for now: it would be so for everybody |
//! | one of the provider's own (0x400 to 0x4ff), or one that is reserved | as `statuses` says, else not taken for now |
//! | no connection, no bind, no turn in the window in time: it was never written | not taken for now |
//! | the connection breaks, or there is no answer in time | unknown |
//! | 0x00 with an id that cannot be read, or in a `generic_nack` | unknown |
//!
//! *Segments.* A text goes out in the alphabet of seven bits where that has all of its characters, else in UCS-2
//! ([`schemas::sms`]). What does not fit into one message is cut, with a header in each (`concatenation = "udh"`), or goes whole into
//! `message_payload` and is cut by the provider (`"payload"`). Segments go out one after the other, each once the one before was
//! taken, and all of them within `timeout_seconds`. If the first is not taken, the message is not; if a later one is not, it is tried
//! again while there is time (each time after half a second, or the second of `RTHROTTLED`). One that is refused, or not taken in
//! time, leaves the outcome unknown (`incomplete`): a part has gone out. A repeat carries the same reference, so that a phone joins its
//! segments with those of the first trial.
//!
//! *Receipts.* They are asked for with the last segment (`receipts`), and acknowledged once Kafka has the fact. What finds their
//! send is told in [`crate::echo`].
//!
//! | `message_state` or `stat:` | status |
//! |---|---|
//! | 1 `ENROUTE`, `BUFFRED`, `SENT` | SENT |
//! | 2 `DELIVRD`, `DELIVERED` | DELIVERED |
//! | `READ`, `SEEN` | OPENED |
//! | 3 `EXPIRED` | FAILED (`expired`): EXPIRED is for what never went out |
//! | 4 `DELETED`, 5 `UNDELIV`, `FAILED`, 9 `SKIPPED` | FAILED |
//! | 5 `UNDELIV` with an `err:` of `dead_errors` | BOUNCED_HARD |
//! | 0 `SCHEDULED`, 6 `ACCEPTD`, `ACCEPTED`, `QUEUED` | ACCEPTED |
//! | 8 `REJECTD`, `REJECTED`, `REFUSED` | REFUSED |
//! | 7 `UNKNOWN`, and whatever else | nothing: it is acknowledged and counted |
//!
//! *Replies.* A message from a number that was written to in the last fourteen days, by whatever replica, is a REPLIED, and an
//! UNSUBSCRIBED if its text is one of `stop_words`; its text goes to the topic `reply`. One from anybody else is acknowledged and counted.
//!
//! *Limits.* A reply of several segments is several replies. The provider's clock is not believed: a receipt counts from when it came. Receipts
//! of segments before the last are not asked for. The system id has at most 15 characters, the password 8, as the standard says.

mod inbound;
mod link;
pub mod receipt;
mod session;
mod status;
mod submission;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;
use stream::clock::Tick;
use tokio::sync::mpsc;

use super::call::default_timeout;
use super::replies::{Said, default_memory, default_stop_words, memory_problem};
use super::{Answer, Call, Ear, Message, Secret, Transport, Word};
use crate::config::CALLS_MAX;
use inbound::Inbound;
use session::{Reply, Session};
use status::Verdict;

/// A message centre that takes SMPP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS from the first byte.
    #[serde(default)]
    pub tls: bool,
    /// File of the authorities (PEM) that may vouch for the server; the system's where it is left out.
    #[serde(default)]
    pub tls_authorities: Option<PathBuf>,
    /// Who we are.
    pub system_id: String,
    /// The password that goes with it.
    pub password: Secret,
    /// Kind of system, where the provider asks for one.
    #[serde(default)]
    pub system_type: String,
    /// The sender: a number or a name.
    pub source: String,
    /// Type of the sender's number; by its look where it is left out: 5 for a name, 1 for a number of more than six digits, 3 for a
    /// shorter one.
    #[serde(default)]
    pub source_ton: Option<u8>,
    /// Numbering plan of the sender; 0 for a name and 1 for a number where it is left out.
    #[serde(default)]
    pub source_npi: Option<u8>,
    /// Type of the customers' numbers.
    #[serde(default = "default_one")]
    pub destination_ton: u8,
    /// Numbering plan of the customers' numbers.
    #[serde(default = "default_one")]
    pub destination_npi: u8,
    /// Service type, where the provider asks for one.
    #[serde(default)]
    pub service_type: String,
    /// Messages that may be without an answer at once.
    #[serde(default = "default_window")]
    pub window: usize,
    /// After so many seconds of silence the connection is asked whether it lives.
    #[serde(default = "default_enquire")]
    pub enquire_link_seconds: u64,
    /// Longest hand-over, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
    /// How a text that does not fit into one message goes out.
    #[serde(default)]
    pub concatenation: Concatenation,
    /// `data_coding` of texts in the alphabet of seven bits; 0 is the provider's default.
    #[serde(default)]
    pub data_coding: u8,
    /// Whether receipts are asked for.
    #[serde(default = "default_receipts")]
    pub receipts: bool,
    /// How the id in a receipt is written, as against the one in the answer.
    #[serde(default)]
    pub receipt_id: ReceiptId,
    /// Sends whose receipts can be told apart, the latest ones.
    #[serde(default = "default_memory")]
    pub receipts_remembered: usize,
    /// Values of `err:` with which an `UNDELIV` says that nobody is there.
    #[serde(default)]
    pub dead_errors: Vec<String>,
    /// How long the provider may try, in minutes; until `valid_until`, but at least five minutes, where it is left out.
    #[serde(default)]
    pub validity_minutes: Option<u32>,
    /// What the provider's own answers mean, by their number: `{ 0x0401 = "refused" }`.
    #[serde(default)]
    pub statuses: BTreeMap<String, Verdict>,
    /// Replies with which a customer wants no more, in any case.
    #[serde(default = "default_stop_words")]
    pub stop_words: Vec<String>,
}

/// How a text that does not fit into one message goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Concatenation {
    /// Cut by us, with a user data header in each segment.
    #[default]
    Udh,
    /// Whole, in the parameter `message_payload`.
    Payload,
}

/// How the id in a receipt is written, as against the one in the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptId {
    /// Alike, but for case and leading zeros.
    #[default]
    Same,
    /// Hexadecimal in the receipt, decimal in the answer.
    HexToDecimal,
    /// Decimal in the receipt, hexadecimal in the answer.
    DecimalToHex,
}

fn default_one() -> u8 {
    1
}

fn default_window() -> usize {
    10
}

fn default_enquire() -> u64 {
    30
}

fn default_receipts() -> bool {
    true
}

/// Lengths that the standard allows, in characters: of the system id, the password, the system type, an address, the service type.
const LONGEST: [usize; 5] = [15, 8, 12, 20, 5];

/// What a message centre says in these bytes, as they would come over a connection: each frame is cut off, and read as the session reads
/// `deliver_sm` and `data_sm`. A frame of an impossible length ends it, as it ends a connection.
pub fn read(bytes: &[u8], config: &Config) -> Vec<Said> {
    let (words, _) = mpsc::channel(1);
    let inbound = Inbound::new(config, words);
    link::commands(bytes).iter().map(|command| inbound.read(command)).collect()
}

impl Config {
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout_seconds
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |good: bool, words: String| {
            if !good {
                problems.push(format!("transport.{words}"));
            }
        };
        let password = self.password.read();
        let texts = [
            ("system_id", Some(self.system_id.as_str())),
            ("password", password.as_deref().ok()),
            ("system_type", Some(&self.system_type)),
            ("source", Some(&self.source)),
            ("service_type", Some(&self.service_type)),
        ];
        for ((name, text), longest) in texts.into_iter().zip(LONGEST) {
            let fits =
                text.is_none_or(|text| text.len() <= longest && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            check(fits, format!("{name} must have at most {longest} characters, all of ASCII"));
        }
        check(!self.system_id.is_empty(), "system_id is empty".to_owned());
        check(!self.source.is_empty(), "source is empty: name the sender that the provider knows".to_owned());
        if let Err(error) = &password {
            check(false, format!("password: {error}"));
        }
        check((1..=CALLS_MAX).contains(&self.window), format!("window must be from 1 to {CALLS_MAX}"));
        if let Some(words) = memory_problem("receipts_remembered", self.receipts_remembered) {
            check(false, words);
        }
        check((1..=45).contains(&self.timeout_seconds), "timeout_seconds must be from 1 to 45".to_owned());
        check(
            (1..=3600).contains(&self.enquire_link_seconds),
            "enquire_link_seconds must be from 1 to 3600".to_owned(),
        );
        let days =
            self.validity_minutes.is_none_or(|minutes| (1..=submission::VALIDITY_MINUTES_MAX).contains(&minutes));
        check(days, format!("validity_minutes must be from 1 to {}", submission::VALIDITY_MINUTES_MAX));
        check(self.tls || self.tls_authorities.is_none(), "tls_authorities without tls = true says nothing".to_owned());
        if let Err(error) = status::Statuses::new(&self.statuses) {
            check(false, format!("statuses: {error}"));
        }
        if let Err(error) = link::tls(self) {
            check(false, error);
        }
        problems
    }
}

#[derive(Debug)]
struct Smpp {
    config: Config,
    statuses: status::Statuses,
    session: Session,
    ear: Mutex<Option<mpsc::Receiver<Word>>>,
}

/// Words that may wait for their fate; the provider has to say again what comes then.
const WORDS: usize = 256;

pub(super) fn open(config: &Config) -> Result<Box<dyn Transport>, String> {
    let (words, ear) = mpsc::channel(WORDS);
    let login = session::Login { password: config.password.read()?, tls: link::tls(config)? };
    Ok(Box::new(Smpp {
        statuses: status::Statuses::new(&config.statuses)?,
        session: Session::start(config.clone(), login, Inbound::new(config, words)),
        ear: Mutex::new(Some(ear)),
        config: config.clone(),
    }))
}

impl Transport for Smpp {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(async move {
            let submissions = match submission::of(message, &self.config) {
                Ok(submissions) => submissions,
                Err(code) => return Answer::unfit(code),
            };
            let until = Tick::now().after(Duration::from_secs(self.config.timeout_seconds));
            let mut last = Answer::unfit("empty");
            for (at, submission) in submissions.into_iter().enumerate() {
                last = match at {
                    0 => self.submit(submission, message, until).await,
                    _ => self.insist(submission, message, until).await,
                };
                if !matches!(last, Answer::Accepted { .. }) {
                    break;
                }
            }
            last
        })
    }

    fn is_answered(&self) -> bool {
        true
    }

    fn calls_max(&self) -> Option<usize> {
        Some(self.config.window)
    }

    fn ear(&self) -> Option<Ear> {
        let words = self.ear.lock().ok()?.take()?;
        Some(Ear { words, memory: self.config.receipts_remembered })
    }
}

impl Smpp {
    async fn submit(&self, submission: rusmpp::pdus::SubmitSm, message: &Message, until: Tick) -> Answer {
        match self.session.submit(submission, inbound::sent(message), until).await {
            Reply::Answered(status, id) => self.statuses.read(status, id),
            Reply::NotSent(code) => Answer::not_taken(code),
            Reply::Lost => Answer::unknown("connection_broke"),
            Reply::Silent => Answer::unknown("timeout"),
            Reply::Unclear => Answer::unknown("unreadable"),
        }
    }

    /// A further segment. The ones before are taken and paid for, so this one is tried again while there is time, and nothing that
    /// becomes of it makes the message one that was not taken.
    async fn insist(&self, submission: rusmpp::pdus::SubmitSm, message: &Message, until: Tick) -> Answer {
        const PAUSE: Duration = Duration::from_millis(500);
        while !until.remaining().is_zero() {
            match self.submit(submission.clone(), message, until).await {
                Answer::NotTaken { retry_after, .. } => {
                    tokio::time::sleep(retry_after.unwrap_or(PAUSE).min(until.remaining())).await;
                }
                answer @ (Answer::Accepted { .. } | Answer::Unknown { .. }) => return answer,
                _ => break,
            }
        }
        Answer::unknown("incomplete")
    }
}

#[cfg(test)]
mod tests;
