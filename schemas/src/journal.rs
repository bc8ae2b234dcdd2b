//! The product's memory: why each thing was done, or not done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Millis;

/// One decision. Keyed by customer id. Holds no address, no name and no text of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    pub customer_id: String,
    /// The clock reading that the decision rests on.
    pub at: Millis,
    /// Partition of `input`.
    pub partition: i32,
    /// Offset of the fact in `input`; none where a deadline caused it.
    pub offset: Option<i64>,
    /// The deadline that fell due; none where a fact caused it.
    pub due: Option<Millis>,
    /// Empty where it concerns no campaign.
    pub campaign: String,
    pub version: i32,
    /// Instance id as text; empty where there is none.
    pub instance: String,
    /// The step's name; empty where there is none.
    pub step: String,
    pub channel: String,
    /// Send id as text; empty where there is none.
    pub send_id: String,
    pub reason: Reason,
    /// When the instance will be looked at again; none when it ended.
    pub next_at: Option<Millis>,
    /// Money moved by this decision: reserved (positive) or voided (negative), in minor units.
    pub amount_minor: i64,
    /// What the reason rests on: eligibility per channel, counters, computed windows.
    pub evidence: BTreeMap<String, String>,
}

/// Why. The one list that the sentences of `cascade journal`, the `reason` labels of metrics and every report are made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// A symbol that this reader does not know.
    #[default]
    Unspecified,
    // An instance begins, or does not.
    /// The trigger matched; an instance was entered.
    Entered,
    /// The trigger's predicate did not hold.
    PredicateFalse,
    /// The trigger came later than its maximum age.
    TriggerTooOld,
    /// An instance with this key runs already.
    AlreadyRunning,
    /// The same event id was seen before.
    Duplicate,
    /// The trigger came again while settling: fields and the moment of the first step were renewed.
    Refreshed,
    /// The campaign does not take new instances.
    CampaignPaused,
    /// The goal was reached before the trigger, within its grace.
    GoalBefore,
    // A step goes out, or does not.
    /// A send command was published.
    Sent,
    /// No address on this channel.
    NoContact,
    /// No consent for this channel.
    NoConsent,
    /// No channel of the step can be used: on to the next.
    CannotSend,
    /// The step's own condition did not hold.
    StepSkipped,
    /// The step's validity had ended.
    ValidityOver,
    /// The customer's sends are held because of a record that could not be read.
    Held,
    // What became of it.
    /// The worker handed it over: the wait begins.
    HandedOver,
    /// The provider confirmed arrival.
    Delivered,
    /// A human opened it.
    Opened,
    /// A machine opened it: counts as delivered.
    MachineOpened,
    /// The customer clicked.
    Clicked,
    /// The customer replied.
    Replied,
    /// A negative fact: it did not arrive.
    NotDelivered,
    /// The wait ended without any word of it.
    NoInformation,
    /// The wait ended and it was not opened.
    NotOpened,
    /// The wait ended and the goal was not reached.
    NoGoal,
    /// The worker or provider refused it.
    Refused,
    /// Its moment passed before it could be handed over.
    Expired,
    /// It was withdrawn in time.
    Revoked,
    /// Whether it was handed over is not known.
    UnknownOutcome,
    /// A positive word about an earlier send came after the next step was decided.
    DoubleReached,
    /// Feedback about a send of a cascade that has ended, or of none.
    LateFeedback,
    // An instance ends.
    /// The customer did what was hoped for.
    GoalReached,
    /// The stop level was reached.
    StopReached,
    /// No step is left.
    Exhausted,
    /// The customer unsubscribed or complained.
    OptedOut,
    /// The thing it was about is gone (an emptied cart).
    Withdrawn,
    /// The customer's data were erased.
    Erased,
    /// The campaign was stopped.
    CampaignStopped,
    // What concerns the customer as such.
    /// The profile was replaced.
    ProfileUpdated,
    /// A record of unknown meaning: sends are held.
    HoldPlaced,
    /// Somebody released the customer.
    HoldReleased,
}
