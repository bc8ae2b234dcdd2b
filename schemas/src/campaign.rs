//! Campaign versions and the facts about them. Kept for ever: every replica reads the same.

use serde::{Deserialize, Serialize};

use crate::Millis;

/// One fact about a campaign. Topic `campaign`, one partition; key `name/version` for definitions, else `name/kind`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// The campaign's name; empty for what concerns all (prices).
    pub campaign: String,
    /// Grows with each definition. 0 where the kind has none.
    pub version: i32,
    pub kind: CampaignKind,
    /// The YAML text, as it was applied.
    pub definition: String,
    pub applied_at: Millis,
}

/// What is said about a campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CampaignKind {
    #[default]
    Unspecified,
    /// A new immutable version; it takes new instances from now on.
    Definition,
    /// No new instances; running ones go on.
    Paused,
    /// New instances again.
    Resumed,
    /// No new instances; running ones end.
    Stopped,
    /// The price table of all channels.
    Prices,
}
