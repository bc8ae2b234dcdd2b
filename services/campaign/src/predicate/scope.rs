//! What an expression is evaluated on: borrowed data, nothing copied.

use jiff::tz::TimeZone;
use schemas::{Action, Cart, Customer, Fields, Inactivity, Item, Millis, Reason, Registration, Sent};

use super::vocabulary::Field;
use super::{Memory, Of, Value};
use crate::calendar;
use crate::decide::own_zone;

const DAY: Millis = 24 * 3_600_000;

/// The event at hand.
#[derive(Clone, Copy)]
pub(crate) enum Event<'a> {
    Cart(&'a Cart),
    Registration(&'a Registration),
    Inactivity(&'a Inactivity),
    Action(&'a Action),
    /// A moment of a schedule.
    Moment(Millis),
    /// A cascade ended.
    End(&'a Ended),
    /// What an instance kept of its trigger.
    Kept(&'a Fields),
}

/// A cascade that ended just now.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub campaign: String,
    pub key: String,
    pub reason: Reason,
    /// The instance's id.
    pub id: String,
    pub at: Millis,
    /// Nobody heard of it: its customer is in the control group.
    pub held_out: bool,
}

/// Everything an expression can see.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub event: Event<'a>,
    pub customer: &'a Customer,
    /// The sends of the instance at hand.
    pub sends: &'a [Sent],
    pub today: Today<'a>,
    pub(super) item: Option<&'a Item>,
}

/// The moment at which an expression is evaluated, and the zone whose days count where the customer's own do not.
#[derive(Clone, Copy)]
pub(crate) struct Today<'a> {
    pub now: Millis,
    pub zone: &'a TimeZone,
}

/// The action under which the purchase of a product, or of something of a category, is remembered.
pub(crate) const PURCHASE_OF: &str = "purchase of";

/// Stands between an action and the mark of a condition that it fulfilled: of an action only its name, key and time are kept, so that
/// it could not be asked later.
pub(crate) const FULFILLING: &str = " fulfilling ";

/// Ends the mark of a goal that asks for one article: it is remembered of each by itself.
pub(crate) const BOUGHT: &str = " fulfilling by article";

impl<'a> Scope<'a> {
    pub fn of_event(event: Event<'a>, customer: &'a Customer, today: Today<'a>) -> Self {
        Scope { event, customer, sends: &[], today, item: None }
    }

    pub fn of_step(fields: &'a Fields, customer: &'a Customer, sends: &'a [Sent], today: Today<'a>) -> Self {
        Scope { event: Event::Kept(fields), customer, sends, today, item: None }
    }

    /// Days since the customer did something, as far as the row remembers.
    pub(super) fn days_since(&self, action: &str) -> Option<i64> {
        let times = self.customer.done.iter().filter(|done| done.action == action).map(|done| done.occurred_at);
        Some(self.today.now.saturating_sub(times.max()?) / DAY)
    }

    pub(super) fn remembers(&self, memory: &Memory) -> bool {
        let is_within = |at: Millis, days: Option<i64>| {
            days.is_none_or(|days| self.today.now.saturating_sub(at) < days.saturating_mul(DAY))
        };
        let Customer { done, heard, past, instances, .. } = self.customer;
        match memory {
            Memory::Did(action, days) => {
                done.iter().any(|done| done.action == **action && is_within(done.occurred_at, *days))
            }
            Memory::Bought(what, days) => done.iter().any(|done| {
                done.action == PURCHASE_OF && done.key.as_deref() == Some(what) && is_within(done.occurred_at, *days)
            }),
            Memory::HeardOn(channel, days) => {
                heard.iter().any(|heard| heard.channel == **channel && heard.at > 0 && is_within(heard.at, *days))
            }
            Memory::WasIn(campaign, days) => {
                past.iter().any(|past| past.campaign == **campaign && is_within(past.ended_at, *days))
            }
            Memory::IsIn(campaign) => instances.iter().any(|instance| instance.campaign == **campaign),
        }
    }

    /// Days of the calendar from today to a date; to its next anniversary, today's included, if that is wanted.
    pub(super) fn days_until(&self, date: &str, anniversary: bool) -> Option<i64> {
        let Today { now, zone } = self.today;
        // A sweep reckons its day for everybody alike; all else stands on the customer's own calendar, where that is known.
        let own = if matches!(self.event, Event::Moment(_)) { None } else { own_zone(self.customer) };
        let zone = own.as_ref().map_or(zone, |(own, _)| own);
        let today = calendar::local(now, zone)?.date();
        let date = calendar::day_of(date, zone)?;
        let date = if anniversary { calendar::next_anniversary(date, today)? } else { date };
        today.until(date).ok().map(|span| i64::from(span.get_days()))
    }

    pub(super) fn items(&self) -> &'a [Item] {
        match self.event {
            Event::Cart(cart) => &cart.items,
            Event::Action(action) => &action.items,
            _ => &[],
        }
    }

    /// An attribute; none where it is absent.
    pub(super) fn attribute(&self, of: Of, name: &str) -> Option<&'a str> {
        let map = match (of, self.event) {
            (Of::Profile, _) => &self.customer.attributes,
            (Of::Event, Event::Registration(registration)) => &registration.attributes,
            (Of::Event, Event::Inactivity(inactivity)) => &inactivity.attributes,
            (Of::Event, Event::Action(action)) => &action.attributes,
            (Of::Event, Event::Kept(fields)) => return fields.get(name),
            (Of::Event, Event::Cart(_) | Event::Moment(_) | Event::End(_)) => return None,
        };
        map.get(name).map(String::as_str)
    }

    pub(super) fn field(&self, field: Field) -> Option<Value<'a>> {
        let text = |text: &'a Option<String>| text.as_deref().map(Value::Text);
        Some(match field {
            Field::Locale => return text(&self.customer.locale),
            Field::TimeZone => return text(&self.customer.time_zone),
            Field::Sku => Value::Text(&self.item?.sku),
            Field::Category => Value::Text(&self.item?.category),
            Field::Quantity => Value::Int(self.item?.quantity.into()),
            Field::PriceMinor => Value::Int(self.item?.price_minor),
            _ => return self.of_event_field(field),
        })
    }

    fn of_event_field(&self, field: Field) -> Option<Value<'a>> {
        Some(match (self.event, field) {
            (Event::Cart(cart), Field::OccurredAt) => Value::Int(cart.occurred_at),
            (Event::Cart(cart), Field::CartId) => Value::Text(&cart.cart_id),
            (Event::Cart(cart), Field::Version) => Value::Int(cart.version),
            (Event::Cart(cart), Field::TotalMinor) => Value::Int(cart.total_minor),
            (Event::Cart(cart), Field::Currency) => Value::Text(&cart.currency),
            (Event::Cart(cart), Field::Link) => return cart.link.as_deref().map(Value::Text),
            (Event::Registration(event), Field::OccurredAt) => Value::Int(event.occurred_at),
            (Event::Registration(event), Field::Source) => Value::Text(&event.source),
            (Event::Inactivity(event), Field::OccurredAt) => Value::Int(event.occurred_at),
            (Event::Inactivity(event), Field::Since) => Value::Int(event.since),
            (Event::Inactivity(event), Field::Days) => Value::Int(event.days.into()),
            (Event::Moment(at), Field::OccurredAt) => Value::Int(at),
            (Event::End(ended), Field::OccurredAt) => Value::Int(ended.at),
            (Event::End(ended), Field::Campaign) => Value::Text(&ended.campaign),
            (Event::End(ended), Field::Key) => Value::Text(&ended.key),
            (Event::Action(action), Field::OccurredAt) => Value::Int(action.occurred_at),
            (Event::Action(action), Field::Action) => Value::Text(&action.action),
            (Event::Action(action), Field::Key) => return action.key.as_deref().map(Value::Text),
            (Event::Action(action), Field::AmountMinor) => Value::Int(action.amount_minor),
            (Event::Action(action), Field::Currency) => Value::Text(&action.currency),
            (Event::Kept(fields), _) => return kept(fields, field),
            _ => return None,
        })
    }
}

/// Kept fields are text; numbers are read back.
fn kept(fields: &Fields, field: Field) -> Option<Value<'_>> {
    let text = |name: &str| fields.get(name).map(Value::Text);
    let number = |name: &str| fields.get(name)?.parse().ok().map(Value::Int);
    match field {
        Field::OccurredAt => number("occurred_at"),
        Field::CartId => text("cart_id"),
        Field::Version => number("version"),
        Field::TotalMinor => number("total_minor"),
        Field::Currency => text("currency"),
        Field::Link => text("link"),
        Field::Campaign => text("campaign"),
        Field::Source => text("source"),
        Field::Since => number("since"),
        Field::Days => number("days"),
        Field::Action => text("action"),
        Field::Key => text("key"),
        Field::AmountMinor => number("amount_minor"),
        _ => None,
    }
}
