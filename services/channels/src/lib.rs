//! Channel workers: they hand send commands over to providers, and say what became of each.
//!
//! *The way of a command.* [`worker`] reads it from `send.<channel>` into the [`lane`] of its partition. There it waits for its
//! turn (rate limit, circuit breaker, an earlier message to the same customer). When that comes, its message is rendered, and
//! the worker takes a [`look`] at `revoke`. What was withdrawn or is too late goes no further. For the rest an intent is
//! written to `attempt.<channel>` in a transaction; only after it is committed the provider is called ([`calls`],
//! [`transport`]). The answer goes to `attempt.<channel>` and to `feedback`, in one transaction with the group's offsets.
//!
//! *Ways to providers*, by `kind` of `[channel.<name>.transport]`. Each one's page has a table of its provider's answers and what
//! they are read as; what they share about HTTP stands in `transport/call.rs`. A mark: P the provider hands our receipt token back,
//! I it knows repeats by the send's id, V it is told how long a message is valid, A the worker hears what people answer ([`echo`]), H
//! the tracker hears what it posts ([`transport::hook`]).
//!
//! | kind | what it is | address | |
//! |---|---|---|---|
//! | `email` | mail by SMTP | mail address | |
//! | `http` | anything that takes JSON by HTTP POST | whatever the gateway wants | P I H |
//! | `fcm` | mobile push by Firebase Cloud Messaging | registration token, or a JSON list of them | P V |
//! | `apns` | mobile push by Apple | device token, or a JSON list of them | P V |
//! | `web_push` | push to browsers, encrypted | the browser's subscription (JSON), or a list of them | P V, I while it waits |
//! | `telegram` | a Telegram bot | chat id | A (with `receive`), else H |
//! | `meta` | WhatsApp (Cloud API), Messenger, Instagram | phone number, or the person's id | P (WhatsApp), H |
//! | `viber` | a Viber bot | subscriber id | P (in replies), H |
//! | `vk` | a community of VK | user id | I H |
//! | `smpp` | SMS by SMPP 3.4 | phone number | V A |
//! | `exolve` | SMS by MTS Exolve | phone number | H (`http`) |
//! | `routes` | several of these, of which the next takes over when one is out | as theirs | I V A of theirs |
//! | `webhook` | a signed webhook: a gateway of one's own, a call or another task of a CRM | whatever the receiver wants | P I V |
//! | `nowhere` | nobody: for the canary | whatever | |
//!
//! *What holds.*
//! * A provider is called at most [`look::AGE_MAX`] after a moment up to which every withdrawal was read. The time between is
//!   measured (`cascade_residual_window_seconds`); nothing can make it zero.
//! * A provider is called at most once for each committed intent. Intents are fenced by the group's generation: who stood
//!   still and was replaced cannot commit one, and without a fresh one calls nobody.
//! * A call goes on only while its lease holds (`lease.rs`): for three quarters of the session timeout, in machine time, from the
//!   moment before its intent was committed. Who stood still for the session timeout and was replaced sends nothing when he
//!   comes back, wherever in a call he stood.
//! * An intent without an outcome (a crash in between, a connection that broke) is an unknown outcome. What happens then is
//!   declared for each channel: [`config::OnUnknown`].
//! * A provider's outage refuses nothing, nor does a login or path of ours that is wrong: commands wait, and expire when their
//!   validity ends.
//! * A provider's no is believed where it speaks of the message (`transport/heard.rs`): of one that says no to everybody fifty in a row are,
//!   and the rest waits as in an outage.
//! * No more is handed over in an hour than `spend_per_hour` allows, whatever crashes: [`fence`].
//! * What is made of a template is the same for the same send and the same files; blocks of other services are as they are then
//!   ([`render`]). The loop waits for none of them.
//! * Offsets are committed only below the lowest command that is not finished.
//!
//! *What it is not.* It decides nothing. Consent, quiet hours and caps were judged by the operator; whatever changes after
//! that comes as a withdrawal. It keeps no state of its own: the topic `attempt.<channel>` is its memory.
//!
//! *Limits.* A rate limit holds for the channel as a whole as long as every worker of the group is configured alike, and
//! each takes the share of its partitions. Repeats of a command are recognised as far back as [`lane::MEMORY`] commands of
//! a partition. While single commands wait (a provider that will not have just these for now), others go on: so many of a
//! partition as [`lane::FINISHED`] says, beside as many that wait as [`lane::WINDOW`] says.

pub mod config;
mod worker;
mod ownership;
pub mod lane;
mod memory;
mod unread;
mod choice;
pub mod look;
mod lease;
mod limit;
mod breaker;
mod groups;
mod reasons;
mod fence;
pub mod render;
pub mod link;
mod ledger;
mod traces;
mod calls;
pub mod transport;
pub mod echo;
pub mod pseudonym;
pub mod bounce;
mod metrics;

pub use config::{Config, OnUnknown};
pub use metrics::{Metrics, Words};
pub use worker::run;
