//! What was said of a campaign's life since its instances were last looked at: they end, stand still, go on, or move.
//!
//! Nothing goes out from here. Moments change, and what is due by then falls due as a deadline: so a fact that comes with the same
//! look at the row, such as a purchase, comes first.

use schemas::{Adoption, Customer, Instance, OnResume};

use crate::changes::{Change, Said, goes_on};
use crate::limits;

use super::case::{Case, Fate, each};
use super::{ending, moved, pause};

/// Lets each instance meet what was said and is not behind it. Returns whether there was anything to meet.
pub(super) fn meet(case: &mut Case<'_>, customer: &mut Customer) -> bool {
    let is_concerned = customer.instances.iter().any(|instance| case.plans.concerns(instance));
    if is_concerned {
        each(case, customer, meet_one);
    }
    is_concerned
}

fn meet_one(case: &mut Case<'_>, customer: &mut Customer, instance: &mut Instance) -> Fate {
    let plans = case.plans;
    let said = plans.life(&instance.campaign).map(|life| life.since(instance.changes)).unwrap_or_default();
    for (index, said_now) in said.iter().enumerate() {
        instance.changes = instance.changes.saturating_add(1);
        let is_over = said[index..].iter().any(|later| matches!(later.change, Change::Resumed(_)));
        if change(case, customer, instance, said_now, is_over) == Fate::Ended {
            return Fate::Ended;
        }
    }
    match plans.of(instance) {
        Some(_) => Fate::Runs,
        None if is_ahead(case, instance) => Fate::Runs,
        // Its version is not among those that are known: nobody can say how it goes on.
        None => ending::stopped(case, customer, instance, &[]),
    }
}

/// Whether an instance came from another partition that knows of a version which is not known here yet.
pub(super) fn is_ahead(case: &Case<'_>, instance: &Instance) -> bool {
    let is_fresh = |adoption: &Adoption| case.now() < adoption.at.saturating_add(limits::LAG);
    let newest = case.plans.newest(&instance.campaign);
    instance.adoption.as_ref().is_some_and(is_fresh) && newest.is_none_or(|plan| plan.version < instance.version)
}

/// `is_over` where a pause has ended before anybody looked.
fn change(case: &mut Case<'_>, customer: &mut Customer, instance: &mut Instance, said: &Said, is_over: bool) -> Fate {
    match &said.change {
        Change::Stopped => return ending::stopped(case, customer, instance, &[]),
        Change::Paused => pause::freeze(case, instance, said.at, is_over),
        Change::Resumed(_) if instance.frozen_at.is_none() => {}
        Change::Resumed(OnResume::End) => {
            instance.frozen_at = None;
            return ending::stopped(case, customer, instance, &[("pause", "ends it")]);
        }
        Change::Resumed(on_resume) => pause::thaw(case, customer, instance, said.at, goes_on(*on_resume)),
        Change::Migrated(migration) => return moved::migrate(case, customer, instance, migration),
    }
    Fate::Runs
}
