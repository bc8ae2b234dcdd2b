//! Who stands where as a campaign is about to move to another version, and what becomes of them.

use std::collections::BTreeMap;

use campaign::{Input, Moment, Plan, Plans, decide};
use schemas::{Campaign, Customer, Instance, Stage};

use super::documents;
use crate::failure::{Exit, Failure};

/// Counts the cascades of the version that is left. Each customer is judged by `decide` itself, on a copy of the row, as it will be when
/// the migration was told.
pub struct Moving {
    /// As they would be.
    plans: Plans,
    record: Campaign,
    counts: BTreeMap<(Place, Place), u64>,
}

/// Where a cascade stands, in the order in which it comes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Settling,
    /// By the step's index.
    At(usize),
    /// Its step was given up.
    Between,
    Ended,
}

impl Place {
    fn of(instance: &Instance) -> Self {
        match usize::try_from(instance.step) {
            _ if instance.stage == Stage::Settling => Place::Settling,
            Ok(step) => Place::At(step),
            Err(_) => Place::Between,
        }
    }
}

impl Moving {
    /// By this record, which is not published yet.
    ///
    /// # Errors
    /// `Campaign`, with what is wrong with it.
    pub fn of(plans: &Plans, record: Campaign) -> Result<Self, Failure> {
        let mut plans = plans.clone();
        plans
            .apply(&record)
            .map_err(|problems| documents::refused(Exit::Campaign, &problems, "nothing can be moved so"))?;
        Ok(Moving { plans, record, counts: BTreeMap::new() })
    }

    /// Looks at one customer.
    pub fn look(&mut self, customer_id: &str, customer: &Customer) {
        let Campaign { campaign, from_version, applied_at: now, .. } = &self.record;
        let leaves = |it: &&Instance| it.campaign == *campaign && it.version == *from_version;
        if !customer.instances.iter().any(|instance| leaves(&instance)) {
            return;
        }
        let mut row = customer.clone();
        let moment = Moment { now: *now, partition: 0, offset: None, due: Some(*now) };
        // It looks at everybody, as a sweep of no campaign's does: nothing begins and no deadline is met.
        decide(&self.plans, customer_id, &mut row, Input::Sweep { campaign: "" }, &moment, &mut Vec::new());
        for instance in customer.instances.iter().filter(leaves) {
            let goes_on = row.instances.iter().find(|it| it.id == instance.id);
            let places = (Place::of(instance), goes_on.map_or(Place::Ended, Place::of));
            *self.counts.entry(places).or_default() += 1;
        }
    }

    /// What was counted, a line for each way from a place to a place.
    pub fn told(&self) -> String {
        let Campaign { campaign, from_version, version, .. } = &self.record;
        let plan = |version| self.plans.version(campaign, version);
        let (Some(from), Some(to)) = (plan(*from_version), plan(*version)) else { return String::new() };
        if self.counts.is_empty() {
            return format!("no cascade of version {from_version} runs\n");
        }
        let lines = self.counts.iter().map(|((stands, goes), count)| {
            let stands = match stands {
                Place::Settling => "before its first step".to_owned(),
                Place::At(step) => format!("at step {}", named(from, *step)),
                Place::Between | Place::Ended => "at a step that was given up before".to_owned(),
            };
            let goes = match goes {
                Place::Settling => "still before its first step".to_owned(),
                Place::At(step) => format!("at step {}", named(to, *step)),
                Place::Between => "on with what comes next".to_owned(),
                Place::Ended => "ended".to_owned(),
            };
            format!("  {count} {stands} -> {goes}\n")
        });
        format!("running cascades of version {from_version}:\n{}", lines.collect::<String>())
    }
}

fn named(plan: &Plan, step: usize) -> &str {
    plan.steps.get(step).map_or("?", |step| &step.name)
}
