//! Campaign versions and the facts about them. Kept for ever: every replica reads the same.

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::symbol::symbols;

/// One fact about a campaign. Topic `campaign`, one partition; key `name/version` for definitions, else `name/kind`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Campaign {
    /// The campaign's name; empty for what concerns all (prices, caps, rates).
    pub campaign: String,
    /// Grows with each definition. 0 where the kind has none.
    pub version: i32,
    /// What is said.
    pub kind: CampaignKind,
    /// The YAML text, as it was applied.
    pub definition: String,
    /// When it was applied.
    pub applied_at: Millis,
}

symbols! {
    /// What is said about a campaign.
    pub enum CampaignKind {
        /// A symbol that this reader does not know.
        Unspecified = "UNSPECIFIED",
        /// A new immutable version; it takes new instances from now on.
        Definition = "DEFINITION",
        /// No new instances; running ones go on.
        Paused = "PAUSED",
        /// New instances again.
        Resumed = "RESUMED",
        /// No new instances; running ones end.
        Stopped = "STOPPED",
        /// The price table of all channels.
        Prices = "PRICES",
        /// How much a customer is written to at most, whatever campaigns there are.
        Caps = "CAPS",
        /// How often messages get how far on each channel, as it was observed.
        Rates = "RATES",
    }
}
