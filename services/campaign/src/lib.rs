//! The brain: what a campaign says, and what is decided about one customer.
//!
//! *What it is.* The campaign language (YAML to a validated [`Plan`], every error with its line), the set of all campaigns
//! that are in force ([`Plans`]), and [`decide`]: the pure function from a customer's row and one input to the row after it
//! and the effects. The same function serves production, tests and simulation.
//!
//! *What it is not.* No Kafka, no store, no clock, no randomness, no floats, no threads. It never asks what time it is: the
//! moment is handed in. It does not know who else is being decided about.
//!
//! ```text
//! YAML ── language ──> Plan ──┐
//! Campaign records ── Plans ──┼── decide(customer, fact or moment) ──> row, sends, revocations, journal
//! CEL ── predicate ───────────┘
//! ```
//!
//! On these stand three tools: [`rehearsal`], which lives through a timeline in virtual time, [`picture`], and [`reference`], the
//! language's manual and its schema for editors.
//!
//! *Limits.* At most [`limits::OPTIONS`] messages in a campaign and [`limits::INSTANCES`] running cascades for a customer. Every
//! list in a row is bounded, see [`limits`]. Repeats of an event are recognised among the last [`limits::RECENT`] events that
//! changed something; a trigger older than its campaign's `max_age` is refused. A command that nobody answered is taken as
//! undecided until `send_before` and [`limits::ANSWER_MARGIN`] have passed and the step's wait is over. An erasure empties the
//! row, memory of events included: an older event that is repeated after it, and after the customer came back with a new
//! profile, may begin its cascade again; its sends then carry the ids they had, by which workers know them.
//!
//! *Time.* Moments are on the customer's own clock: the profile's zone, else that of the telephone number's country, else the
//! campaign's. The rules of zones come with this program (jiff's bundled copy), so that every replica decides alike; a new version of it
//! may move moments that were not reckoned yet. A sweep reckons days in the campaign's zone.
//!
//! *People.* A call is a message of which a person tells what it came to. Its outcome stands for a status, so that stops, prices and late
//! words need no second way; of several outcomes the one further down the list holds. Who said no does not want this: that ends this cascade and
//! says nothing of others. Who wants no more calls has opted out of the channel, which whoever called tells as `UNSUBSCRIBED`, whatever
//! the outcome beside it.
//!
//! *Sleep.* Silence counts from the decision of the first message that was handed over and not answered, on channels that tell of opening,
//! from the moment on at which a campaign asks. A contact that is left out makes nothing dearer follow.
//!
//! *Launches.* [`Forecast`] lets [`decide`] itself say for whom a campaign begins; its price counts each message that can go out to a
//! customer once, at the prices of the moment of the launch. Whoever changes his contacts or is refused before the sweep comes is not in it.
//!
//! *Memory.* A row remembers what some campaign in force asks for, from the moment on at which it is in force: `did`, `bought`,
//! `heard_on` and `was_in` know nothing of what was before, or of what had to give way to newer entries.
//!
//! *Money.* A price is reserved when a message is decided on, and owed or given back by what becomes known of it, in the order of the
//! customer's input: the sum of what the journal's entries about a send reserve and give back is its price or nothing, and no price is
//! owed twice. A word that comes after the end of its cascade settles a price, too, as long as the message is among the last
//! [`limits::UNSETTLED`] of the customer that were left open; what is never heard of stays reserved, and an erasure forgets what is open.
//! What is charged for handing over is not given back for a refusal after it; what is charged for arrival is.
//!
//! *Versions.* A version never changes, and an instance stays on its own until it is moved to another one. Stops, pauses and migrations
//! stand in their order in the topic; an instance counts how many of them are behind it and meets the others when its row is looked
//! at, which a sweep does soon. A pause is no part of a length (`3h`), while dates stay, and a time of day that passed meanwhile comes
//! again; the length of `3h active` is longer by the whole pause, nights of it included. Of triggers that queue only the latest is
//! kept, and whether the campaign wants it is asked when it comes, not when it begins.
//!
//! *Other rows.* What one row says to another is an [`Effect`] too: a record forwarded into `input`. A budget is a row of its own, which
//! sees all that is asked of it in one order, so its sum is exact. What was sent and is withdrawn stays counted in it: a withdrawal may
//! prove wrong. A former id of a customer hands its row over once and passes on what comes for it, at most [`limits::HOPS`] times
//! along a chain; a purchase under one id ends what runs under another one step of the input later than its own. A goal's
//! condition is judged by what is known under the id under which the action comes. Whoever is erased is forgotten under this id
//! alone: a shop that knows several erases each.
//!
//! *Addresses.* What is heard of an address that several customers have counts for all of them, if the caps say so, but at most
//! [`limits::OWNERS`] hear of each other, and only since the first profile that came when the caps said so. A word that crosses a
//! profile on its way is told to whoever comes later, unless it is a bounce: that the newcomer's own message finds out.
//!
//! *Not yet.* Two profiles with one address both get a message, and caps count each for itself.
//!
//! # The rules that never bend
//!
//! Each is a property in `tests/rules.rs` or `tests/statuses.rs`, by its number.
//!
//! 1. No step goes out after a stop fact that precedes it in the customer's input order.
//! 2. At most one command per (instance, step, alternative, attempt), and its id is made of exactly those.
//! 3. Under cost order no paid step goes out while an eligible cheaper one is untried or undecided; the orders by expected cost and
//!    by response keep to theirs alike, and none lets anything dearer follow upon an outage.
//! 4. The same inputs and clock readings give the same rows, sends and journal, byte for byte.
//! 5. No marketing send without contact or consent, past its validity or in quiet hours, judged at dispatch.
//! 6. Every instance ends.
//! 7. A repeat changes nothing; between two decisions neither does the order of one message's statuses.
//! 8. An unsubscribe or complaint ends the cascade; neither it nor an outage is answered by something dearer.
//! 9. A machine's open counts as delivered, not as opened.
//! 10. "No information" is not "not delivered".
//! 11. A wait counts from the hand-over, and nothing is decided while a command may still go out.
//! 12. After a record that nobody could read the customer's sends are held until somebody has looked.
//!
//! What others stumble over, what is done about each, and what is not yet: [`traps`].
//! Which changes of the brain no test notices, and why: `src/mutants.md`.

pub mod limits;
mod calendar;
mod language;
mod predicate;
mod channel;
mod prices;
mod rates;
mod caps;
mod migration;
mod changes;
mod plans;
mod row;
mod decide;
mod hygiene;
mod forecast;
mod spend;
pub mod rehearsal;
pub mod picture;
pub mod reference;
#[doc = include_str!("traps.md")]
pub mod traps {}

pub use calendar::{Landing, Quiet, Recurrence, Shift, zones_version};
pub use caps::{Cap, Caps, Then, Window};
pub use changes::State;
pub use channel::Channel;
pub use decide::{Effect, Input, Moment, consider, decide, due, refusals};
pub use forecast::Forecast;
pub use hygiene::{Contacts, Hygiene};
pub use language::{
    Again, Allowance, Anchor, Asleep, AtNight, Cause, Endings, Experiment, Goal, Level, Match, Night, Order, Per, Plan,
    Point, Problem, Schedule, Severity, Short, Sleeper, Step, Template, Trigger, TriggerKind, Wait, parse, together,
    unknown_past,
};
pub use migration::{Migration, of_another_thing};
pub use plans::{Plans, Sweep, Turn};
pub use predicate::Predicate;
pub use prices::{Charge, Price, Prices};
pub use rates::Rates;
pub use row::Row;
pub use schemas::sms::segments;
pub use spend::Spend;
