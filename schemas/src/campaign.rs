//! Campaign versions and the facts about them. Kept for ever: every replica reads the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::symbol::symbols;

/// One fact about a campaign. Topic `campaign`, one partition; key `name/version` for definitions, `kind` for
/// tables, else `name/kind/applied_at`: what was said of a campaign's life is kept whole, since instances count it.
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
    /// Of a pause: what becomes of running instances when it is over.
    pub on_resume: OnResume,
    /// Of a migration: the version that instances leave; `version` is the one that they move to. 0 where the kind has none.
    pub from_version: i32,
    /// Of a migration: steps whose names differ, the old name and the new one. Nothing for the new one: whoever stands there goes
    /// on with what comes next.
    pub steps: BTreeMap<String, String>,
}

symbols! {
    /// What is said about a campaign.
    pub enum CampaignKind {
        /// A symbol that this reader does not know.
        Unspecified = "UNSPECIFIED",
        /// A new immutable version; it takes new instances from now on.
        Definition = "DEFINITION",
        /// No new instances; running ones keep their place, and nothing goes out.
        Paused = "PAUSED",
        /// New instances again, and running ones go on.
        Resumed = "RESUMED",
        /// No new instances; running ones end.
        Stopped = "STOPPED",
        /// The price table of all channels.
        Prices = "PRICES",
        /// How much a customer is written to at most, whatever campaigns there are.
        Caps = "CAPS",
        /// How often messages get how far on each channel, as it was observed.
        Rates = "RATES",
        /// Instances of one version move to another.
        Migrated = "MIGRATED",
    }
}

symbols! {
    /// What becomes of running instances when a pause is over.
    pub enum OnResume {
        /// A symbol that this reader does not know; as `CONTINUE`.
        Unspecified = "UNSPECIFIED",
        /// They go on where they stood: their waits are longer by the pause.
        Continue = "CONTINUE",
        /// Messages whose moment came meanwhile are skipped.
        Skip = "SKIP",
        /// They end.
        End = "END",
    }
}
