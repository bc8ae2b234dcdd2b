//! The shape of a definition, as it stands in the YAML: words with their places, nothing understood yet.
//!
//! The comments here are the reference manual's, and what editors show: plain words for those who write campaigns. A key says
//! what it means, what holds without it (a sentence, or `default`), and has an `example`; each word of a closed set is explained
//! on a line of its own. Tests of [`reference`](crate::reference) ask for all of this, and try it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::json;

use crate::calendar::spell;
use crate::caps::{Shared, Then};
use crate::prices::Charge;

use super::plan::{Again, AtNight, Cause, Level, Match, Order, Per, Short, Sleeper, TriggerKind};
use super::values::{
    ChannelName, Condition, Currency, End, Hours, Late, Length, Moment, Name, OneOf, OneOrMany, Point, Prefix,
    Recurrence, Since, Text, Validity, Value, Wait, Way, Window, Zone,
};
use super::yaml::{Spanned, Word, Words};
use super::{check, step};

/// A campaign version.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Campaign {
    /// The campaign's name: letters, digits, `-` and `_`. Reports, the journal and other campaigns call it by it.
    #[schemars(with = "Name", example = &"cart-left")]
    pub campaign: Word,
    /// The number of this version. It begins with 1 and grows with each change: a version that was applied never changes. Who is
    /// in the middle of a cascade stays with the version that it began with.
    #[schemars(range(min = 1), example = 1)]
    pub version: Spanned<i32>,
    /// What kind of messages these are.
    ///
    /// - `marketing`: only to those who consented, and not in quiet hours.
    /// - `transactional`: the customer waits for them (an order is ready), so no consent is asked about, and no caps but those that name
    ///   them. Quiet hours that the campaign states hold for them, too.
    #[schemars(with = "Option<OneOf<schemas::Class>>", example = &"transactional", extend("default" = "marketing"))]
    pub class: Option<Word>,
    /// The time zone of customers of whom no zone is known, neither by their profile nor by their telephone number. A schedule
    /// reckons its days in it.
    #[schemars(with = "Option<Zone>", example = &"Europe/Moscow", extend("default" = "UTC"))]
    pub zone: Option<Word>,
    /// Hours in which nobody is written to, on the customer's own clock.
    ///
    /// Without it: messages go out at any hour.
    #[schemars(example = json!({"hours": "22:00-9:00"}))]
    pub quiet: Option<Quiet>,
    /// What is done about contacts that are asleep: for long nothing has come back on their channel, although it was written to.
    ///
    /// Without it: they are written to like all others.
    #[schemars(example = json!({"after": "6 months", "then": "leave out"}))]
    pub asleep: Option<Asleep>,
    /// What begins a cascade.
    #[schemars(example = json!({"on": "registration"}))]
    pub trigger: Trigger,
    /// What is hoped for. When the customer does it, the cascade ends at once, and what is on its way is called back.
    ///
    /// Without it: only the stop level, or the last step, ends a cascade.
    #[schemars(example = json!({"action": "purchase"}))]
    pub goal: Option<Goal>,
    /// How far one message must get for the cascade to stop.
    ///
    /// - `delivered`: it arrived.
    /// - `opened`: a human opened it; a mail program that opens everything by itself does not count.
    /// - `clicked`: the customer followed a link in it.
    /// - `replied`: the customer answered, or was spoken to in a call.
    /// - `agreed`: the customer promised in a call to do what is hoped for.
    /// - `goal`: no message is enough, only the goal stops it.
    #[schemars(with = "Option<OneOf<Level>>", example = &"opened", extend("default" = "delivered"))]
    pub stop: Option<Word>,
    /// In which order the messages are tried.
    ///
    /// - `as written`: step by step, as they stand in the file.
    /// - `by cost`: always the cheapest message that was not tried yet, as the price table says; among equals as they stand.
    /// - `by expected cost`: first those of which reaching a customer costs least: the price, divided by how often a message on this
    ///   channel gets as far as the stop level, as the table of rates says. What is free comes first, what nobody has counted last.
    /// - `by response`: first those that get as far as the stop level most often, whatever they cost.
    /// - `by preference`: first those on the channel that the profile's attribute `preferred_channel` names; else as they stand.
    #[schemars(with = "Option<OneOf<Order>>", example = &"by cost", extend("default" = "as written"))]
    pub order: Option<Word>,
    /// Where several cascades of a customer fall due together, those of the campaign with the higher number come first: it matters
    /// where a cap leaves room for one of them alone.
    ///
    /// Without it: 0.
    #[schemars(example = 10)]
    pub priority: Option<i32>,
    /// What is compared: variants of messages, and getting nothing at all.
    ///
    /// Without it: everybody gets the same.
    #[schemars(example = json!({"variants": {"friendly": 50, "short": 50}, "hold_out": 10}))]
    pub experiment: Option<Experiment>,
    /// Money that the campaign may spend in an hour or a day, on all customers together. Before a message that costs something goes
    /// out, its price is asked for; together they never cost more.
    ///
    /// Without it: nothing but prices and caps holds it back.
    #[schemars(example = json!({"minor": 500_000, "per": "day", "then": "stop"}))]
    pub budget: Option<Budget>,
    /// The texts that this version has: for each template on each channel the version of its files, as `cascade check --templates DIR
    /// --pins` prints them. Whoever edits a file meanwhile changes nothing that this version says: its messages wait for a worker that
    /// has the files as they were, and expire if none comes.
    ///
    /// Without it: a message is made of the files that the worker has when its turn comes, so an edit counts for cascades under way, too.
    #[schemars(with = "Option<BTreeMap<String, String>>", example = json!({"hello.email": "1f0c2d8a77e4b935"}))]
    pub templates: Option<Spanned<BTreeMap<String, String>>>,
    /// The messages: at least one.
    #[schemars(length(min = 1), example = json!([{"name": "letter", "channel": "email", "template": "welcome"}]))]
    pub steps: Vec<Step>,
}

/// Money that a campaign may spend in a time, and no more.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    /// How much, in minor units.
    #[schemars(range(min = 1), example = 500_000)]
    pub minor: Spanned<i64>,
    /// In which time.
    ///
    /// - `hour`: in each hour.
    /// - `day`: in each day in the campaign's zone.
    #[schemars(with = "OneOf<Per>", example = &"day")]
    pub per: Word,
    /// What becomes of a message that there is no room for. Nothing dearer goes out instead.
    ///
    /// - `wait`: it waits for the next hour or day, as long as it is valid; else its cascade ends.
    /// - `stop`: its cascade ends.
    #[schemars(with = "Option<OneOf<Short>>", example = &"stop", extend("default" = "wait"))]
    pub then: Option<Word>,
}

/// What begins a cascade.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trigger {
    /// The kind of event.
    ///
    /// - `cart`: a cart changed. Wait with `settle` until it was left; a cart that is emptied ends its cascade.
    /// - `registration`: somebody registered.
    /// - `inactivity`: nothing was heard of a customer for a number of days, which the event brings as `days`.
    /// - `action`: the customer did something, or something happened to them: the shop names it, `action` says which.
    /// - `schedule`: a moment came, and everybody is looked at: `at` or `every` says which, `where` whom it is for.
    /// - `end`: another cascade of the customer ended: `of` says which, `ended` how.
    #[schemars(with = "OneOf<TriggerKind>", example = &"cart")]
    pub on: Word,
    /// The name of the action, with `on: action` and only there.
    ///
    /// Without it: the campaign is refused, if it is `on: action`.
    #[schemars(with = "Option<Text>", example = &"bonus_expiring")]
    pub action: Option<Word>,
    /// Whom it is for: what must hold of the event and of the customer.
    ///
    /// Without it: everybody.
    #[schemars(with = "Option<Condition>", example = &"total_minor >= 3000", example = &"!did('purchase', 30)")]
    #[serde(rename = "where")]
    pub condition: Option<Word>,
    /// What the cascade is about: one cascade runs for each value of it, such as each cart or each order.
    ///
    /// Without it: one cascade at a time for each customer.
    #[schemars(with = "Option<Value>", example = &"cart_id", example = &"key")]
    pub key: Option<Word>,
    /// How long nothing new may come before the cascade begins to speak: a cart that did not change for so long was left.
    ///
    /// Without it: at once.
    #[schemars(with = "Option<Length>", example = &"2h")]
    pub settle: Option<Word>,
    /// An event that is older than this when it is seen begins nothing: after an outage nobody hears of yesterday's cart.
    #[schemars(with = "Option<Length>", example = &"12h", extend("default" = spell(check::MAX_AGE)))]
    pub max_age: Option<Word>,
    /// What a further event does while the cascade runs.
    ///
    /// - `ignore`: nothing.
    /// - `restart`: the cascade ends, and another one begins.
    /// - `refresh`: what it says is taken over, and settling begins anew if nothing was sent yet.
    /// - `queue`: it waits, and begins another cascade when the running one has ended; only the latest waits. It comes to nothing
    ///   where it is older than `max_age` by then, or where the running one ended because of the goal, an opt-out or a no in a call,
    ///   because what it was about is gone, or because its campaign was stopped.
    #[schemars(with = "Option<OneOf<Again>>", example = &"refresh", extend("default" = "ignore"))]
    pub again: Option<Word>,
    /// Which campaigns' ends, with `on: end` and only there.
    ///
    /// Without it: the campaign is refused, if it is `on: end`.
    #[schemars(with = "Option<OneOrMany<Name>>", example = &"thanks", example = ["thanks", "discount-stage"])]
    pub of: Option<Spanned<Words>>,
    /// How they ended, with `on: end`.
    ///
    /// - `goal`: the customer did what was hoped for.
    /// - `stop`: a message got as far as the stop level.
    /// - `exhausted`: no step was left.
    /// - `withdrawn`: what it was about is gone, such as a cart that was emptied.
    /// - `capped`: a cap left no room for a message.
    /// - `declined`: the customer said in a call that they do not want it.
    ///
    /// Without it: in any of these ways.
    #[schemars(with = "Option<OneOrMany<End>>", example = &"exhausted", example = ["goal", "stop"])]
    pub ended: Option<Spanned<Words>>,
    /// How long after its end the cascade does not begin anew, with this customer and key.
    ///
    /// Without it: it may begin again at once.
    #[schemars(with = "Option<Length>", example = &"30d")]
    pub cooldown: Option<Word>,
    /// How often the campaign begins with one customer, ever.
    ///
    /// Without it: as often as its trigger comes.
    #[schemars(with = "Option<u32>", range(min = 1), example = 3)]
    pub maximum: Option<Spanned<u32>>,
    /// The moment, or the first of those that `every` repeats, with `on: schedule`.
    ///
    /// Without it: `every` says when, from the moment on at which the campaign is in force.
    #[schemars(with = "Option<Moment>", example = &"2026-11-27T10:00+03:00")]
    pub at: Option<Word>,
    /// When it comes again, with `on: schedule`. Of moments that nobody saw, after an outage, only the latest counts.
    ///
    /// Without it: once.
    #[schemars(with = "Option<Recurrence>", example = &"day 10:00", example = &"year 02-20 10:00")]
    pub every: Option<Word>,
    /// How many customers are looked at in a second, for each partition of the input, with `on: schedule`. The whole base at once
    /// would be more than a shop's site, or a provider, can take. Former ids, budgets and shared addresses are looked at, too.
    ///
    /// Without it: as many as can be.
    #[schemars(with = "Option<u32>", range(min = 1), example = 500)]
    pub pace: Option<Spanned<u32>>,
}

/// Hours in which nobody is written to, on the customer's own clock.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quiet {
    /// From when until when. They may reach over midnight.
    #[schemars(with = "Hours", example = &"22:00-9:00")]
    pub hours: Word,
    /// What is done with a message whose turn comes in these hours.
    ///
    /// - `hold`: it waits for their end, as long as it is valid.
    /// - `skip`: it is skipped, and the next one follows.
    /// - `expire`: it is skipped, and nothing dearer follows from that.
    /// - `ignore`: it goes out all the same.
    #[schemars(with = "Option<OneOf<AtNight>>", example = &"expire", extend("default" = "hold"))]
    pub policy: Option<Word>,
    /// What was held goes out within so long after these hours, not everything in the same second.
    #[schemars(with = "Option<Length>", example = &"2h", extend("default" = spell(check::RELEASE)))]
    pub release: Option<Word>,
}

/// Contacts that are asleep. Each channel is judged by itself, and only those that tell of opening: elsewhere silence says nothing.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asleep {
    /// How long after the first message that was neither opened nor clicked nor answered a contact is asleep, on the customer's own
    /// calendar. What was sent before a campaign in force asks for it does not count; one reaction, and the contact is awake.
    #[schemars(with = "Way", example = &"6 months", example = &"180d")]
    pub after: Word,
    /// What is done with a message to such a contact.
    ///
    /// - `report`: it goes out, and the journal tells.
    /// - `leave out`: it does not go out, and nothing dearer follows from that.
    /// - `go on`: it does not go out, as if it could not be sent (`cannot send`): the next message follows, whatever it costs.
    #[schemars(with = "Option<OneOf<Sleeper>>", example = &"report", extend("default" = "leave out"))]
    pub then: Option<Word>,
}

/// What is hoped for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Goal {
    /// The action, or several, any of which will do.
    #[schemars(with = "OneOrMany<Text>", example = &"purchase", example = ["purchase", "visit"])]
    pub action: Spanned<Words>,
    /// Whether the action must be about the same thing as the cascade.
    ///
    /// - `any`: any such action of the customer.
    /// - `same key`: only one whose key is the cascade's own: this order was fetched, not another one. It needs `key` in the
    ///   trigger.
    /// - `same article`: only one with an article, or something of a category, that is the cascade's key: these shoes were bought,
    ///   not others. Of what was bought before the trigger it is known since the campaign came into force, and the 32 last:
    ///   an article with a category takes two.
    #[schemars(with = "Option<OneOf<Match>>", example = &"same key", example = &"same article", extend("default" = "any"))]
    #[serde(rename = "match")]
    pub matching: Option<Word>,
    /// What must hold of the action.
    ///
    /// Without it: any will do.
    #[schemars(with = "Option<Condition>", example = &"amount_minor >= 1000")]
    #[serde(rename = "where")]
    pub condition: Option<Word>,
    /// An action so long before the trigger counts, too: who bought an hour ago is not reminded of the cart. Beside `where` it
    /// is known of actions since the campaign came into force.
    ///
    /// Without it: only what is done after the trigger counts.
    #[schemars(with = "Option<Length>", example = &"2h")]
    pub grace: Option<Word>,
}

/// One message, on one channel or on the first of several that can be used.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
/// Variants of messages, and customers who get nothing, so that it can be seen what a campaign is worth. A customer gets the same
/// variant in all versions of the campaign and each time that it begins.
pub(crate) struct Experiment {
    /// Experiments of one name share out customers alike.
    ///
    /// Without it: the campaign's name.
    #[schemars(with = "Option<Text>", example = &"subject-line")]
    pub name: Option<Word>,
    /// The variants and the share of customers who get each, in per cent; the shares add up to 100.
    ///
    /// Without it: there is one variant for all.
    #[schemars(with = "Option<BTreeMap<String, u32>>", example = json!({"friendly": 50, "short": 50}))]
    pub variants: Option<Spanned<BTreeMap<String, u32>>>,
    /// The share of customers whose cascades go their way without any message, in per cent: what would have been sent, and what that
    /// would have cost, stands in the journal.
    ///
    /// Without it: 0.
    #[schemars(with = "Option<u32>", range(max = 99), example = 10)]
    pub hold_out: Option<Spanned<u32>>,
}

/// One template, or one for each variant.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Template {
    Same(String),
    ByVariant(BTreeMap<String, String>),
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SameOrByVariant;
        impl<'de> Visitor<'de> for SameOrByVariant {
            type Value = Template;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a template, or one for each variant: `{a: friendly, b: short}`")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Template, E> {
                Ok(Template::Same(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, names: A) -> Result<Template, A::Error> {
                BTreeMap::deserialize(de::value::MapAccessDeserializer::new(names)).map(Template::ByVariant)
            }
        }
        deserializer.deserialize_any(SameOrByVariant)
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["channel"]}, {"required": ["any"]}]))]
pub(crate) struct Step {
    /// Its name, for conditions of later steps, the journal and reports.
    #[schemars(with = "Text", example = &"reminder")]
    pub name: Word,
    /// The channel. A step has either `channel` or `any`.
    ///
    /// Without it: `any` says which.
    #[schemars(with = "Option<ChannelName>", example = &"email")]
    pub channel: Option<Word>,
    /// Several channels: the first on which the customer has an address and a consent is taken. Where the message reached nobody there
    /// (refused, bounced, expired), the next one has its turn, before `next_if` is asked.
    ///
    /// Without it: `channel` says which.
    #[schemars(with = "Option<Vec<ChannelName>>", length(min = 1), example = ["push", "email"])]
    pub any: Option<Vec<Word>>,
    /// The step is for customers who got one of these variants of the experiment.
    ///
    /// Without it: it is for all of them.
    #[schemars(with = "Option<OneOrMany<Text>>", example = &"friendly", example = ["friendly", "short"])]
    pub variant: Option<Spanned<Words>>,
    /// The template of the message, or one for each variant. Its files end with the channel's name, such as `cart.email.html` and
    /// `cart.push.txt`.
    #[schemars(with = "Template", example = &"cart", example = json!({"friendly": "cart-warm", "short": "cart"}))]
    pub template: Spanned<Template>,
    /// How many segments the message takes as an SMS, at most ten: each of them costs the price. One has room for 160 letters of the
    /// Latin alphabet, or 70 of another; of several each has room for 153, or 67. Where an SMS has a price, a text that takes more is
    /// refused.
    #[schemars(with = "Option<u32>", range(min = 1, max = 10), example = 2, extend("default" = 1))]
    pub segments: Option<Spanned<u32>>,
    /// Whether the message is for this customer at all. It is asked when it is the message's turn; where it does not hold, the
    /// step is skipped.
    ///
    /// Without it: it is for everybody.
    #[schemars(with = "Option<Condition>", example = &"!was_opened('letter')", example = &"has_contact('push')")]
    pub when: Option<Word>,
    /// The earliest moment, reckoned from the trigger or from a date. A step has either `at` or `after`.
    ///
    /// Without it: when it is its turn.
    #[schemars(
        with = "Option<Point>",
        example = &"trigger + 1d",
        example = &"event.expires_on - 7 days 10:00",
        example = &"next tuesday 10:00"
    )]
    pub at: Option<Word>,
    /// The earliest moment, reckoned from when the last message was handed over.
    ///
    /// Without it: when it is its turn.
    #[schemars(with = "Option<Way>", example = &"3 days 10:00")]
    pub after: Option<Word>,
    /// The message goes out so much later at most, for each customer at another moment: not to everybody in the same second.
    ///
    /// Without it: at its moment.
    #[schemars(with = "Option<Length>", example = &"30m")]
    pub spread: Option<Word>,
    /// What is done with a message whose moment has passed when it is looked at, because of an outage of ours.
    ///
    /// - `fire`: it goes out, as long as it is valid.
    /// - `skip`: a minute late is too late.
    ///
    /// A length says how late is too late.
    #[schemars(with = "Option<Late>", example = &"skip", example = &"2h", extend("default" = "fire"))]
    pub late: Option<Word>,
    /// How long the message is waited for before the next one's turn, counted from when it was handed over; a time of day may
    /// stand behind it. `active` behind a length means that quiet hours are no part of it.
    ///
    /// Without it: until the next step's `after`, or its `at` where that has an anchor, and at least as long as word of such a message usually
    /// takes; a day for the last step. Where the order is not that of the file, each step says it.
    #[schemars(with = "Option<Wait>", example = &"3h", example = &"1 day 12:00")]
    pub wait: Option<Word>,
    /// What leads on from this step to the next. If nothing of it comes true, the cascade ends with this message.
    ///
    /// - `not delivered`: somebody said that it did not arrive.
    /// - `no information`: the wait was over without a word of it. This is not the same as "not delivered".
    /// - `cannot send`: the customer has no address or no consent on any channel of the step.
    /// - `not opened`: the wait was over and no human had opened it.
    /// - `no goal`: the wait was over, and neither the goal nor the stop level was reached.
    ///
    /// Of a step on `call` somebody tells what it came to. Each of these leads on at once, whatever the stop level says:
    ///
    /// - `no answer`: nobody answered. Where it is not named, it is a kind of `not delivered`.
    /// - `busy`: the line was busy. Where it is not named, it is a kind of `not delivered`.
    /// - `wrong number`: the customer is not there. Where it is not named, it is a kind of `not delivered`.
    /// - `reached`: the customer was spoken to, and nothing more is told.
    /// - `later`: the customer wants to be asked later.
    /// - `agreed`: the customer promised to do what is hoped for.
    /// - `declined`: the customer does not want it. Where it is not named, the cascade ends.
    ///
    /// Without it: whatever the stop level calls a failure. With `delivered` the first three; with `opened` `not delivered`,
    /// `cannot send` and `not opened`; with the others `not delivered`, `cannot send` and `no goal`.
    #[schemars(with = "Option<Vec<OneOf<Cause>>>", example = ["not delivered", "cannot send", "no goal"])]
    pub next_if: Option<Spanned<Vec<Word>>>,
    /// How late the message may still be handed over, or until when. What is not handed over by then is never sent.
    #[schemars(
        with = "Option<Validity>",
        example = &"6h",
        example = &"until end of day",
        example = &"until event.expires_on 23:59",
        example = &"until 2026-06-10T00:00+03:00",
        extend("default" = spell(step::VALID))
    )]
    pub valid: Option<Word>,
    /// What is done with this message in quiet hours, with the words of `quiet: {policy: …}`.
    ///
    /// - `hold`: it waits for their end, as long as it is valid.
    /// - `skip`: it is skipped, and the next one follows.
    /// - `expire`: it is skipped, and nothing dearer follows from that.
    /// - `ignore`: it goes out all the same.
    ///
    /// Without it: what the campaign says.
    #[schemars(with = "Option<OneOf<AtNight>>", example = &"ignore")]
    pub quiet: Option<Word>,
    /// Whether a dearer step may follow although only an outage of ours, or the end of its time, kept this one back. Without it nothing
    /// dearer goes out any more in this cascade, unless the message proves to have gone out after all.
    #[schemars(with = "Option<bool>", example = true, extend("default" = false))]
    pub escalate_on_outage: Option<bool>,
}

/// The price table.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prices {
    /// The currency of all prices: its three capital letters.
    #[schemars(with = "Currency", example = &"USD")]
    pub currency: Word,
    /// What a message costs, channel by channel. Of several prices of a channel the one with the longest prefix holds, and of those
    /// the latest that is valid when the message is decided on. Without a price, a channel that costs money counts as the dearest.
    // In the order of the file, so that the first mistake is told first.
    #[schemars(example = json!([{"channel": "push", "minor": 0}, {"channel": "sms", "minor": 4}]))]
    pub prices: Vec<Price>,
}

/// The price of one message.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Price {
    /// The channel.
    #[schemars(with = "ChannelName", example = &"sms")]
    pub channel: Word,
    /// The price in minor units of the currency, such as cents; 0 for what is free. Of an SMS each segment costs so much.
    #[schemars(range(min = 0), example = 4)]
    pub minor: Spanned<i64>,
    /// The numbers that it is for: those that begin with these digits, a country's and perhaps an operator's behind them.
    ///
    /// Without it: all that no longer prefix is written for.
    #[schemars(with = "Option<Prefix>", example = &"+7", example = &"+7912")]
    pub prefix: Option<Word>,
    /// From when on it is valid.
    ///
    /// Without it: until now, and until another one begins.
    #[schemars(with = "Option<Since>", example = &"2026-12-01", example = &"2026-12-01T00:00+03:00")]
    pub from: Option<Word>,
    /// From when on the price is owed. It is reserved when the message is decided on.
    ///
    /// - `on submit`: when the provider has taken the message. Nothing is owed for what was never handed over.
    /// - `on delivery`: when the message has arrived. Nothing is owed for what somebody said did not arrive.
    #[schemars(with = "Option<OneOf<Charge>>", example = &"on delivery", extend("default" = "on submit"))]
    pub charge: Option<Word>,
}

/// The table of rates.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rates {
    /// How often messages get how far, channel by channel, as it was observed. Of several lines of a channel the latest that is valid
    /// when a message is decided on holds. Campaigns that are ordered by expected cost, or by response, follow the table at once.
    #[schemars(example = json!([{"channel": "push", "delivered": 700, "opened": 60}, {"channel": "sms", "delivered": 950}]))]
    pub rates: Vec<Rate>,
}

/// How often messages on a channel get how far. A channel of which nobody has counted what a campaign asks for counts as if it
/// reached nobody.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    /// The channel.
    #[schemars(with = "ChannelName", example = &"email")]
    pub channel: Word,
    /// Of a thousand messages so many arrive. Campaigns with `stop: delivered` ask for it.
    ///
    /// Without it: nobody has counted.
    #[schemars(with = "Option<u32>", range(max = 1000), example = 970)]
    pub delivered: Option<Spanned<u32>>,
    /// Of a thousand messages so many are opened by a human. Campaigns with `stop: opened` ask for it.
    ///
    /// Without it: nobody has counted.
    #[schemars(with = "Option<u32>", range(max = 1000), example = 210)]
    pub opened: Option<Spanned<u32>>,
    /// Of a thousand messages so many are clicked. All other campaigns ask for it.
    ///
    /// Without it: nobody has counted.
    #[schemars(with = "Option<u32>", range(max = 1000), example = 25)]
    pub clicked: Option<Spanned<u32>>,
    /// From when on it is valid.
    ///
    /// Without it: until now, and until another one begins.
    #[schemars(with = "Option<Since>", example = &"2026-12-01", example = &"2026-12-01T00:00+03:00")]
    pub from: Option<Word>,
}

/// The caps, which hold for all campaigns together.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Caps {
    /// How much one customer is written to at most. A message counts from the moment at which it was decided, and no more once it is
    /// certain that nobody got it.
    #[schemars(example = json!([{"most": 1, "per": "day", "channel": "sms"}, {"most": 3, "per": "7d"}]))]
    pub caps: Vec<Cap>,
    /// What is done about an address that several customers have, such as a family's telephone. Each still gets messages of his own.
    ///
    /// - `off`: nothing.
    /// - `facts`: a hard bounce, a complaint or an unsubscribe of one counts for all whose profiles came since this is in force.
    #[schemars(with = "Option<OneOf<Shared>>", example = &"facts", extend("default" = "off"))]
    pub shared_addresses: Option<Word>,
}

/// So many messages in a time, and no more.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cap {
    /// How many messages. All caps together may count to a hundred.
    #[schemars(with = "u32", example = 3)]
    pub most: Spanned<u32>,
    /// In which time.
    #[schemars(with = "Window", example = &"day", example = &"7d")]
    pub per: Word,
    /// The channels whose messages count, together.
    ///
    /// Without it: those of all channels count.
    #[schemars(with = "Option<OneOrMany<ChannelName>>", example = &"sms", example = ["push", "webpush"])]
    pub channel: Option<Spanned<Words>>,
    /// The class of the campaigns whose messages count.
    ///
    /// - `marketing`: what the customer consented to.
    /// - `transactional`: what the customer waits for.
    #[schemars(with = "Option<OneOf<schemas::Class>>", example = &"transactional", extend("default" = "marketing"))]
    pub class: Option<Word>,
    /// What becomes of the message that would be one too many.
    ///
    /// - `stop`: its cascade ends.
    /// - `skip`: the next one's turn, unless that is dearer.
    /// - `hold`: it waits until there is room, as long as it is valid; else its cascade ends.
    #[schemars(with = "Option<OneOf<Then>>", example = &"hold", extend("default" = "stop"))]
    pub then: Option<Word>,
}
