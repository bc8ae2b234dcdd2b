//! What a launch will come to, reckoned before it begins: for how many customers, on which channels, at what price at most.
//!
//! Each customer is judged by [`decide`](crate::decide) itself, on a copy of the row, at the moment of the launch. The price is what
//! would be owed if every message of the campaign that can go out to the customer did: whatever its waits, conditions, caps and
//! quiet hours may keep back. It is reckoned with the addresses and consents of today, and each message with the dearest price from that
//! moment on: a later one may meet a later tariff.

use std::collections::BTreeMap;

use schemas::{Class, Customer, Millis, Reason};

use crate::decide::{Effect, Fares, Input, Moment, decide, has_consent};
use crate::language::{Plan, TriggerKind};
use crate::plans::Plans;

/// What a campaign comes to that looks at everybody once.
#[derive(Clone, Debug)]
pub struct Forecast {
    campaign: String,
    at: Millis,
    /// Customers who were looked at.
    pub customers: u64,
    /// Of these, for whom it begins.
    pub begins: u64,
    /// Of these, who are held out and get nothing.
    pub held_out: u64,
    /// Of those for whom it begins, who can be reached on no channel of the campaign.
    pub unreachable: u64,
    /// Why it does not begin for others whom it wants.
    pub refused: BTreeMap<Reason, u64>,
    /// For each channel, how many messages can go out.
    pub messages: BTreeMap<&'static str, u64>,
    /// What they cost together, in minor units.
    pub most_minor: i128,
    /// Messages on channels that cost money, of which no table says how much.
    pub unpriced: u64,
}

impl Forecast {
    /// Of a campaign that is in force in these plans, at the one moment of its schedule; at `now`, if that is over already.
    ///
    /// # Errors
    /// Why it cannot be launched: a sentence and what to do.
    pub fn of(plans: &Plans, campaign: &str, now: Millis) -> Result<Self, String> {
        let plan = plans.newest(campaign).ok_or("there is no such campaign")?;
        let schedule = plan.trigger.schedule.as_ref().filter(|_| plan.trigger.on == TriggerKind::Schedule);
        let schedule = schedule.ok_or("only what begins at a moment is launched: write `on: schedule` and `at: …`")?;
        if schedule.every.is_some() {
            return Err("this comes again and again: use `cascade campaign apply`, or remove `every`".to_owned());
        }
        if now.saturating_sub(schedule.at) > plan.trigger.max_age {
            return Err("its moment is over: write another one at `at`".to_owned());
        }
        Ok(Forecast {
            campaign: campaign.to_owned(),
            at: schedule.at,
            customers: 0,
            begins: 0,
            held_out: 0,
            unreachable: 0,
            refused: BTreeMap::new(),
            messages: BTreeMap::new(),
            most_minor: 0,
            unpriced: 0,
        })
    }

    /// When it begins.
    pub fn at(&self) -> Millis {
        self.at
    }

    /// Looks at one customer, of whom something is known.
    pub fn look(&mut self, plans: &Plans, customer_id: &str, customer: &Customer, now: Millis) {
        self.customers += 1;
        let Some(plan) = plans.newest(&self.campaign) else { return };
        let now = now.max(self.at);
        let moment = Moment { now, partition: 0, offset: None, due: Some(self.at) };
        let mut effects = Vec::new();
        let mut row = customer.clone();
        decide(plans, customer_id, &mut row, Input::Sweep { campaign: &self.campaign }, &moment, &mut effects);
        for effect in effects {
            match effect {
                Effect::Journal(entry) if entry.campaign == self.campaign && entry.version == plan.version => {
                    match entry.reason {
                        Reason::Entered => self.begin(plans, plan, customer_id, customer, now),
                        // Only what did not begin has no instance.
                        reason if entry.instance.is_empty() => *self.refused.entry(reason).or_default() += 1,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    fn begin(&mut self, plans: &Plans, plan: &Plan, customer_id: &str, customer: &Customer, now: Millis) {
        self.begins += 1;
        let experiment = plan.experiment.as_ref();
        if experiment.is_some_and(|it| it.holds_out(customer_id)) {
            self.held_out += 1;
            return;
        }
        let variant = experiment.and_then(|it| it.variant(customer_id));
        let fares = Fares { plans, contacts: &customer.contacts, now };
        let mut can_be_reached = false;
        for step in plan.steps.iter().filter(|step| step.is_for(variant)) {
            for channel in &step.channels {
                let has_contact = customer.contacts.iter().any(|contact| contact.channel == channel.name);
                if !has_contact || (plan.class != Class::Transactional && !has_consent(customer, channel.name)) {
                    continue;
                }
                can_be_reached = true;
                *self.messages.entry(channel.name).or_default() += 1;
                self.most_minor += fares.dearest(step, channel).map_or(0, |price| i128::from(price.minor));
                // If only a later tariff has a price, what goes out before it costs what nobody knows.
                self.unpriced += u64::from(channel.paid && fares.price(step, channel).is_none());
            }
        }
        self.unreachable += u64::from(!can_be_reached);
    }
}
