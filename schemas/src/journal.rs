//! The product's memory: why each thing was done, or not done.

use serde::{Deserialize, Serialize};

use crate::{Fields, Millis, Reason};

/// One decision. Keyed by customer id. Holds no address, no name and no text of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Journal {
    /// Whom it is about; equal to the record's key.
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
    /// Version of the campaign.
    pub version: i32,
    /// Instance id as text; empty where there is none.
    pub instance: String,
    /// The step's name; empty where there is none.
    pub step: String,
    /// Name of the channel; empty where there is none.
    pub channel: String,
    /// Send id as text; empty where there is none.
    pub send_id: String,
    /// Why.
    pub reason: Reason,
    /// When the instance will be looked at again; none when it ended.
    pub next_at: Option<Millis>,
    /// Money reserved (positive) or voided (negative) by this decision, in minor units.
    pub amount_minor: i64,
    /// Of what was reserved so much is owed from this decision on, in minor units.
    pub charged_minor: i64,
    /// What the reason rests on: eligibility per channel, counters, computed windows.
    pub evidence: Fields,
}
