//! Experiments: who gets which variant, and who gets nothing, so that a cascade's worth can be measured.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::problem::Report;
use super::raw;

/// Variants of one campaign, and the share of customers who are held out.
///
/// A customer's place is `xxh3_64(customer id, seed) mod 100`, with `xxh3_64(name)` as the seed for variants and
/// `xxh3_64(name + "/hold-out")` for the hold-out: the same in every version and each time the customer enters, and independent
/// of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Experiment {
    /// Its name; experiments of one name share out customers alike.
    pub name: String,
    /// The variants and their shares in per cent, which add up to 100; none if there is only a hold-out.
    pub variants: Vec<(String, u32)>,
    /// The share of customers whose cascades send nothing, in per cent.
    pub hold_out: u32,
}

impl Experiment {
    /// The variant that a customer gets.
    pub fn variant(&self, customer_id: &str) -> Option<&str> {
        let place = place(customer_id, &self.name);
        let mut end = 0;
        let holds = |(_, share): &&(String, u32)| {
            end += u64::from(*share);
            place < end
        };
        self.variants.iter().find(holds).map(|(name, _)| name.as_str())
    }

    /// Whether a customer is held out.
    pub fn holds_out(&self, customer_id: &str) -> bool {
        self.hold_out > 0 && place(customer_id, &format!("{}/hold-out", self.name)) < u64::from(self.hold_out)
    }
}

fn place(customer_id: &str, experiment: &str) -> u64 {
    xxh3_64_with_seed(customer_id.as_bytes(), xxh3_64(experiment.as_bytes())) % 100
}

/// Understands an experiment.
pub(super) fn experiment(campaign: &raw::Campaign, report: &mut Report<'_>) -> Option<Experiment> {
    let raw = campaign.experiment.as_ref()?;
    let variants: Vec<(String, u32)> = raw
        .variants
        .iter()
        .flat_map(|variants| variants.value.iter().map(|(name, share)| (name.clone(), *share)))
        .collect();
    if let Some(written) = &raw.variants {
        let total: u64 = variants.iter().map(|(_, share)| u64::from(*share)).sum();
        if total != 100 {
            let sentence = format!("the shares of the variants add up to {total} per cent");
            report.error(written.referenced, sentence, "they must add up to 100: `{a: 50, b: 50}`");
        }
        if let Some((name, _)) = variants.iter().find(|(name, share)| *share == 0 || name.is_empty()) {
            report.error(
                written.referenced,
                format!("nobody gets variant `{name}`"),
                "give it a name and a share, or remove it",
            );
        }
    }
    let hold_out = raw.hold_out.as_ref().map_or(0, |share| share.value);
    match &raw.hold_out {
        Some(share) if share.value > 99 => {
            report.error(share.referenced, "nobody would get anything", "at most 99 per cent");
        }
        None if raw.variants.is_none() => {
            report.error(
                campaign.campaign.referenced,
                "an experiment of what?",
                "add `variants: {a: 50, b: 50}` or `hold_out: 10`",
            );
        }
        _ => {}
    }
    let name = raw.name.as_ref().unwrap_or(&campaign.campaign).value.clone();
    Some(Experiment { name, variants, hold_out })
}
