//! The operator's state of one customer: what the changelog holds and RocksDB keeps.
//!
//! Rows are many, and most of them wait. So what decisions work with (here) is not what is written (`packed`, as in `row.avsc`):
//! there times are differences, what follows from something else is left out, and what most rows lack takes one byte.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod packed;
mod words;

use crate::symbol::symbols;
use crate::{Consent, Contact, Fields, Id, Millis, Outcome, Status};

/// Everything that decisions about one customer rest on. Bounded: each list has a limit that `campaign` states and keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// Addresses, as in the last profile.
    pub contacts: Vec<Contact>,
    /// Permissions, as in the last profile and as withdrawn since.
    pub consents: Vec<Consent>,
    /// IANA name.
    pub time_zone: Option<String>,
    /// BCP 47.
    pub locale: Option<String>,
    /// Whatever else campaigns may ask for, by name.
    pub attributes: BTreeMap<String, String>,
    /// When the profile was last replaced; older profile records are ignored.
    pub profile_at: Option<Millis>,
    /// Whether the rows of these addresses know that the customer has them.
    pub addresses_know: bool,
    /// Set while a record of unknown meaning waits for somebody to look at it.
    pub held: Option<Hold>,
    /// Cascades that run, by their campaigns' priority, then in the order in which they were entered.
    pub instances: Vec<Instance>,
    /// Cascades that ended, newest last.
    pub past: Vec<Past>,
    /// Messages of theirs whose price may still become due or free, oldest first.
    pub unsettled: Vec<Unsettled>,
    /// What the customer did, newest last.
    pub done: Vec<Done>,
    /// When the customer last reacted on a channel, one for each that a campaign asks for.
    pub heard: Vec<Heard>,
    /// Messages that caps count, oldest first.
    pub counted: Vec<Counted>,
    /// How often campaigns have begun, for each that may only so often.
    pub begun: Vec<Begun>,
    /// Carts of which a version began nothing: what is older than that begins nothing either.
    pub passed: Vec<Passed>,
    /// 48 bits of the xxh3-64 of the last event ids, newest last: a repeat is recognised by them.
    pub recent: Vec<i64>,
    /// xxh3-64 of (channel, address) of what bounced for ever, newest last: a profile does not bring it back.
    pub dead: Vec<i64>,
    /// Former ids that were asked for what is known under them.
    pub formerly: Vec<Former>,
    /// The id under which the customer is known now: whatever comes is passed on to it, and nothing else is in the row.
    pub moved_to: Option<String>,
}

/// An id under which the customer was known before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    /// The id.
    pub customer_id: String,
    /// Number of the handing-over by which what was known under it has come; none before.
    #[serde(default)]
    pub adopted: Option<i64>,
}

/// Why a customer's sends are held (rule 12).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hold {
    /// Since when.
    pub since: Millis,
    /// The documented code of the refusal that caused it.
    pub code: String,
}

/// One run of one campaign version for one customer and one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// The instance's id.
    pub id: Id,
    /// Name of the campaign.
    pub campaign: String,
    /// Version that it entered, or was moved to since.
    pub version: i32,
    /// The business key (a cart's id), empty where the campaign has none.
    pub key: String,
    /// Where it stands.
    pub stage: Stage,
    /// The step that stands at `stage`.
    pub step: i32,
    /// Which of the step's alternatives.
    pub alternative: i32,
    /// When this instance must be looked at again, whatever happens. Never absent while it runs: every instance ends.
    pub due: Millis,
    /// The trigger's fields that predicates and templates use.
    pub fields: Fields,
    /// What was sent, in the order of the decisions.
    pub sends: Vec<Sent>,
    /// When settling ends or ended: the steps' offsets to the trigger count from it.
    pub settled_at: Millis,
    /// Alternatives of steps that are behind, one bit each, in the order of the plan.
    pub tried: i64,
    /// What a message may cost at most after one was kept back by a cap, by quiet hours or since its time was over, to the end of the
    /// cascade. What sends came to closes more, and follows from them. Minor units.
    pub ceiling: Option<i64>,
    /// When it was the turn of the message at which it stands: its validity counts from then.
    pub turn: Millis,
    /// The variant of the campaign's experiment that the customer is in.
    pub variant: Option<String>,
    /// Held out for comparison: it sends nothing.
    pub held_out: bool,
    /// How much of what was said of its campaign's life (stops, pauses, migrations) is behind it.
    pub changes: i32,
    /// While its campaign is paused: since when its moments stand still.
    pub frozen_at: Option<Millis>,
    /// After a pause that skips: messages whose moment came before this are skipped.
    pub skip_until: Option<Millis>,
    /// A trigger that waits for its end.
    pub queued: Option<Queued>,
    /// Names of steps that a migration gave up after something of them was sent: should a version have them again, they stay behind.
    pub given_up: Vec<String>,
    /// Where it came from; none for a cascade of the customer's own.
    pub adoption: Option<Adoption>,
    /// When the campaign's budget was asked for the price of the message at which it stands.
    pub asked_at: Option<Millis>,
}

/// A cascade that began under a former id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// The id under which its first sends went out: those who look at them know them by it.
    pub customer_id: String,
    /// How many of them.
    #[serde(default)]
    pub sends: i32,
    /// When it came.
    #[serde(default)]
    pub at: Millis,
}

/// A trigger that came while an instance with its key ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Queued {
    /// The trigger's event id.
    pub id: String,
    /// When it happened, as told.
    pub occurred_at: Millis,
    /// When it came.
    pub at: Millis,
    /// Its fields that predicates and templates use.
    pub fields: Fields,
}

symbols! {
    /// Where an instance stands.
    pub enum Stage {
        /// A symbol that this reader does not know.
        Unspecified = "UNSPECIFIED",
        /// Entered; waits for the trigger to settle before its first step.
        Settling = "SETTLING",
        /// A command is out and may still be handed over: nothing further is decided.
        Dispatched = "DISPATCHED",
        /// Handed over: the step's wait runs.
        Waiting = "WAITING",
        /// Between two steps: the next one has a moment of its own, which has not come yet.
        Delayed = "DELAYED",
        /// A step was due, but the customer is held; `due` is the end of its validity.
        Held = "HELD",
        /// A step was due, and the campaign's budget is asked for its price; `due` is the end of its validity.
        Asking = "ASKING",
    }
}

/// A send command and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// The send's id.
    pub id: Id,
    /// Index of the step in the plan, from 0; -1 for a step that the instance's version does not have.
    pub step: i32,
    /// Index that the step had when it was sent: its id is made of it, and a migration does not change it.
    pub number: i32,
    /// Index of the alternative in the step, from 0, when it was sent.
    pub alternative: i32,
    /// How many commands of the instance with this number and alternative were before it.
    pub attempt: i32,
    /// Name of the channel.
    pub channel: String,
    /// Reserved for it, in minor units; never negative.
    pub price_minor: i64,
    /// Its price is owed once it has arrived; else once it was handed over.
    pub on_delivery: bool,
    /// When it was decided.
    pub decided_at: Millis,
    /// After this moment it must not be handed over any more.
    pub send_before: Millis,
    /// When the provider took it; none while that is not known.
    pub handed_over_at: Option<Millis>,
    /// The join of the positive statuses so far; `UNSPECIFIED` for none.
    pub reached: Status,
    /// The negative or final word so far; `UNSPECIFIED` for none.
    pub failed: Status,
    /// What it came to, where it was a task for a person.
    pub outcome: Outcome,
}

/// A cascade that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Past {
    /// Name of the campaign.
    pub campaign: String,
    /// The business key, empty where the campaign has none.
    pub key: String,
    /// When it ended.
    pub ended_at: Millis,
    /// Symbol of [`Reason`](crate::Reason).
    pub reason: crate::Reason,
    /// The sends of an ended instance whose feedback may still come, so that late receipts are recognised.
    pub sends: Vec<Id>,
    /// Version of the thing it was about (a cart's), 0 where it has none: an older one does not start it anew.
    pub revision: i64,
}

/// A message of a cascade that ended, of which it is not yet known whether its price is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsettled {
    /// The send's id.
    pub id: Id,
    /// Whose money it is.
    #[serde(default)]
    pub campaign: String,
    /// Reserved for it, in minor units.
    pub price_minor: i64,
    /// Its price is owed once it has arrived; else once it was handed over.
    #[serde(default)]
    pub on_delivery: bool,
    /// Whether it may have been handed over, as far as anybody said.
    #[serde(default)]
    pub handed_over: bool,
    /// The join of the positive statuses so far; `UNSPECIFIED` for none.
    #[serde(default)]
    pub reached: Status,
    /// The negative or final word so far; `UNSPECIFIED` for none.
    #[serde(default)]
    pub failed: Status,
}

/// Something the customer did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// As in the action record.
    pub action: String,
    /// The business key that it belongs to.
    pub key: Option<String>,
    /// When it happened, as told.
    pub occurred_at: Millis,
}

/// A message that a cap counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The send's id: what nobody got counts no more.
    pub id: Id,
    /// Name of the channel.
    pub channel: String,
    /// Its campaign's class.
    #[serde(default)]
    pub class: crate::Class,
    /// When it was decided.
    pub at: Millis,
}

/// How often a campaign has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Name of the campaign.
    pub campaign: String,
    /// How often.
    #[serde(default)]
    pub times: i32,
}

/// A cart of which a version began nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// Id of the cart.
    pub cart_id: String,
    /// The newest such version.
    pub version: i64,
}

/// The customer's last sign of life on a channel: opened, clicked or replied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heard {
    /// Name of the channel.
    pub channel: String,
    /// When; 0 if there was none yet.
    pub at: Millis,
    /// When the first message after it was decided that was handed over; 0 if there was none yet.
    pub unanswered_since: Millis,
}
