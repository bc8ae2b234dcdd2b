//! The trigger comes again for an instance that runs: the cart changed, or was emptied.

use schemas::{Customer, Id, Instance, Queued, Reason, Stage};

use crate::language::{Again, Plan};

use super::case::{Case, Fate, each};
use super::entry::{self, Cause, fields};
use super::{ending, memory, sooner};

/// Meets the running instances on its key. Returns whether it changed any.
pub(super) fn meet(case: &mut Case<'_>, customer: &mut Customer, cause: &Cause<'_>) -> bool {
    if customer.instances.is_empty() {
        return false;
    }
    let unwanted = unwanted(case, customer, cause);
    each(case, customer, |case, customer, instance| {
        let plans = case.plans;
        match plans.of(instance) {
            Some(plan)
                if cause.concerns(plan) && cause.key(case, plan, customer).as_deref() == Some(&*instance.key) =>
            {
                once_more(case, customer, plan, instance, cause, &unwanted)
            }
            _ => Fate::Runs,
        }
    })
}

/// Instances that settle or would begin anew, and whose condition does not hold: each seen from the others, which a visit does
/// not see.
fn unwanted(case: &Case<'_>, customer: &mut Customer, cause: &Cause<'_>) -> Vec<Id> {
    let mut unwanted = Vec::new();
    for index in 0..customer.instances.len() {
        let instance = &customer.instances[index];
        let Some(plan) = case.plans.of(instance).filter(|plan| cause.concerns(plan)) else { continue };
        if !is_new(instance) && !matches!(plan.trigger.again, Again::Restart | Again::Queue) {
            continue;
        }
        // It steps aside and back: a copy of the others would cost more than all else here.
        let instance = customer.instances.remove(index);
        let asked = if plan.trigger.again == Again::Restart { successor(case, plan) } else { plan };
        if !cause.concerns(asked) || !cause.is_wanted(case, asked, customer) {
            unwanted.push(instance.id);
        }
        customer.instances.insert(index, instance);
    }
    unwanted
}

/// Whether nothing was sent yet: it settles, or its first message waits for its moment, for the morning or for room.
fn is_new(instance: &Instance) -> bool {
    instance.stage == Stage::Settling
        || (instance.sends.is_empty() && matches!(instance.stage, Stage::Delayed | Stage::Held))
}

/// The version by which a cascade would begin anew.
fn successor<'p>(case: &Case<'p>, plan: &'p Plan) -> &'p Plan {
    case.plans.newest(&plan.name).unwrap_or(plan)
}

fn once_more(
    case: &mut Case<'_>,
    customer: &mut Customer,
    plan: &Plan,
    instance: &mut Instance,
    cause: &Cause<'_>,
    unwanted: &[Id],
) -> Fate {
    let queued = instance.queued.as_ref().map_or(0, |queued| memory::revision(&queued.fields));
    let (known, revision) = (memory::revision(&instance.fields).max(queued), cause.revision_beside(plan, instance));
    if revision > 0 && revision <= known {
        let entry = case.entry(Reason::Superseded).instance(instance);
        case.write(entry.because("version", revision.to_string()).because("known", known.to_string()));
        return Fate::Runs;
    }
    if cause.is_emptied() {
        // Without a key the campaign does not tell carts apart, but another one's end is not this one's.
        if cause.is_another_cart(instance) {
            return Fate::Runs;
        }
        instance.fields.insert("version", revision.to_string());
        return ending::close(case, customer, instance, Reason::Withdrawn, &[("items", "0".to_owned())]);
    }
    let is_unwanted = unwanted.contains(&instance.id);
    if plan.trigger.again == Again::Queue && !is_unwanted {
        queue(case, instance, cause);
        return Fate::Runs;
    }
    let restarts = plan.trigger.again == Again::Restart && case.plans.takes_new(&plan.name);
    let mut stays = None;
    if restarts && !is_unwanted {
        // Where nothing begins, nothing ends for it.
        match entry::unfit(case, customer, successor(case, plan), cause.occurred_at, &instance.key) {
            None => {
                return ending::close(case, customer, instance, Reason::Restarted, &[("trigger", cause.id.to_owned())]);
            }
            // What has sent nothing yet takes the new content over.
            Some(_) if is_new(instance) => {}
            Some(unfit) => stays = Some(unfit.instance(instance)),
        }
    } else if matches!(plan.trigger.again, Again::Ignore | Again::Queue) || (restarts && !is_new(instance)) {
        let mut entry = case.entry(Reason::AlreadyRunning).instance(instance);
        // An older version of the same cart does not wait on where the newer one would not.
        if let Some(queued) = instance.queued.take_if(|_| is_unwanted && revision > 0) {
            entry = entry.because("instead_of", queued.id);
        }
        stays = Some(entry);
    }
    if let Some(entry) = stays {
        // The version is kept all the same: of two records in the wrong order the higher one holds.
        if revision > 0 {
            instance.fields.insert("version", revision.to_string());
        }
        case.write(entry);
        return Fate::Runs;
    }
    instance.fields = fields(cause.event);
    if !is_new(instance) {
        // Messages still to come speak of the thing as it is now, but their moments stay, unless they stand in it.
        sooner::follow(case, customer, instance);
        let entry = case.entry(Reason::Refreshed).instance(instance);
        case.write(entry.because("settling", "over"));
        return Fate::Runs;
    }
    if is_unwanted {
        return ending::close(
            case,
            customer,
            instance,
            Reason::Withdrawn,
            &[("condition", "no longer holds".to_owned())],
        );
    }
    settle_anew(case, plan, instance);
    let entry = case.entry(Reason::Refreshed).instance(instance);
    case.write(entry);
    Fate::Runs
}

/// Nothing was sent yet: it is as if it had begun now.
fn settle_anew(case: &Case<'_>, plan: &Plan, instance: &mut Instance) {
    instance.settled_at = case.now().saturating_add(plan.trigger.settle);
    (instance.stage, instance.due, instance.turn) = (Stage::Settling, instance.settled_at, instance.settled_at);
    (instance.step, instance.alternative, instance.tried, instance.ceiling) = (0, 0, 0, None);
}

/// It waits for the end of the instance, in the place of one that waited before it.
fn queue(case: &mut Case<'_>, instance: &mut Instance, cause: &Cause<'_>) {
    let mut entry = case.entry(Reason::Queued).instance(instance).because("trigger", cause.id);
    let (id, occurred_at, at) = (cause.id.to_owned(), cause.occurred_at, case.now());
    if let Some(before) = instance.queued.replace(Queued { id, occurred_at, at, fields: fields(cause.event) }) {
        entry = entry.because("instead_of", before.id);
    }
    case.write(entry);
}
