//! From the bytes of one record to a fact about one customer.

use schemas::{
    Action, Cart, Fact, Feedback, Ids, Inactivity, Input, Origin, Profile, Record, Registration, SOURCE_BYTES_MAX,
};

use crate::Reject;
use crate::check::{self, Check};

/// What a source topic holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Carts.
    Cart,
    /// Registrations.
    Registration,
    /// Inactivity.
    Inactivity,
    /// Actions.
    Action,
    /// Profiles.
    Profile,
    /// Feedback.
    Feedback,
}

impl Kind {
    /// All, in the order of the catalogue.
    pub const ALL: [Kind; 6] =
        [Kind::Cart, Kind::Registration, Kind::Inactivity, Kind::Action, Kind::Profile, Kind::Feedback];

    /// Full name of the record's schema.
    pub fn record(self) -> &'static str {
        match self {
            Kind::Cart => Cart::NAME,
            Kind::Registration => Registration::NAME,
            Kind::Inactivity => Inactivity::NAME,
            Kind::Action => Action::NAME,
            Kind::Profile => Profile::NAME,
            Kind::Feedback => Feedback::NAME,
        }
    }

    /// The kind whose records have this schema.
    pub fn of(record: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.record() == record)
    }
}

/// A record as it came.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What its topic holds.
    pub kind: Kind,
    /// Topic.
    pub topic: &'a str,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Kafka's timestamp, machine time.
    pub appended_at: i64,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value; none for a tombstone.
    pub value: Option<&'a [u8]>,
}

/// A record that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normal {
    /// Whom it is about: the key in `input`.
    pub customer_id: String,
    /// The fact and where it came from.
    pub input: Input,
}

/// Checks a record and makes it uniform.
///
/// # Errors
/// A [`Reject`] with one of [`CODES`](crate::CODES). It names the customer if the record does, else if the key does.
pub fn normalize(source: &Source<'_>, ids: &Ids) -> Result<Normal, Reject> {
    let fact = match source.kind {
        Kind::Cart => read(source, ids, Fact::Cart),
        Kind::Registration => read(source, ids, Fact::Registration),
        Kind::Inactivity => read(source, ids, Fact::Inactivity),
        Kind::Action => read(source, ids, Fact::Action),
        Kind::Profile if source.value.is_none() => {
            erasure(source).map(|gone| (gone.customer_id.clone(), Fact::Profile(gone)))
        }
        Kind::Profile => read(source, ids, |profile| Fact::Profile(with_usable_contacts(profile))),
        Kind::Feedback => read(source, ids, Fact::Feedback),
    };
    match fact {
        Ok((customer_id, fact)) => Ok(Normal { customer_id, input: Input { origin: source.origin(), fact, hops: 0 } }),
        Err(mut reject) => {
            reject.customer = reject.customer.or_else(|| source.customer());
            Err(reject)
        }
    }
}

fn read<T: Record + Check>(source: &Source<'_>, ids: &Ids, fact: impl Fn(T) -> Fact) -> Result<(String, Fact), Reject> {
    let value = source.value.ok_or_else(|| Reject::new("no_value", "a tombstone has no meaning on this topic"))?;
    let bytes = value.len() + source.key.map_or(0, <[u8]>::len);
    if bytes > SOURCE_BYTES_MAX {
        let message =
            format!("{bytes} bytes are more than a source record may have ({SOURCE_BYTES_MAX}): make it smaller");
        return Err(Reject::new("too_large", message));
    }
    let record: T = ids.decode(value)?;
    check::customer(record.customer_id())?;
    let customer_id = record.customer_id().to_owned();
    match record.check() {
        Ok(()) => Ok((customer_id, fact(record))),
        Err(reject) => Err(Reject { customer: Some(customer_id), ..reject }),
    }
}

/// A tombstone on the compacted topic of profiles: its producer removed the customer, and so do we.
fn erasure(source: &Source<'_>) -> Result<Profile, Reject> {
    let customer_id = source
        .customer()
        .ok_or_else(|| Reject::new("field_invalid", "the key of a tombstone must be the customer's id"))?;
    let event_id = format!("tombstone/{}/{}/{}", source.topic, source.partition, source.offset);
    Ok(Profile { event_id, customer_id, occurred_at: source.appended_at.max(1), erased: true, ..Profile::default() })
}

/// A contact without an address is no contact. Forms that were left empty are common, and no reason to refuse a profile.
fn with_usable_contacts(mut profile: Profile) -> Profile {
    profile.contacts.retain(|contact| !contact.address.trim().is_empty());
    profile
}

impl Source<'_> {
    /// The customer as the key names him.
    fn customer(&self) -> Option<String> {
        let key = str::from_utf8(self.key?).ok()?;
        check::customer(key).is_ok().then(|| key.to_owned())
    }

    /// Where it stands.
    pub fn origin(&self) -> Origin {
        Origin {
            topic: self.topic.to_owned(),
            partition: self.partition,
            offset: self.offset,
            appended_at: self.appended_at,
        }
    }
}

#[cfg(test)]
mod tests;
