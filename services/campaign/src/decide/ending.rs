//! A cascade ends: what may still go out is withdrawn, and the end is written down, once.

use schemas::{Customer, Instance, Reason, Revoke, Sent, Stage, Status};

use crate::predicate::Ended;

use super::case::{Case, Entry, Fate, Waiting};
use super::{Effect, memory, merge};

/// Ends an instance.
pub(super) fn close(
    case: &mut Case<'_>,
    customer: &mut Customer,
    instance: &mut Instance,
    reason: Reason,
    evidence: &[(&'static str, String)],
) -> Fate {
    let mut entry = case.entry(reason).instance(instance);
    for (what, how) in evidence {
        entry = entry.because(*what, how.as_str());
    }
    end(case, customer, instance, reason, entry)
}

/// Ends an instance whose campaign was stopped. What is with a provider already cannot be taken back: it is listed.
pub(super) fn stopped(
    case: &mut Case<'_>,
    customer: &mut Customer,
    instance: &mut Instance,
    evidence: &[(&'static str, &str)],
) -> Fate {
    let handed_over = instance.sends.iter().filter(|sent| sent.handed_over_at.is_some());
    let listed: Vec<String> = handed_over.map(|sent| format!("{} by {}", sent.id, sent.channel)).collect();
    let mut entry = case.entry(Reason::CampaignStopped).instance(instance);
    entry = entry.because("handed_over", listed.len().to_string());
    if !listed.is_empty() {
        entry = entry.because("handed_over_sends", listed.join(", "));
    }
    for (what, how) in evidence {
        entry = entry.because(*what, *how);
    }
    end(case, customer, instance, Reason::CampaignStopped, entry)
}

fn end(case: &mut Case<'_>, customer: &mut Customer, instance: &mut Instance, reason: Reason, entry: Entry) -> Fate {
    let entry = withdraw(case, instance, reason, entry);
    let entry = match instance.queued.take() {
        // Whoever did what was hoped for, or wants no more, or whose thing is gone, is not spoken to about it anew.
        Some(queued)
            if matches!(reason, Reason::StopReached | Reason::Exhausted | Reason::Capped | Reason::BudgetSpent) =>
        {
            let (campaign, key) = (instance.campaign.clone(), instance.key.clone());
            case.waiting.push(Waiting { campaign, key, queued });
            entry
        }
        Some(queued) => entry.because("given_up", queued.id),
        None => entry,
    };
    case.write(entry);
    let now = case.now();
    case.ended.push(Ended {
        campaign: instance.campaign.clone(),
        key: instance.key.clone(),
        reason,
        id: instance.id.to_string(),
        at: now,
        held_out: instance.held_out,
    });
    memory::past(case.plans, customer, instance, now, reason);
    Fate::Ended
}

/// Withdraws the command that may still go out, if there is one: the entry says so, and gives its price back.
pub(super) fn withdraw(case: &mut Case<'_>, instance: &mut Instance, reason: Reason, entry: Entry) -> Entry {
    let Some(sent) = pending(instance) else { return entry };
    let entry = match case.plans.of(instance) {
        Some(plan) => entry.send(plan, sent),
        None => entry.command(sent),
    };
    let entry = entry.because("revoked", sent.channel.as_str()).amount(sent.price_minor.saturating_neg());
    case.effects.push(Effect::Revoke(Revoke {
        send_id: sent.id.to_string(),
        // The id under which it was published, so that its worker hears of it.
        customer_id: merge::former_id(instance, instance.sends.len().saturating_sub(1))
            .unwrap_or(case.customer_id)
            .to_owned(),
        channel: sent.channel.clone(),
        revoked_at: case.now(),
        reason,
    }));
    if let Some(sent) = instance.sends.last_mut() {
        sent.failed = Status::Revoked;
    }
    entry
}

/// The command that nobody answered yet and that is not withdrawn already.
pub(super) fn pending(instance: &Instance) -> Option<&Sent> {
    let silent = |sent: &&Sent| {
        sent.reached == Status::Unspecified && sent.handed_over_at.is_none() && sent.failed == Status::Unspecified
    };
    if instance.stage == Stage::Dispatched { instance.sends.last().filter(silent) } else { None }
}
