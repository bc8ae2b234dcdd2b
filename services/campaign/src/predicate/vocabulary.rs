//! The names that an expression may use, and their types.

use crate::language::TriggerKind;

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int,
    Text,
    /// The lines of a cart or an order.
    Items,
}

impl Type {
    pub fn name(self) -> &'static str {
        match self {
            Type::Bool => "true or false",
            Type::Int => "a whole number",
            Type::Text => "a text",
            Type::Items => "a list of items",
        }
    }
}

/// A scalar that an event, an item or a profile has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    OccurredAt,
    CartId,
    Version,
    TotalMinor,
    Currency,
    Link,
    Campaign,
    Source,
    Since,
    Days,
    Action,
    Key,
    AmountMinor,
    Locale,
    TimeZone,
    Sku,
    Category,
    Quantity,
    PriceMinor,
}

type Fields = &'static [(&'static str, Type, Field)];

const CART: Fields = &[
    ("occurred_at", Type::Int, Field::OccurredAt),
    ("cart_id", Type::Text, Field::CartId),
    ("version", Type::Int, Field::Version),
    ("total_minor", Type::Int, Field::TotalMinor),
    ("currency", Type::Text, Field::Currency),
    ("link", Type::Text, Field::Link),
];
const REGISTRATION: Fields = &[("occurred_at", Type::Int, Field::OccurredAt), ("source", Type::Text, Field::Source)];
const END: Fields = &[
    ("occurred_at", Type::Int, Field::OccurredAt),
    ("campaign", Type::Text, Field::Campaign),
    ("key", Type::Text, Field::Key),
];
const SCHEDULE: Fields = &[("occurred_at", Type::Int, Field::OccurredAt)];
const INACTIVITY: Fields = &[
    ("occurred_at", Type::Int, Field::OccurredAt),
    ("since", Type::Int, Field::Since),
    ("days", Type::Int, Field::Days),
];
const ACTION: Fields = &[
    ("occurred_at", Type::Int, Field::OccurredAt),
    ("action", Type::Text, Field::Action),
    ("key", Type::Text, Field::Key),
    ("amount_minor", Type::Int, Field::AmountMinor),
    ("currency", Type::Text, Field::Currency),
];
/// What an item has.
pub(super) const ITEM: Fields = &[
    ("sku", Type::Text, Field::Sku),
    ("category", Type::Text, Field::Category),
    ("quantity", Type::Int, Field::Quantity),
    ("price_minor", Type::Int, Field::PriceMinor),
];
/// What a profile has beside its attributes.
pub(super) const PROFILE: Fields = &[("locale", Type::Text, Field::Locale), ("time_zone", Type::Text, Field::TimeZone)];

/// The names at one place of a campaign.
pub(crate) struct Vocabulary<'a> {
    pub(super) fields: Fields,
    /// The event has `items`.
    pub(super) items: bool,
    /// The event has `attributes`.
    pub(super) attributes: bool,
    /// At a step: the names of those before it.
    pub(super) steps: Option<&'a [&'a str]>,
}

impl<'a> Vocabulary<'a> {
    /// In the trigger and in the goal: the record itself.
    pub fn of_trigger(kind: TriggerKind) -> Self {
        let fields = match kind {
            TriggerKind::Cart => CART,
            TriggerKind::Registration => REGISTRATION,
            TriggerKind::Inactivity => INACTIVITY,
            TriggerKind::Action => ACTION,
            TriggerKind::Schedule => SCHEDULE,
            TriggerKind::End => END,
        };
        let items = matches!(kind, TriggerKind::Cart | TriggerKind::Action);
        let attributes = !matches!(kind, TriggerKind::Cart | TriggerKind::Schedule | TriggerKind::End);
        Vocabulary { fields, items, attributes, steps: None }
    }

    /// In a step: the fields that the instance keeps of its trigger, and what became of the steps before.
    pub fn of_step(kind: TriggerKind, steps: &'a [&'a str]) -> Self {
        Vocabulary { items: false, steps: Some(steps), ..Vocabulary::of_trigger(kind) }
    }

    /// All names that can stand alone.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let fields = self.fields.iter().map(|(name, ..)| *name);
        let items = self.items.then_some("items");
        let attributes = self.attributes.then_some("attributes");
        fields.chain(items).chain(attributes).chain(["profile"])
    }
}
