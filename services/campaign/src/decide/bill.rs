//! What of a message's price is reserved, and what is owed. Both follow from what is known of the message, so no word moves money
//! twice, however often or late it comes, and whatever came before it.

use schemas::{Customer, Id, Instance, Sent, Status, Unsettled};

use crate::limits;

use super::memory::keep;

/// How it stands with a message's price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Reserved.
    Open,
    /// Reserved and owed. It stays so: a provider takes nothing back.
    Owed,
    /// Given back.
    Void,
}

/// How it stands with the price of a command.
fn standing(sent: &Sent) -> Standing {
    of(&account(sent))
}

/// What is known of a command, as far as its price depends on it.
fn account(sent: &Sent) -> Unsettled {
    let Sent { id, price_minor, on_delivery, reached, failed, .. } = *sent;
    let handed_over = sent.handed_over_at.is_some();
    Unsettled { id, campaign: String::new(), price_minor, on_delivery, handed_over, reached, failed }
}

fn of(account: &Unsettled) -> Standing {
    let never_left = never_left(account.failed);
    let is_lost = is_lost(account.failed);
    if account.on_delivery {
        match account.reached >= Status::Delivered {
            true => Standing::Owed,
            false if never_left || is_lost => Standing::Void,
            false => Standing::Open,
        }
    } else if account.reached > Status::Unspecified {
        Standing::Owed
    } else if never_left || (account.failed == Status::BouncedHard && !account.handed_over) {
        // A bounce before any word of the hand-over: the provider said at the call that nobody is there.
        Standing::Void
    } else if is_lost {
        // What a provider gave up it had taken.
        Standing::Owed
    } else {
        Standing::Open
    }
}

fn never_left(failed: Status) -> bool {
    matches!(failed, Status::Refused | Status::Expired | Status::Revoked)
}

fn is_lost(failed: Status) -> bool {
    matches!(failed, Status::BouncedHard | Status::Failed)
}

/// Money that is moved, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Move {
    /// Reserved, or given back if it is negative.
    pub amount: i64,
    /// Owed from now on.
    pub charged: i64,
}

/// Notes what became known of a command. Returns what is moved by it.
pub(super) fn learn(sent: &mut Sent, known: impl FnOnce(&mut Sent)) -> Move {
    let before = standing(sent);
    known(sent);
    between(sent.price_minor, before, standing(sent))
}

fn between(price: i64, before: Standing, after: Standing) -> Move {
    let held = |standing| if standing == Standing::Void { 0 } else { price };
    let owed = |standing| if standing == Standing::Owed { price } else { 0 };
    Move { amount: held(after) - held(before), charged: owed(after) - owed(before) }
}

/// Remembers what an instance that ends leaves open: no word has settled it, or it was withdrawn and may have gone out all the same.
pub(super) fn leave_open(customer: &mut Customer, instance: &Instance) {
    for account in instance.sends.iter().map(account).filter(|account| account.price_minor > 0) {
        let is_withdrawn = account.failed == Status::Revoked;
        if of(&account) == Standing::Open || (of(&account) == Standing::Void && is_withdrawn) {
            let campaign = instance.campaign.clone();
            keep(&mut customer.unsettled, Unsettled { campaign, ..account }, limits::UNSETTLED);
        }
    }
}

/// What a word about a message of an instance that ended moves, and of which campaign; none where that was settled long ago. Whatever
/// settles it lets it be forgotten.
pub(super) fn late(customer: &mut Customer, id: Id, status: Status) -> Option<(Move, String)> {
    let index = customer.unsettled.iter().position(|account| account.id == id)?;
    let account = &mut customer.unsettled[index];
    let before = of(account);
    if status <= Status::Replied {
        account.handed_over = true;
        account.reached = account.reached.max(status);
        if matches!(account.failed, Status::Unknown | Status::Expired | Status::Revoked) {
            account.failed = Status::Unspecified;
        }
    } else if never_left(status) || is_lost(status) {
        account.failed = status;
    } else if status == Status::Unknown && !account.handed_over {
        // As of a running one: it may have gone out.
        (account.handed_over, account.failed) = (true, status);
    }
    let (price, after) = (account.price_minor, of(account));
    let campaign = account.campaign.clone();
    if after == Standing::Owed || (after == Standing::Void && (never_left(status) || is_lost(status))) {
        customer.unsettled.remove(index);
    }
    Some((between(price, before, after), campaign))
}
