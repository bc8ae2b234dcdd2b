//! How much a row may hold and how far a duration may reach: what keeps every decision bounded.

use schemas::Millis;

/// Messages of a campaign, alternatives included: one bit each in a row.
pub const OPTIONS: usize = 60;
/// Cascades that run for one customer at a time; a further trigger is refused.
pub const INSTANCES: usize = 16;
/// How often a campaign begins for one customer at one moment upon the ends of others: as many as can have run. A ring of campaigns ends
/// here.
pub const AT_ONCE: usize = 16;
/// Cascades that ended and are remembered, so that late receipts find their send.
pub const PAST: usize = 8;
/// As many are remembered while campaigns ask for each of them: `was_in`, or a `cooldown` that is not over.
pub const PAST_ASKED_FOR: usize = 16;
/// Messages of cascades that ended, remembered because it is not known yet whether their price is owed.
pub const UNSETTLED: usize = 16;
/// Actions remembered, one for each (action, key), of those that campaigns ask for.
pub const DONE: usize = 16;
/// Conditions of goals that are remembered as fulfilled, one for each (action, condition, key).
pub const FULFILLED: usize = 32;
/// Campaigns of which is remembered how often they have begun.
pub const BEGUN: usize = 64;
/// Carts of which is remembered that a version began nothing.
pub const PASSED: usize = 4;
/// Messages remembered because a cap counts them.
pub const COUNTED: usize = 100;
/// Event ids remembered: the horizon within which a repeat is recognised.
pub const RECENT: usize = 16;
/// Bits by which such an event is recognised: among a billion events in a day one is taken for a repeat in half a century.
pub const MARK_BITS: u32 = 48;
/// Contacts, and consents, that a profile may bring: far more than there are channels.
pub const CONTACTS: usize = 32;
/// Attributes that a profile may bring, each at most [`FIELD_BYTES`] long.
pub const ATTRIBUTES: usize = 64;
/// Addresses remembered as dead.
pub const DEAD: usize = 8;
/// Fields of a trigger that an instance keeps.
pub const FIELDS: usize = 32;
/// Bytes of one such field; a longer one is left out.
pub const FIELD_BYTES: usize = 512;
/// Commands for one alternative: a further one follows only where an earlier one was withdrawn because of a hold or a pause.
pub const ATTEMPTS: i32 = 3;
/// After `send_before` no worker hands the command over; its answer may take this long to arrive.
pub const ANSWER_MARGIN: Millis = 5 * 60 * 1000;
/// How often a record is passed on from one row to another: so long may a chain of former ids be.
pub const HOPS: i32 = 8;
/// Former ids of a customer that are asked for what is known under them.
pub const FORMERLY: usize = 16;
/// An adopted cascade whose version is not known here yet is waited for so long: another partition may know of campaigns earlier.
pub const LAG: Millis = 60 * 60 * 1000;
/// After so long it is asked again what was not known.
pub const ASK_AGAIN: Millis = 60 * 1000;
/// Customers with one address who hear what the others hear of it.
pub const OWNERS: usize = 8;
/// Grants that a budget remembers as given back, so that each counts once.
pub const RETURNED: usize = 64;
/// The longest duration that a campaign may state, and how far ahead a date may lie that is waited for: five years, since contracts
/// run for some.
pub const LONGEST: Millis = 1_830 * 24 * 60 * 60 * 1000;
/// Characters of a name: of a campaign, a step, a template, an action, a variant.
pub const NAME_LENGTH: usize = 200;
/// Bytes of an expression.
pub const EXPRESSION_BYTES: usize = 2_048;
/// Lines of a timeline.
pub const TIMELINE_LINES: usize = 10_000;
/// Bytes of one such line.
pub const TIMELINE_WIDTH: usize = 4_096;
/// The longest time that a timeline may tell of: a birthday on a leap day comes twice in it.
pub const TIMELINE_SPAN: Millis = 10 * 366 * 24 * 60 * 60 * 1000;
/// Deadlines and sweeps that may fall due in a timeline.
pub const TIMELINE_MOMENTS: usize = 50_000;
