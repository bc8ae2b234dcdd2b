//! A row as it is written: `row.avsc`, field by field.
//!
//! Differences wrap around, so that every row can be written, whatever its times are.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::words::Word;
use super::{Adoption, Begun, Counted, Customer, Done, Former, Heard, Hold};
use super::{Instance, Passed, Past, Queued, Sent, Stage, Unsettled};
use crate::{Consent, Contact, Id, Millis, Outcome, Status};

impl Serialize for Customer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Row::of(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Customer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Row::deserialize(deserializer).map(Row::unpacked)
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename = "Customer", default)]
struct Row<'a> {
    known: Option<Known<'a>>,
    instances: Vec<Running<'a>>,
    recent: Marks<'a>,
    memory: Option<Memory<'a>>,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Known<'a> {
    contacts: Cow<'a, [Contact]>,
    consents: Cow<'a, [Consent]>,
    time_zone: Option<Cow<'a, str>>,
    locale: Option<Cow<'a, str>>,
    attributes: Cow<'a, BTreeMap<String, String>>,
    profile_at: Option<Millis>,
    addresses_know: bool,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Memory<'a> {
    held: Option<Cow<'a, Hold>>,
    past: Cow<'a, [Past]>,
    unsettled: Cow<'a, [Unsettled]>,
    done: Cow<'a, [Done]>,
    heard: Cow<'a, [Heard]>,
    counted: Cow<'a, [Counted]>,
    begun: Cow<'a, [Begun]>,
    passed: Cow<'a, [Passed]>,
    dead: Cow<'a, [i64]>,
    formerly: Cow<'a, [Former]>,
    moved_to: Option<Cow<'a, str>>,
}

/// None where nothing is in it.
fn filled<T: Default + PartialEq>(part: T) -> Option<T> {
    (part != T::default()).then_some(part)
}

impl<'a> Row<'a> {
    fn of(customer: &'a Customer) -> Self {
        let Customer { contacts, consents, time_zone, locale, attributes, profile_at, addresses_know, .. } = customer;
        let Customer { held, instances, past, unsettled, done, heard, counted, begun, passed, recent, dead, .. } =
            customer;
        let Customer { formerly, moved_to, .. } = customer;
        Row {
            known: filled(Known {
                contacts: contacts.into(),
                consents: consents.into(),
                time_zone: time_zone.as_deref().map(Cow::Borrowed),
                locale: locale.as_deref().map(Cow::Borrowed),
                attributes: Cow::Borrowed(attributes),
                profile_at: *profile_at,
                addresses_know: *addresses_know,
            }),
            instances: instances.iter().map(Running::of).collect(),
            recent: Marks(recent.into()),
            memory: filled(Memory {
                held: held.as_ref().map(Cow::Borrowed),
                past: past.into(),
                unsettled: unsettled.into(),
                done: done.into(),
                heard: heard.into(),
                counted: counted.into(),
                begun: begun.into(),
                passed: passed.into(),
                dead: dead.into(),
                formerly: formerly.into(),
                moved_to: moved_to.as_deref().map(Cow::Borrowed),
            }),
        }
    }

    fn unpacked(self) -> Customer {
        let known = self.known.unwrap_or_default();
        let memory = self.memory.unwrap_or_default();
        Customer {
            contacts: known.contacts.into_owned(),
            consents: known.consents.into_owned(),
            time_zone: known.time_zone.map(Cow::into_owned),
            locale: known.locale.map(Cow::into_owned),
            attributes: known.attributes.into_owned(),
            profile_at: known.profile_at,
            addresses_know: known.addresses_know,
            held: memory.held.map(Cow::into_owned),
            instances: self.instances.into_iter().map(Running::unpacked).collect(),
            past: memory.past.into_owned(),
            unsettled: memory.unsettled.into_owned(),
            done: memory.done.into_owned(),
            heard: memory.heard.into_owned(),
            counted: memory.counted.into_owned(),
            begun: memory.begun.into_owned(),
            passed: memory.passed.into_owned(),
            recent: self.recent.0.into_owned(),
            dead: memory.dead.into_owned(),
            formerly: memory.formerly.into_owned(),
            moved_to: memory.moved_to.map(Cow::into_owned),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Instance")]
struct Running<'a> {
    id: Id,
    campaign: Cow<'a, str>,
    version: i32,
    #[serde(default)]
    key: Cow<'a, str>,
    settled_at: Millis,
    #[serde(default)]
    stage: Stage,
    #[serde(default)]
    step: i32,
    #[serde(default)]
    alternative: i32,
    #[serde(default)]
    tried: i64,
    #[serde(default)]
    occurred: Option<Millis>,
    #[serde(default)]
    fields: Fields<'a>,
    #[serde(default)]
    sends: Vec<Command<'a>>,
    #[serde(default)]
    turn: Millis,
    due: Millis,
    #[serde(default)]
    aside: Option<Aside<'a>>,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Aside<'a> {
    ceiling: Option<i64>,
    variant: Option<Cow<'a, str>>,
    held_out: bool,
    changes: i32,
    frozen_at: Option<Millis>,
    skip_until: Option<Millis>,
    queued: Option<Cow<'a, Queued>>,
    places: Vec<i32>,
    given_up: Cow<'a, [String]>,
    adoption: Option<Cow<'a, Adoption>>,
    asked_at: Option<Millis>,
    outcomes: Vec<Outcome>,
}

const OCCURRED_AT: &str = "occurred_at";

/// A moment as it is among the fields; none for a text that the number would not be written as again.
fn moment(text: &str) -> Option<Millis> {
    text.parse().ok().filter(|_| text.starts_with(|first: char| ('1'..='9').contains(&first)))
}

impl<'a> Running<'a> {
    fn of(instance: &'a Instance) -> Self {
        let Instance { id, campaign, version, key, stage, step, alternative, due, .. } = instance;
        let Instance { fields, sends, settled_at, tried, ceiling, turn, variant, held_out, .. } = instance;
        let Instance { changes, frozen_at, skip_until, queued, given_up, adoption, asked_at, .. } = instance;
        let occurred_at = fields.get(OCCURRED_AT).and_then(moment);
        let decided = std::iter::once(*settled_at).chain(sends.iter().map(|sent| sent.decided_at));
        let (last_decided, last_valid) = Self::last(sends, *settled_at);
        Running {
            id: *id,
            campaign: campaign.into(),
            version: *version,
            key: key.into(),
            settled_at: *settled_at,
            stage: *stage,
            step: *step,
            alternative: *alternative,
            tried: *tried,
            occurred: occurred_at.map(|at| at.wrapping_sub(*settled_at)),
            fields: Fields { fields: Cow::Borrowed(fields), without_moment: occurred_at.is_some() },
            sends: sends.iter().zip(decided).map(|(sent, before)| Command::of(sent, before)).collect(),
            turn: turn.wrapping_sub(last_decided),
            due: due.wrapping_sub(last_valid),
            aside: filled(Aside {
                ceiling: *ceiling,
                variant: variant.as_deref().map(Cow::Borrowed),
                held_out: *held_out,
                changes: *changes,
                frozen_at: *frozen_at,
                skip_until: *skip_until,
                queued: queued.as_ref().map(Cow::Borrowed),
                places: places(sends),
                given_up: given_up.into(),
                adoption: adoption.as_ref().map(Cow::Borrowed),
                asked_at: *asked_at,
                outcomes: outcomes(sends),
            }),
        }
    }

    fn unpacked(self) -> Instance {
        let mut sends: Vec<Sent> = Vec::with_capacity(self.sends.len());
        for command in self.sends {
            let sent = command.unpacked(self.id, self.settled_at, &sends);
            sends.push(sent);
        }
        let aside = self.aside.unwrap_or_default();
        for (sent, place) in sends.iter_mut().zip(&aside.places) {
            sent.step = *place;
        }
        for (sent, outcome) in sends.iter_mut().zip(&aside.outcomes) {
            sent.outcome = *outcome;
        }
        let (last_decided, last_valid) = Self::last(&sends, self.settled_at);
        let mut fields = self.fields.fields.into_owned();
        if let Some(occurred) = self.occurred {
            fields.insert(OCCURRED_AT, self.settled_at.wrapping_add(occurred).to_string());
        }
        Instance {
            id: self.id,
            campaign: self.campaign.into_owned(),
            version: self.version,
            key: self.key.into_owned(),
            stage: self.stage,
            step: self.step,
            alternative: self.alternative,
            due: self.due.wrapping_add(last_valid),
            fields,
            sends,
            settled_at: self.settled_at,
            tried: self.tried,
            ceiling: aside.ceiling,
            turn: self.turn.wrapping_add(last_decided),
            variant: aside.variant.map(Cow::into_owned),
            held_out: aside.held_out,
            changes: aside.changes,
            frozen_at: aside.frozen_at,
            skip_until: aside.skip_until,
            queued: aside.queued.map(Cow::into_owned),
            given_up: aside.given_up.into_owned(),
            adoption: aside.adoption.map(Cow::into_owned),
            asked_at: aside.asked_at,
        }
    }

    /// When the last command was decided and until when it is valid: what is said of an instance mostly lies there.
    fn last(sends: &[Sent], settled_at: Millis) -> (Millis, Millis) {
        sends.last().map_or((settled_at, settled_at), |sent| (sent.decided_at, sent.send_before))
    }
}

/// Where the sends stand in the plan now, up to the last one that a migration has moved: nothing where none was.
fn places(sends: &[Sent]) -> Vec<i32> {
    let moved = sends.iter().rposition(|sent| sent.step != sent.number);
    sends.iter().take(moved.map_or(0, |last| last + 1)).map(|sent| sent.step).collect()
}

/// What sends came to, up to the last one of which a person has told: nothing where nobody has.
fn outcomes(sends: &[Sent]) -> Vec<Outcome> {
    let told = sends.iter().rposition(|sent| sent.outcome != Outcome::Unspecified);
    sends.iter().take(told.map_or(0, |last| last + 1)).map(|sent| sent.outcome).collect()
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Sent")]
struct Command<'a> {
    step: i32,
    #[serde(default)]
    alternative: i32,
    channel: Word<'a>,
    #[serde(default)]
    price_minor: i64,
    decided: Millis,
    send_before: Millis,
    #[serde(default)]
    answer: Option<Answer>,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Answer {
    handed_over: Option<Millis>,
    reached: Status,
    failed: Status,
}

impl<'a> Command<'a> {
    /// `before` is when the one before it was decided.
    fn of(sent: &'a Sent, before: Millis) -> Self {
        // The id and the attempt follow from the others.
        let Sent { id: _, attempt: _, step: _, number, alternative, channel, price_minor, on_delivery, .. } = sent;
        let Sent { decided_at, send_before, handed_over_at, reached, failed, .. } = sent;
        Command {
            step: *number,
            alternative: *alternative,
            channel: Word(channel.into()),
            price_minor: if *on_delivery { !price_minor } else { *price_minor },
            decided: decided_at.wrapping_sub(before),
            send_before: send_before.wrapping_sub(*decided_at),
            answer: filled(Answer {
                handed_over: handed_over_at.map(|at| at.wrapping_sub(*decided_at)),
                reached: *reached,
                failed: *failed,
            }),
        }
    }

    fn unpacked(self, instance: Id, settled_at: Millis, earlier: &[Sent]) -> Sent {
        let (step, alternative) = (self.step, self.alternative);
        let same = earlier.iter().filter(|sent| (sent.number, sent.alternative) == (step, alternative));
        let attempt = i32::try_from(same.count()).unwrap_or(i32::MAX);
        let decided_at = earlier.last().map_or(settled_at, |sent| sent.decided_at).wrapping_add(self.decided);
        let answer = self.answer.unwrap_or_default();
        Sent {
            id: Id::of_send(instance, step, alternative, attempt),
            step,
            number: step,
            alternative,
            attempt,
            channel: self.channel.0.into_owned(),
            price_minor: if self.price_minor < 0 { !self.price_minor } else { self.price_minor },
            on_delivery: self.price_minor < 0,
            decided_at,
            send_before: self.send_before.wrapping_add(decided_at),
            handed_over_at: answer.handed_over.map(|handed_over| handed_over.wrapping_add(decided_at)),
            reached: answer.reached,
            failed: answer.failed,
            // Stands aside.
            outcome: Outcome::Unspecified,
        }
    }
}

/// An instance's fields, without the moment that stands elsewhere.
#[derive(Default)]
struct Fields<'a> {
    fields: Cow<'a, crate::Fields>,
    without_moment: bool,
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len() - usize::from(self.without_moment)))?;
        for (name, value) in self.fields.iter().filter(|(name, _)| !self.without_moment || *name != OCCURRED_AT) {
            map.serialize_entry(&Word(name.into()), value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fields<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Fields<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fields by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = crate::Fields::default();
        while let Some((Word(name), text)) = map.next_entry::<Word<'static>, String>()? {
            fields.insert(name, text);
        }
        Ok(Fields { fields: Cow::Owned(fields), without_moment: false })
    }
}

/// Bytes of a mark.
const MARK: usize = 6;

/// By what events are recognised, [`MARK`] bytes each.
#[derive(Default)]
struct Marks<'a>(Cow<'a, [i64]>);

impl Serialize for Marks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|mark| mark.to_be_bytes().into_iter().skip(8 - MARK)).collect();
        if serializer.is_human_readable() {
            // As in Avro's JSON: each byte a character.
            return serializer.collect_str(&bytes.iter().copied().map(char::from).collect::<String>());
        }
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Marks<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_str(Bytes);
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Marks<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK} bytes for each mark")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
        self.visit_bytes(&bytes.map_err(E::custom)?)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        let marks = bytes.chunks_exact(MARK);
        if !marks.remainder().is_empty() {
            return Err(E::invalid_length(bytes.len(), &self));
        }
        let mark = |bytes: &[u8]| bytes.iter().fold(0, |mark, byte| (mark << 8) | i64::from(*byte));
        Ok(Marks(marks.map(mark).collect()))
    }
}
