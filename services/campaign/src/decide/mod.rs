//! What is decided about one customer: from the row and one input to the row after it and the effects.
//!
//! In the order of reading: first the row meets what was said of its campaigns (`change`, `pause`, `moved`). A fact comes in (`fact`), may begin a cascade (`entry`, as may a sweep) or meet a running one again (`again`),
//! reach its goal (`goal`), say what became of a message (`feedback`), or concern the customer as such (`profile`, `hold`, and `merge`, where
//! one has had several ids).
//! A deadline falls due (`deadline`). Either may choose the next message (`choice`, by
//! what each costs: `fares`), send it (`dispatch`, and what of its price is owed later: `bill`; where the campaign has a budget that is
//! asked before: `asking`) or end the cascade (`ending`).
//! Whatever was decided is written down (`case`). A date that moves takes with it what waits for it (`sooner`).
//!
//! Rows that are no customer's are decided about by `budget` and, for an address that several customers have, by `shared`.

mod case;
mod change;
mod pause;
mod moved;
mod fact;
mod entry;
mod again;
mod goal;
mod feedback;
mod profile;
mod merge;
mod hold;
mod deadline;
mod exit;
mod moment;
mod sooner;
mod fares;
mod choice;
mod dispatch;
mod asking;
mod bill;
mod ending;
mod memory;
mod budget;
mod shared;

use schemas::{Address, Budget, Customer, Fact, Id, Journal, Key, Millis, Revoke, Send};

use crate::plans::Plans;
use crate::row::Row;

use case::Case;
pub(crate) use dispatch::has_consent;
pub(crate) use fares::Fares;
pub(crate) use moment::own_zone;
pub use profile::refusals;

/// What is decided about.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Something was said. `Fact::Progress` concerns no customer and never comes here.
    Fact {
        /// What.
        fact: &'a Fact,
        /// Kafka timestamp of the record in its source topic: machine time, for latencies only.
        appended_at: Millis,
        /// How often it was passed on.
        hops: i32,
    },
    /// A moment that the row waited for has come.
    Deadline,
    /// A moment at which this campaign looks at everybody has come: [`Moment::due`].
    Sweep {
        /// Which.
        campaign: &'a str,
    },
}

/// When and where: what the journal says of the input.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The round's reading of the business clock. Within a partition it never goes back.
    pub now: Millis,
    /// Partition of `input`.
    pub partition: i32,
    /// Offset of the fact; none for a deadline.
    pub offset: Option<i64>,
    /// The deadline that fell due, or the moment of a sweep; none for a fact.
    pub due: Option<Millis>,
}

/// What follows from a decision. Records are complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// To `send.<channel>`.
    Send(Box<Send>),
    /// To `revoke`. Where its send is still unpublished in the same transaction, both may be dropped.
    Revoke(Revoke),
    /// To `journal`.
    Journal(Box<Journal>),
    /// To `input`, by the key: what another row is to know.
    Forward {
        /// The other row's key.
        to: String,
        /// What is said. Its origin is the input that it follows from.
        input: Box<schemas::Input>,
    },
    /// To `suppression`, as a keyed hash: whom this mark names did not want to be written to, and was erased at this moment.
    Suppress {
        /// The mark, see [`schemas::suppression`].
        mark: Id,
        /// Only a later consent counts.
        since: Millis,
    },
    /// The record that was decided about goes to dead-letter, with this code.
    SetAside {
        /// Why.
        code: &'static str,
    },
}

/// Decides about the row of a key, whosever it is: a customer's, see [`decide`], a budget's, or an address's. Returns the same.
pub fn consider(
    plans: &Plans,
    key: &str,
    row: &mut Row,
    input: Input<'_>,
    moment: &Moment,
    effects: &mut Vec<Effect>,
) -> bool {
    match Key::of(key) {
        Key::Customer(customer_id) => {
            return match row {
                Row::Customer(customer) => decide(plans, customer_id, customer, input, moment, effects),
                _ => false,
            };
        }
        Key::Budget(campaign) => {
            if row.is_empty() {
                *row = Row::Budget(Budget::default());
            }
            if let Row::Budget(budget) = row {
                budget::consider(&mut Case::new(plans, key, input, moment, effects), campaign, budget, input);
            }
        }
        Key::Address(id) => {
            if row.is_empty() {
                *row = Row::Address(Address::default());
            }
            if let Row::Address(address) = row {
                shared::consider(&mut Case::new(plans, key, input, moment, effects), id, address, input);
            }
        }
        Key::Unknown => {}
    }
    // What is shared hears of facts alone.
    matches!(input, Input::Fact { .. })
}

/// Decides. Pure, total and deterministic: the same row, input and moment give the same row and effects, byte for byte.
/// Effects are appended in the order in which they were decided. Returns whether the row may have changed: if not, it has not.
pub fn decide(
    plans: &Plans,
    customer_id: &str,
    customer: &mut Customer,
    input: Input<'_>,
    moment: &Moment,
    effects: &mut Vec<Effect>,
) -> bool {
    let mut case = Case::new(plans, customer_id, input, moment, effects);
    if customer.moved_to.is_some() && !matches!(input, Input::Fact { .. }) {
        // Nothing is here that could be looked at.
        return false;
    }
    let mut changed = change::meet(&mut case, customer);
    changed |= match input {
        Input::Fact { fact, .. } => fact::consider(&mut case, customer, fact),
        Input::Deadline => {
            deadline::fire(&mut case, customer);
            true
        }
        Input::Sweep { campaign } => entry::sweep(&mut case, customer, campaign),
    };
    // What follows upon an end follows upon a change. One that ends at once may have followers of its own, and so on; a ring of
    // campaigns comes to its end by [`limits::AT_ONCE`].
    while !(case.waiting.is_empty() && case.ended.is_empty()) {
        for waiting in std::mem::take(&mut case.waiting) {
            entry::take_up(&mut case, customer, waiting);
        }
        for ended in std::mem::take(&mut case.ended) {
            entry::follow(&mut case, customer, &ended);
        }
    }
    changed
}

/// When this customer must be looked at again: the earliest of what its cascades wait for. One that stands still waits for its
/// campaign to be resumed, by which everybody is looked at.
pub fn due(customer: &Customer) -> Option<Millis> {
    let running = customer.instances.iter().filter(|instance| instance.frozen_at.is_none());
    running.map(|instance| instance.due).min()
}
