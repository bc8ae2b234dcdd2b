//! One customer with a timeline: what is told of him, and what was decided about him.

use std::collections::{BTreeMap, VecDeque};

use campaign::Effect;
use campaign::rehearsal::{CUSTOMER, Event, Narrator, Timeline, tell};
use schemas::{Fact, Journal, Millis, Reason, Revoke, Send};

use crate::installation::deploy;

/// One customer and what the timeline says of him.
pub(super) struct Life {
    /// The timeline's file below `deploy/campaigns`, without its ending.
    pub name: String,
    pub customer: String,
    pub campaigns: Vec<campaign::Plan>,
    pub timeline: Timeline,
    narrator: Narrator,
    /// What was told last, to be told again.
    pub last: Option<Fact>,
}

impl Life {
    /// Reads a timeline and its campaigns.
    pub fn read(name: &str, number: usize) -> Self {
        let text = |path: String| {
            std::fs::read_to_string(deploy().join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"))
        };
        let timeline = Timeline::parse(name, &text(format!("campaigns/{name}.timeline")))
            .unwrap_or_else(|problems| panic!("{}", problems[0]));
        let customer = if number == 1 { CUSTOMER.to_owned() } else { format!("customer-of-timeline-{number}") };
        let plan = |path: &String| {
            let path = format!("campaigns/{path}.yaml");
            campaign::parse(&path, &text(path.clone())).unwrap_or_else(|problems| panic!("{}", problems[0]))
        };
        Life {
            name: name.to_owned(),
            campaigns: campaign_files(name).iter().map(plan).collect(),
            narrator: Narrator::of(&customer),
            customer,
            timeline,
            last: None,
        }
    }

    /// Business time of a moment since its begin.
    pub fn at(&self, since: Millis) -> Millis {
        self.timeline.begin + since
    }

    /// The moment of its last line: what comes later it does not speak of.
    fn end(&self) -> Millis {
        self.at(self.timeline.lines().last().map_or(0, |line| line.since))
    }

    /// The fact that tells what happens now. Of the commands until then the last one of a step is the one that is meant.
    pub fn tell(&mut self, event: &Event, now: Millis, sends: &[Send]) -> Fact {
        let Life { customer, campaigns, narrator, .. } = self;
        let last = |step: &str| {
            let own = sends.iter().filter(|send| send.customer_id == *customer && send.step == step);
            let own = own.filter(|send| campaigns.iter().any(|plan| plan.name == send.campaign));
            let last = own.max_by_key(|send| (send.decided_at, send.attempt))?;
            Some((last.send_id.clone(), last.channel.clone()))
        };
        let fact = narrator.fact(event, now, last).unwrap_or_else(|(wrong, _)| panic!("{}: {wrong}", self.name));
        fact.expect("it is an event that somebody tells")
    }

    /// Whether a decision about the customer is one that the timeline speaks of. Some concern no campaign.
    fn concerns(&self, campaign: &str) -> bool {
        campaign.is_empty() || self.campaigns.iter().any(|plan| plan.name == campaign)
    }

    /// What was decided about the customer, as a rehearsal tells it: a command in the place of the journal's word of it, a
    /// withdrawal before the entry that tells why. What has no place among them stands at the end.
    pub fn decided(&self, journal: &[Journal], sends: &[Send], revokes: &[Revoke]) -> Vec<String> {
        let is_own = |customer: &str, campaign: &str| customer == self.customer && self.concerns(campaign);
        let entries = journal.iter().filter(|it| is_own(&it.customer_id, &it.campaign) && it.at <= self.end());
        let own = sends.iter().filter(|it| is_own(&it.customer_id, &it.campaign) && it.decided_at <= self.end());
        let mut sends: BTreeMap<&str, &Send> = own.map(|send| (send.send_id.as_str(), send)).collect();
        let mut revokes: VecDeque<&Revoke> =
            revokes.iter().filter(|it| sends.contains_key(it.send_id.as_str())).collect();
        let mut effects: Vec<(Millis, Effect)> = Vec::new();
        for entry in entries {
            let (is_withdrawn, at) = (entry.evidence.contains_key("revoked"), entry.at);
            while let Some(revoke) =
                revokes.pop_front_if(|it| it.revoked_at < at || is_withdrawn && it.revoked_at == at)
            {
                effects.push((revoke.revoked_at, Effect::Revoke(revoke.clone())));
            }
            if entry.reason == Reason::Sent {
                let sent = sends.remove(entry.send_id.as_str());
                effects.extend(sent.map(|send| (send.decided_at, Effect::Send(Box::new(send.clone())))));
            }
            effects.push((at, Effect::Journal(Box::new(entry.clone()))));
        }
        effects.extend(revokes.into_iter().map(|it| (it.revoked_at, Effect::Revoke(it.clone()))));
        effects.extend(sends.into_values().map(|it| (it.decided_at, Effect::Send(Box::new(it.clone())))));
        effects.iter().filter_map(|(at, effect)| tell(at - self.timeline.begin, effect)).collect()
    }
}

/// The campaigns of a timeline are in its name, up to the first dot, with a `+` between them; those of `timelines` stand one
/// directory higher. Without their ending.
pub(super) fn campaign_files(timeline: &str) -> Vec<String> {
    let (directory, file) = timeline.split_once('/').expect("a timeline is named with its directory");
    let directory = if directory == "timelines" { String::new() } else { format!("{directory}/") };
    let names = file.split('.').next().unwrap_or_default();
    names.split('+').map(|name| format!("{directory}{name}")).collect()
}
