//! The names that an expression may use, and their types.

use std::borrow::Cow;

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

impl Field {
    /// What it says, for the manual.
    fn meaning(self) -> &'static str {
        match self {
            Field::OccurredAt => "when it happened, in milliseconds since 1970",
            Field::CartId => "the cart",
            Field::Version => "the cart's version: it grows with each change",
            Field::TotalMinor => "the cart's total in minor units, such as cents",
            Field::Currency => "the currency: `USD`",
            Field::Link => "the link that leads back into the cart, if the shop gave one",
            Field::Campaign => "the campaign that ended",
            Field::Source => "where somebody registered, as the shop calls it",
            Field::Since => "since when nothing was heard, in milliseconds since 1970",
            Field::Days => "for how many days nothing was heard",
            Field::Action => "the action's name",
            Field::Key => "what it is about, such as the order, if the shop said",
            Field::AmountMinor => "the amount in minor units, such as cents",
            Field::Locale => "the customer's language: `ru-RU`",
            Field::TimeZone => "the customer's time zone: `Europe/Moscow`",
            Field::Sku => "the article",
            Field::Category => "its category",
            Field::Quantity => "how many of it",
            Field::PriceMinor => "the price of one, in minor units",
        }
    }
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

/// A function: its name, an example that is true or false, and what it says.
pub(crate) struct Function {
    pub name: &'static str,
    pub example: &'static str,
    pub meaning: &'static str,
}

const fn function(name: &'static str, example: &'static str, meaning: &'static str) -> Function {
    Function { name, example, meaning }
}

/// Every function that an expression may call. Days are counted back from now.
pub(crate) const FUNCTIONS: &[Function] = &[
    function("has", "has(profile.attributes.city)", "something is known of this attribute"),
    function("size", "size(items) > 2", "how many lines a cart has, or letters a text"),
    function("int", "int(profile.attributes.age) >= 18", "the number that stands in a text"),
    function("startsWith", "profile.locale.startsWith('ru')", "a text begins so"),
    function("endsWith", "profile.attributes.tariff.endsWith('-plus')", "a text ends so"),
    function("contains", "profile.attributes.city.contains('burg')", "a text has this in it"),
    function("exists", "items.exists(i, i.category == 'toys')", "at least one line of the cart or the order is such"),
    function("all", "items.all(i, i.price_minor < 100000)", "all lines are such"),
    function("has_contact", "has_contact('telegram')", "there is an address on this channel"),
    function("has_consent", "has_consent('sms')", "the customer agreed to this channel"),
    function(
        "was_sent",
        "was_sent('letter')",
        "in a step's `when`: a message of this earlier step went to its worker, whatever became of it",
    ),
    function("was_delivered", "!was_delivered('letter')", "in a step's `when`: it arrived"),
    function("was_opened", "!was_opened('letter')", "in a step's `when`: a human opened it"),
    function("was_clicked", "!was_clicked('letter')", "in a step's `when`: a link in it was followed"),
    function("was_replied", "!was_replied('letter')", "in a step's `when`: it was answered"),
    function(
        "outcome",
        "outcome('call') == 'later'",
        "in a step's `when`: what a call came to, with the words of `next_if`; empty if nobody has told",
    ),
    function("did", "!did('purchase', 30)", "the customer did this within so many days; without a number: ever"),
    function(
        "bought",
        "bought('toys', 90)",
        "an article or something of this category was bought, by an action `purchase`, within so many days",
    ),
    function("heard_on", "heard_on('email', 90)", "the customer reacted on this channel within so many days"),
    function("was_in", "!was_in('welcome', 30)", "in the trigger's `where`: such a cascade ended within so many days"),
    function("is_in", "!is_in('welcome')", "in the trigger's `where`: such a cascade runs now"),
    function("days_since", "days_since('purchase') > 30", "days since the customer last did this"),
    function("days_until", "days_until(profile.attributes.expires_on) == 7", "days of the calendar until a date"),
    function(
        "days_to_anniversary",
        "days_to_anniversary(profile.attributes.birthday) == 4",
        "days of the calendar until the date comes again, in whichever year it was",
    ),
];

/// What stands before the name of an attribute that is kept beside a field of the same name.
const ATTRIBUTES: &str = "attributes.";

/// The names at one place of a campaign.
pub(crate) struct Vocabulary<'a> {
    pub(super) fields: Fields,
    /// The event has `items`.
    pub(super) items: bool,
    /// The event has `attributes`.
    pub(super) attributes: bool,
    /// At a step: the names of those before it.
    pub(super) steps: Option<&'a [&'a str]>,
    /// Other cascades of the customer can be asked about: where one is to begin.
    pub(super) cascades: bool,
}

impl<'a> Vocabulary<'a> {
    /// In the trigger: the record itself.
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
        Vocabulary { fields, items, attributes, steps: None, cascades: true }
    }

    /// In the goal: the action.
    pub fn of_goal() -> Self {
        Vocabulary { cascades: false, ..Vocabulary::of_trigger(TriggerKind::Action) }
    }

    /// In a step: the fields that the instance keeps of its trigger, and what became of the steps before.
    pub fn of_step(kind: TriggerKind, steps: &'a [&'a str]) -> Self {
        Vocabulary { items: false, steps: Some(steps), cascades: false, ..Vocabulary::of_trigger(kind) }
    }

    /// Each field with its type and what it says.
    pub fn described(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        described(self.fields)
    }

    /// Whether there are `items`.
    pub fn has_items(&self) -> bool {
        self.items
    }

    /// Whether there are `attributes`.
    pub fn has_attributes(&self) -> bool {
        self.attributes
    }

    /// The name under which an instance keeps an attribute of its trigger. It keeps fields and attributes together: an attribute that is
    /// called like a field neither hides behind it nor stands in for it.
    pub fn kept<'n>(&self, attribute: &'n str) -> Cow<'n, str> {
        // The revision of an instance is read back from `version`, whatever began it.
        let is_field = attribute == "version" || self.fields.iter().any(|(name, ..)| *name == attribute);
        if is_field || attribute.starts_with(ATTRIBUTES) {
            Cow::Owned(format!("{ATTRIBUTES}{attribute}"))
        } else {
            Cow::Borrowed(attribute)
        }
    }

    /// All names that can stand alone.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let fields = self.fields.iter().map(|(name, ..)| *name);
        let items = self.items.then_some("items");
        let attributes = self.attributes.then_some("attributes");
        fields.chain(items).chain(attributes).chain(["profile"])
    }
}

/// What an item has, as [`Vocabulary::described`] tells it.
pub(crate) fn of_item() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    described(ITEM)
}

/// What a profile has beside its attributes.
pub(crate) fn of_profile() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    described(PROFILE)
}

fn described(fields: Fields) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    fields.iter().map(|(name, of, field)| (*name, of.name(), field.meaning()))
}
