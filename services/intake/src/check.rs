//! What a record's values must be like. Only what would do harm further on is refused.

use schemas::{Action, Cart, Feedback, Id, Inactivity, Item, Millis, Profile, Registration};

use crate::Reject;

/// The checks of one record type.
pub(crate) trait Check {
    fn customer_id(&self) -> &str;

    /// Everything but the customer's id, which is looked at first.
    fn check(&self) -> Result<(), Reject>;
}

/// Identifiers become keys of topics and parts of rows.
const ID_BYTES_MAX: usize = 256;

/// The last millisecond of the year 9999: from there on dates cannot be computed.
const TIME_MAX: Millis = 253_402_300_799_999;

/// No cart is worth more, in minor units; and sums of many of them still fit an `i64`.
const AMOUNT_MAX: i64 = 1_000_000_000_000_000;

impl Check for Cart {
    fn customer_id(&self) -> &str {
        &self.customer_id
    }

    fn check(&self) -> Result<(), Reject> {
        event(&self.event_id, self.occurred_at)?;
        id("cart_id", &self.cart_id)?;
        amount("total_minor", self.total_minor)?;
        self.items.iter().try_for_each(item)
    }
}

impl Check for Registration {
    fn customer_id(&self) -> &str {
        &self.customer_id
    }

    fn check(&self) -> Result<(), Reject> {
        event(&self.event_id, self.occurred_at)
    }
}

impl Check for Inactivity {
    fn customer_id(&self) -> &str {
        &self.customer_id
    }

    fn check(&self) -> Result<(), Reject> {
        event(&self.event_id, self.occurred_at)?;
        // Zero says that nothing was ever heard.
        time("since", self.since, 0)?;
        amount("days", self.days.into())
    }
}

impl Check for Action {
    fn customer_id(&self) -> &str {
        &self.customer_id
    }

    fn check(&self) -> Result<(), Reject> {
        event(&self.event_id, self.occurred_at)?;
        id("action", &self.action)?;
        self.key.iter().try_for_each(|key| id("key", key))?;
        amount("amount_minor", self.amount_minor)?;
        self.items.iter().try_for_each(item)
    }
}

impl Check for Profile {
    fn customer_id(&self) -> &str {
        &self.customer_id
    }

    fn check(&self) -> Result<(), Reject> {
        event(&self.event_id, self.occurred_at)?;
        let contacts: Vec<&str> = self.contacts.iter().map(|contact| contact.channel.as_str()).collect();
        once("contacts.channel", &contacts)?;
        let consents: Vec<&str> = self.consents.iter().map(|consent| consent.channel.as_str()).collect();
        once("consents.channel", &consents)?;
        self.formerly.iter().try_for_each(|former| id("formerly", former))?;
        if self.formerly.iter().any(|former| former.chars().any(char::is_control)) {
            return Err(invalid("formerly", "ids without control characters"));
        }
        self.consents.iter().try_for_each(|consent| time("consents.at", consent.at, 0))
    }
}

impl Check for Feedback {
    fn customer_id(&self) -> &str {
        &self.customer_id
    }

    fn check(&self) -> Result<(), Reject> {
        event(&self.event_id, self.occurred_at)?;
        id("channel", &self.channel)?;
        match &self.send_id {
            Some(send) if Id::parse(send).is_none() => {
                Err(invalid("send_id", "the send's UUID, as it came with the command"))
            }
            _ => Ok(()),
        }
    }
}

/// Control characters are reserved for keys of the engine's own.
pub(crate) fn customer(customer_id: &str) -> Result<(), Reject> {
    id("customer_id", customer_id)?;
    if customer_id.chars().any(char::is_control) {
        return Err(invalid("customer_id", "text without control characters"));
    }
    Ok(())
}

fn event(event_id: &str, occurred_at: Millis) -> Result<(), Reject> {
    id("event_id", event_id)?;
    time("occurred_at", occurred_at, 1)
}

fn id(field: &str, value: &str) -> Result<(), Reject> {
    match value.len() {
        0 => Err(Reject::new("field_empty", format!("{field} is empty: set it"))),
        1..=ID_BYTES_MAX => Ok(()),
        bytes => Err(Reject::new("field_too_long", format!("{field} has {bytes} bytes, {ID_BYTES_MAX} are allowed"))),
    }
}

fn invalid(field: &str, form: &str) -> Reject {
    Reject::new("field_invalid", format!("{field} must be {form}"))
}

fn time(field: &str, value: Millis, first: Millis) -> Result<(), Reject> {
    if (first..=TIME_MAX).contains(&value) {
        return Ok(());
    }
    Err(Reject::new("time_out_of_range", format!("{field} must be milliseconds since 1970 UTC, before the year 10000")))
}

fn amount(field: &str, value: i64) -> Result<(), Reject> {
    if (0..=AMOUNT_MAX).contains(&value) {
        return Ok(());
    }
    Err(Reject::new("amount_out_of_range", format!("{field} must be between 0 and {AMOUNT_MAX}")))
}

fn item(item: &Item) -> Result<(), Reject> {
    amount("items.quantity", item.quantity.into())?;
    amount("items.price_minor", item.price_minor)
}

fn once(field: &str, channels: &[&str]) -> Result<(), Reject> {
    for (index, channel) in channels.iter().enumerate() {
        id(field, channel)?;
        if channels[..index].contains(channel) {
            return Err(Reject::new(
                "channel_twice",
                format!("{field} names the same channel twice: leave one of both"),
            ));
        }
    }
    Ok(())
}
