//! A rehearsal: what would be decided about one customer, in virtual time, before anything is in force.
//!
//! A *timeline* says what happens to the customer, line by line; [`Timeline::play`] lives through it in a [`World`], where
//! each deadline and each sweep falls due by itself as time passes. Lines with `=>` say what is expected to be decided: a
//! timeline with them is a test of its campaigns ([`Timeline::difference`]).
//!
//! ```text
//! # An expiring bonus: nobody heard of the push, so the SMS follows.
//! begin 2026-06-01T10:00+03:00   # the moment 0; without it 2026-06-01T10:00Z
//! zone Europe/Moscow             # in which times are shown; without it UTC
//!
//! 0 has push sms                 # <time since begin> <what happens>
//! 0 does bonus_expiring b1 amount_minor=500
//! => 0 ENTERED                   # => <time since begin> <what is decided>
//! => 0 send free by push
//! => 3h NO_INFORMATION free push
//! => 3h send sms by sms
//! 5h time passes
//! ```
//!
//! # What happens
//!
//! A time is `0`, `90m`, `1d12h`, never before that of the line above. What falls due up to it comes before the line. A
//! value with a space stands in quotes: `city="Nizhny Novgorod"`. From `#` on a line is a comment.
//!
//! | line | meaning |
//! |---|---|
//! | `has CHANNEL…` | the customer has an address and a consent on just these channels |
//! | `refuses CHANNEL…` | the consents for these are withdrawn; the addresses stay |
//! | `profile NAME=VALUE…` | all other that is known: `time_zone`, `locale`, attributes |
//! | `erased` | the customer is forgotten |
//! | `cart ID VERSION TOTAL [NAME=VALUE…]` | a cart changed; `empty` as its total empties it; `currency`, `link`, `sku`, `category`, `quantity` |
//! | `registers [NAME=VALUE…]` | `source` and attributes |
//! | `silent DAYS [NAME=VALUE…]` | nothing was heard for so long; attributes |
//! | `does ACTION [KEY] [NAME=VALUE…]` | `amount_minor`, `currency`, `sku` and `category` of one item, and attributes |
//! | `STATUS STEP [code=CODE]` | a word about the last message of a step: `accepted`, `sent`, `delivered`, `opened`, `clicked`, `replied`, `machine-opened`, `machine-clicked`, `refused`, `revoked`, `expired`, `unknown`, `bounced`, `deferred`, `failed`, `unsubscribed`, `complained` |
//! | `again` | the last fact comes once more |
//! | `unreadable`, `release` | a record comes that nobody can read; somebody has looked at it |
//! | `worker off`, `worker on` | messages stay at the worker, or are handed over at once (as at the beginning) |
//! | `down` | nobody looked at anything until this time |
//! | `piled …` | what happens finds the deadlines up to its time still unseen |
//! | `deadlines` | everything that fell due is looked at now, not before |
//! | `time passes` | nothing else happens until then |
//!
//! # What is decided
//!
//! `send STEP by CHANNEL`, `revoke CHANNEL REASON`, or the reason of a journal entry with its step and channel, where it has
//! them: `REASON [STEP] [CHANNEL]`. Entries that repeat a send, a hand-over or a profile are left out.

mod words;
mod event;
mod line;
mod timeline;
mod world;
mod told;
mod difference;

pub use timeline::Timeline;
pub use told::told;
pub use world::{CUSTOMER, World};
