//! What happens to a customer, told as the facts that producers would write.

use schemas::{Consent, Contact, Fact, Feedback, Millis, Profile};

use crate::channel::Channel;

use super::event::Event;

const DAY: Millis = 24 * 3_600_000;

/// Tells what happens to one customer. Each fact is whole: it has its id, its customer and its time, and a profile repeats
/// all that was said before. The same lines give the same ids, wherever they are told: by these a cascade's own moments
/// are drawn.
#[derive(Clone, Debug)]
pub struct Narrator {
    customer: String,
    /// What was said of the customer so far.
    profile: Profile,
    /// Facts so far, for their ids.
    count: i64,
}

/// What is wrong with a happening and what to do about it.
pub(super) type Wrong = (String, String);

impl Narrator {
    /// Of this customer nothing was told yet.
    pub fn of(customer: &str) -> Self {
        Narrator { customer: customer.to_owned(), profile: Profile::default(), count: 0 }
    }

    /// The fact that tells what happens now; none where that is nothing that somebody would tell. `sent` finds the last message
    /// of a step: its id and its channel.
    ///
    /// # Errors
    /// A word about a message that was never sent.
    pub fn fact(
        &mut self,
        event: &Event,
        now: Millis,
        sent: impl FnOnce(&str) -> Option<(String, String)>,
    ) -> Result<Option<Fact>, Wrong> {
        let fact = match event {
            Event::Has(channels) => return Ok(Some(self.has(channels, now))),
            Event::Erased => return Ok(Some(self.erased(now))),
            Event::Refuses(channels) => self.refuses(channels, now),
            Event::Profile(said) => self.describe(said),
            Event::Fact(fact) => (**fact).clone(),
            Event::Word { step, status, actor, outcome, code } => {
                let Some((id, channel)) = sent(step) else {
                    let message = format!("nothing was sent for a step `{step}` by now");
                    return Err((message, "look at what is decided before this line".to_owned()));
                };
                let (send_id, status, actor, outcome) = (Some(id), *status, *actor, *outcome);
                let code = code.clone();
                Fact::Feedback(Feedback { send_id, channel, status, actor, code, outcome, ..Feedback::default() })
            }
            Event::Piled(event) => return self.fact(event, now, sent),
            Event::Said(_) | Event::Again | Event::Worker(_) | Event::Down | Event::Deadlines | Event::Passes => {
                return Ok(None);
            }
        };
        Ok(Some(self.whole(fact, now)))
    }

    /// An event id that was not there before.
    pub(super) fn next_id(&mut self) -> String {
        self.count += 1;
        format!("event-{}", self.count)
    }

    /// The fact with its id, customer and time.
    pub(super) fn whole(&mut self, mut fact: Fact, now: Millis) -> Fact {
        let id = self.next_id();
        let place = match &mut fact {
            Fact::Cart(it) => Some((&mut it.event_id, &mut it.customer_id, &mut it.occurred_at)),
            Fact::Registration(it) => Some((&mut it.event_id, &mut it.customer_id, &mut it.occurred_at)),
            Fact::Inactivity(it) => {
                it.since = now.saturating_sub(DAY.saturating_mul(it.days.into()));
                Some((&mut it.event_id, &mut it.customer_id, &mut it.occurred_at))
            }
            Fact::Action(it) => Some((&mut it.event_id, &mut it.customer_id, &mut it.occurred_at)),
            Fact::Profile(it) => Some((&mut it.event_id, &mut it.customer_id, &mut it.occurred_at)),
            Fact::Feedback(it) => Some((&mut it.event_id, &mut it.customer_id, &mut it.occurred_at)),
            Fact::Release(it) => Some((&mut it.event_id, &mut it.customer_id, &mut it.occurred_at)),
            _ => None,
        };
        if let Some((event_id, customer_id, occurred_at)) = place {
            (*event_id, *customer_id, *occurred_at) = (id, self.customer.clone(), now);
        }
        fact
    }

    /// An address and a consent on just these channels.
    pub(super) fn has<C: AsRef<str>>(&mut self, channels: &[C], now: Millis) -> Fact {
        let names = || channels.iter().map(|channel| channel.as_ref().to_owned());
        let contact = |channel: String| Contact { address: address(&channel), channel };
        let consent = |channel| Consent { channel, granted: true, at: now, ..Consent::default() };
        self.profile.consents = names().map(consent).collect();
        self.profile.contacts = names().map(contact).collect();
        self.whole(Fact::Profile(self.profile.clone()), now)
    }

    pub(super) fn erased(&mut self, now: Millis) -> Fact {
        self.profile = Profile::default();
        self.whole(Fact::Profile(Profile { erased: true, ..Profile::default() }), now)
    }

    fn refuses(&mut self, channels: &[String], now: Millis) -> Fact {
        self.profile.consents.retain(|consent| !channels.contains(&consent.channel));
        let refusal =
            |channel: &String| Consent { channel: channel.clone(), granted: false, at: now, ..Consent::default() };
        self.profile.consents.extend(channels.iter().map(refusal));
        Fact::Profile(self.profile.clone())
    }

    /// All that is known besides channels; what was said before is replaced.
    fn describe(&mut self, said: &[(String, String)]) -> Fact {
        let named = |name: &str| said.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone());
        let (time_zone, locale) = (named("time_zone"), named("locale"));
        let other = said.iter().filter(|(name, _)| name != "time_zone" && name != "locale");
        self.profile.attributes = other.cloned().collect();
        (self.profile.time_zone, self.profile.locale) = (time_zone, locale);
        Fact::Profile(self.profile.clone())
    }
}

/// The number of every customer of a rehearsal: one that is kept free for stories, and that says nothing of the time there.
const NUMBER: &str = "+18005550123";

/// An address that a worker of this channel would take.
fn address(channel: &str) -> String {
    if Channel::find(channel).is_some_and(|channel| channel.numbers) {
        return NUMBER.to_owned();
    }
    let name = format!("address-of-{channel}");
    if channel == "email" { name + "@example.test" } else { name }
}
