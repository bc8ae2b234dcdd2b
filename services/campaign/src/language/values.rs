//! What may stand at a key, for editors and for the manual. Closed sets of words come from the tables in which the checker looks
//! them up, so that neither can know a word that the other does not.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use schemas::{Class, Reason};
use serde_json::json;

use crate::calendar;
use crate::caps::{self, Shared, Then};
use crate::channel::Channel;
use crate::prices::{self, Charge};

use super::plan::{Again, AtNight, Cause, Level, Match, Order, Per, Short, Sleeper, TriggerKind};
use super::{check, step};

/// Declares kinds of words, each with its title, its pattern where one can say what it looks like, and an explanation, which is
/// the type's documentation as well.
macro_rules! kinds {
    ($($name:ident = $title:literal, $pattern:expr, $explanation:literal;)*) => {
        $(
            #[doc = $explanation]
            pub(super) struct $name;

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    let mut schema = json_schema!({"title": $title, "type": "string"});
                    let pattern: Option<String> = $pattern;
                    if let Some(pattern) = pattern {
                        schema.insert("pattern".to_owned(), pattern.into());
                    }
                    schema
                }
            }
        )*

        /// Title and explanation of each kind of word.
        pub(crate) const KINDS: &[(&str, &str)] = &[$(($title, $explanation),)*];
    };
}

kinds! {
    Text = "a word", None, "Any word or several; in quotes if it holds a colon or begins with another sign than a letter.";
    Name = "a campaign's name", Some("^[A-Za-z0-9_-]+$".to_owned()), "Letters, digits, `-` and `_`: `cart-left`.";
    Length = "a length of time", Some(length()),
        "Numbers with units, one or several: `90s`, `15m`, `3h`, `1d 12h`, `2w`. A day is 24 hours long, whatever the calendar says.";
    Way = "a way in time", None,
        "A length (`3h`), or steps of the calendar (`1 day`, `2 weeks`, `3 months`, `1 year`), and where it ends, if a time of day \
         matters: `1 day 10:00`, `10:00` (then or the next day), `next tuesday 10:00`. With `1 day` it is the same time on the \
         next day, even where clocks change.";
    Point = "a point in time", None,
        "An anchor and a way from it. The anchor is `trigger` (the event, when it had settled), a date that the event brought \
         (`event.expires_on`) or one of the profile (`profile.attributes` are called by their names: `profile.birthday`): \
         `trigger + 7d`, `event.expires_on - 7 days 10:00`, `trigger 10:00`. A way that ends at a time of day stands alone, too, \
         and counts from when it is the message's turn: `10:00`, `next tuesday 10:00`. A moment with its offset from UTC is the same for \
         everybody: `2026-06-10T00:00+03:00`. A message whose `at` or `valid` names a date that nobody knows is passed over.";
    Wait = "a wait", None,
        "A way in time (`3h`, `1 day 12:00`), or a length of which quiet hours are no part: `3h active`.";
    Validity = "a validity", None,
        "A length (`6h`), or `until` and a point in time: `until 21:00`, `until end of day`, `until event.expires_on 23:59`, \
         `until 2026-06-10T00:00+03:00`. A pause moves neither a date nor such a moment.";
    Moment = "a moment", None, "Date, time and offset from UTC: `2026-11-27T10:00+03:00`, `2026-11-27T07:00Z`.";
    Recurrence = "moments that come again", None,
        "`day 10:00`, `monday 10:00`, `month 1 10:00` (the 31st is the last day of a shorter month), `year 02-20 10:00`, or every so \
         long after the first: `7d`.";
    Hours = "hours of the day", Some(r"^\s*\d{1,2}:\d{2}\s*-\s*\d{1,2}:\d{2}\s*$".to_owned()),
        "From when until when: `22:00-9:00`, `0:00-8:30`.";
    Zone = "a time zone", None, "Its name in the zone table that all computers share: `Europe/Moscow`, `Asia/Almaty`, `UTC`.";
    Condition = "a condition", None,
        "An expression that is true or false; what can stand in it, a chapter of its own says. In quotes if it begins with `!`.";
    Value = "a value of the event", None, "An expression that is a text or a whole number, most often just a name: `cart_id`, `key`.";
    Window = "a time to count in", None,
        "`day`, `week` (from Monday on) or `month`, on the customer's calendar; or the last so long: `24h`, `7d`.";
    Prefix = "the beginning of telephone numbers", Some(r"^\+?[0-9]{1,15}$".to_owned()),
        "The digits of a country, and of an operator behind them, in quotes: `\"+7\"`, `\"+7912\"`.";
    Since = "a date or a moment", None,
        "A date, which begins at midnight in UTC (`2026-12-01`), or a moment with its offset from UTC: `2026-12-01T00:00+03:00`.";
    Currency = "a currency", Some("^[A-Z]{3}$".to_owned()), "Three capital letters: `USD`, `EUR`, `RUB`.";
}

/// A length's pattern, of the units that there are.
fn length() -> String {
    let units: String = calendar::units().collect();
    format!(r"^\s*([0-9]+[{units}])+(\s+([0-9]+[{units}])+)*\s*$")
}

/// A closed set of words.
pub(super) trait Listed: Sized + 'static {
    /// As the checker knows them.
    const WORDS: &'static [(&'static str, Self)];
}

impl Listed for Class {
    const WORDS: &'static [(&'static str, Self)] = check::CLASSES;
}

impl Listed for Level {
    const WORDS: &'static [(&'static str, Self)] = check::LEVELS;
}

impl Listed for Per {
    const WORDS: &'static [(&'static str, Self)] = check::PERS;
}

impl Listed for Short {
    const WORDS: &'static [(&'static str, Self)] = check::SHORTS;
}

impl Listed for Order {
    const WORDS: &'static [(&'static str, Self)] = check::ORDERS;
}

impl Listed for TriggerKind {
    const WORDS: &'static [(&'static str, Self)] = check::KINDS;
}

impl Listed for Again {
    const WORDS: &'static [(&'static str, Self)] = check::AGAIN;
}

impl Listed for AtNight {
    const WORDS: &'static [(&'static str, Self)] = check::AT_NIGHT;
}

impl Listed for Sleeper {
    const WORDS: &'static [(&'static str, Self)] = check::SLEEPERS;
}

impl Listed for Match {
    const WORDS: &'static [(&'static str, Self)] = check::MATCHES;
}

impl Listed for Shared {
    const WORDS: &'static [(&'static str, Self)] = caps::SHARED;
}

impl Listed for Then {
    const WORDS: &'static [(&'static str, Self)] = caps::THENS;
}

impl Listed for Charge {
    const WORDS: &'static [(&'static str, Self)] = prices::CHARGES;
}

impl Listed for Cause {
    const WORDS: &'static [(&'static str, Self)] = step::CAUSES;
}

/// Of all reasons those for which a cascade ends.
impl Listed for Reason {
    const WORDS: &'static [(&'static str, Self)] = check::ENDS;
}

/// One of a closed set of words.
pub(super) struct OneOf<T>(PhantomData<T>);

/// How a cascade ends.
pub(super) type End = OneOf<Reason>;

impl<T: Listed> JsonSchema for OneOf<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OneOf".into()
    }

    fn schema_id() -> Cow<'static, str> {
        std::any::type_name::<Self>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
        json_schema!({"type": "string", "enum": words})
    }
}

/// The name of a channel.
pub(super) struct ChannelName;

impl JsonSchema for ChannelName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ChannelName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Channel::names().collect();
        json_schema!({"title": "a channel", "type": "string", "enum": names})
    }
}

/// What is done with a message that comes late: a word, or how late is too late.
pub(super) struct Late;

impl JsonSchema for Late {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Late".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = step::LATE.iter().map(|(word, _)| *word).collect();
        json_schema!({"anyOf": [{"type": "string", "enum": words}, Length::json_schema(generator)]})
    }
}

/// One or a list of several.
pub(super) struct OneOrMany<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OneOrMany".into()
    }

    fn schema_id() -> Cow<'static, str> {
        std::any::type_name::<Self>().into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = T::json_schema(generator);
        json_schema!({"anyOf": [one, json!({"type": "array", "items": one, "minItems": 1})]})
    }
}
