//! What a cascade costs with one customer at most.

use std::collections::BTreeSet;
use std::fmt;

use crate::channel::Channel;
use crate::language::{Allowance, Per, Plan, Step};
use crate::prices::Prices;

/// The price of a cascade that goes all the way: every message of it goes out, each to the dearest number and at the dearest time that the
/// table names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    /// What it costs together, in minor units.
    pub most_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// Channels of it that cost money, of which the table does not say how much, to whatever number and at any time.
    pub unpriced: BTreeSet<&'static str>,
    /// What all customers together may cost, if that is bounded.
    pub budget: Option<Allowance>,
    /// How often it begins with one customer at most.
    pub maximum: Option<i32>,
}

impl Spend {
    /// Of a campaign; of its variants the dearest.
    pub fn of(plan: &Plan, prices: &Prices) -> Self {
        let variants: Vec<Option<&str>> = match &plan.experiment {
            Some(experiment) if !experiment.variants.is_empty() => {
                experiment.variants.iter().map(|(name, _)| Some(name.as_str())).collect()
            }
            _ => vec![None],
        };
        let whole = |variant: Option<&str>| {
            // One that did not arrive is charged for and makes room for the next alternative.
            let own = messages(plan).filter(|(step, _)| step.is_for(variant));
            own.fold(0_i64, |sum, (step, channel)| sum.saturating_add(price(prices, step, channel).unwrap_or(0)))
        };
        let unpriced = messages(plan).filter(|(_, channel)| channel.paid && !prices.always(channel));
        Spend {
            most_minor: variants.into_iter().map(whole).max().unwrap_or(0),
            currency: prices.currency.clone(),
            unpriced: unpriced.map(|(_, channel)| channel.name).collect(),
            budget: plan.budget,
            maximum: plan.trigger.maximum,
        }
    }

    /// Whether it costs nothing for certain.
    pub fn is_free(&self) -> bool {
        self.most_minor == 0 && self.unpriced.is_empty()
    }
}

/// Each alternative of each step.
fn messages(plan: &Plan) -> impl Iterator<Item = (&Step, &'static Channel)> {
    plan.steps.iter().flat_map(|step| step.channels.iter().map(move |channel| (step, *channel)))
}

fn price(prices: &Prices, step: &Step, channel: &Channel) -> Option<i64> {
    prices.dearest(channel).map(|minor| minor.saturating_mul(step.prices_of(channel)))
}

/// For people, behind the campaign's name.
impl fmt::Display for Spend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_free() {
            return f.write_str("costs nothing");
        }
        write!(f, "costs at most {} minor units of {} a cascade and customer", self.most_minor, self.currency)?;
        if !self.unpriced.is_empty() {
            let names: Vec<&str> = self.unpriced.iter().copied().collect();
            match self.budget {
                // Nobody could say whether the budget has room.
                Some(_) => write!(f, ", and nothing goes out where the table names no price of {}", names.join(", "))?,
                None => write!(f, ", and what no table says of {}", names.join(", "))?,
            }
        }
        if let Some(maximum) = self.maximum {
            write!(f, ", {maximum} cascades at most")?;
        }
        match self.budget {
            Some(Allowance { minor, per, .. }) => {
                let per = if per == Per::Hour { "an hour" } else { "a day" };
                write!(f, "; all customers together {minor} {per}")
            }
            None => f.write_str("; no budget bounds all customers together"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::parse;

    fn told(head: &str, steps: &str) -> String {
        let prices = "currency: USD\nprices:
  - {channel: push, minor: 0}
  - {channel: viber, minor: 2}
  - {channel: sms, minor: 4}
  - {channel: sms, minor: 7, prefix: \"+7\"}\n";
        let prices = Prices::parse("prices.yaml", prices).unwrap();
        let yaml = format!("campaign: c\nversion: 1\n{head}steps: [{steps}]\n");
        let plan = parse("c.yaml", &yaml).unwrap_or_else(|problems| panic!("{}", problems[0]));
        Spend::of(&plan, &prices).to_string()
    }

    const BEGUN: &str = "trigger: {on: registration}\n";

    #[test]
    fn a_cascade_that_goes_all_the_way_costs_each_of_its_messages_at_the_dearest_price() {
        let steps =
            "{name: a, any: [push, viber], template: t, wait: 1h}, {name: b, channel: sms, template: t, segments: 2}";
        assert_eq!(
            told(BEGUN, steps),
            "costs at most 16 minor units of USD a cascade and customer; no budget bounds all customers together"
        );
        assert_eq!(told(BEGUN, "{name: a, any: [push, email], template: t}"), "costs nothing");
    }

    #[test]
    fn what_bounds_it_and_what_is_not_known_is_said() {
        let head = "trigger: {on: registration, maximum: 3}\nbudget: {minor: 500, per: day}\n";
        assert_eq!(
            told(head, "{name: a, channel: sms, template: t, wait: 1h}, {name: b, channel: whatsapp, template: t}"),
            "costs at most 7 minor units of USD a cascade and customer, and nothing goes out where the table names no price of whatsapp, \
             3 cascades at most; \
             all customers together 500 a day"
        );
    }

    #[test]
    fn of_variants_the_dearest_counts() {
        let head = format!("{BEGUN}experiment: {{variants: {{a: 50, b: 50}}}}\n");
        let steps = "{name: one, channel: sms, template: t, variant: a, wait: 1h}, {name: two, channel: viber, template: t, variant: b}";
        assert!(told(&head, steps).starts_with("costs at most 7 minor units"));
    }
}
