//! What came of it all, counted from the journal and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use schemas::{Actor, Journal, Millis, Reason, Status};

/// Everything that the journal has told so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// By campaign.
    pub campaigns: BTreeMap<String, Funnel>,
    /// How cascades ended, over all campaigns.
    pub ends: BTreeMap<Reason, u64>,
    /// Money spent or still reserved: reserved less voided, in minor units.
    pub cost_minor: i64,
    /// Of this so much is owed, in minor units.
    pub charged_minor: i64,
    /// Records read.
    pub records: u64,
    sends: HashMap<String, Sent>,
    /// Cascades that have not ended, and when they were entered.
    running: HashMap<String, Millis>,
    /// Instances that wrote to their customer, and how often.
    spoken: HashMap<String, u64>,
    /// Customer and campaign, and how many records tell of them.
    lengths: BTreeMap<(String, String), u64>,
    /// Customer and campaign of cascades that wrote more than once and ended with what was hoped for.
    successes: BTreeSet<(String, String)>,
}

/// One campaign.
#[derive(Debug, Default)]
pub struct Funnel {
    /// Cascades that began.
    pub entered: u64,
    /// How they ended.
    pub ends: BTreeMap<Reason, u64>,
    /// Of these, cascades that ended before a word was said.
    pub silent: u64,
    /// By step and channel.
    pub steps: BTreeMap<(String, String), Counts>,
}

/// What became of the messages of one step on one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commands published.
    pub sent: u64,
    /// Taken by the provider.
    pub handed_over: u64,
    /// Known to have arrived.
    pub delivered: u64,
    /// Known to have been opened by a human.
    pub opened: u64,
    /// Known to have been clicked.
    pub clicked: u64,
    /// Refused, or known not to have arrived.
    pub failed: u64,
    /// Money spent on them, in minor units.
    pub cost_minor: i64,
}

/// A command, and the furthest that is known of it.
#[derive(Debug)]
struct Sent {
    customer_id: String,
    campaign: String,
    entered_at: Millis,
    step: String,
    channel: String,
    reached: Status,
    failed: bool,
    unknown: bool,
}

/// What is needed to judge whether a message was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Whom it was for.
    pub customer_id: &'a str,
    /// Name of the campaign.
    pub campaign: &'a str,
    /// When its cascade was entered.
    pub entered_at: Millis,
}

impl Tally {
    /// Takes in one record.
    pub fn note(&mut self, record: &Journal) {
        self.records += 1;
        self.cost_minor += record.amount_minor;
        self.charged_minor += record.charged_minor;
        *self.lengths.entry((record.customer_id.clone(), record.campaign.clone())).or_default() += 1;
        match record.reason {
            Reason::Entered => self.entered(record),
            Reason::Sent => self.sent(record),
            Reason::LateFeedback => self.told(record),
            reason if is_end(reason) && !record.instance.is_empty() => self.ended(record),
            _ if !record.send_id.is_empty() => self.told(record),
            _ => {}
        }
        if record.reason != Reason::Sent && record.amount_minor != 0 {
            self.charge(&record.send_id, record.amount_minor);
        }
    }

    /// Cascades that run: each has a deadline.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Cascades that wrote to their customer at least once: so many SMS it would have been to write to everybody at once.
    pub fn spoken(&self) -> usize {
        self.spoken.len()
    }

    /// Counts by channel, over all campaigns.
    pub fn channels(&self) -> BTreeMap<&str, Counts> {
        let mut channels: BTreeMap<&str, Counts> = BTreeMap::new();
        for ((_, channel), counts) in self.campaigns.values().flat_map(|funnel| &funnel.steps) {
            channels.entry(channel).or_default().add(counts);
        }
        channels
    }

    /// Send ids that a provider has taken, as far as the journal knows, and those of which nobody knows.
    pub fn handed_over(&self) -> (HashSet<&str>, HashSet<&str>) {
        let ids = |wanted: fn(&Sent) -> bool| {
            self.sends.iter().filter(move |(_, sent)| wanted(sent)).map(|(id, _)| id.as_str()).collect()
        };
        (ids(|sent| sent.reached >= Status::Accepted), ids(|sent| sent.reached < Status::Accepted && sent.unknown))
    }

    /// Why a send went out; none if the journal does not know it.
    pub fn origin_of(&self, send_id: &str) -> Option<Origin<'_>> {
        let Sent { customer_id, campaign, entered_at, .. } = self.sends.get(send_id)?;
        Some(Origin { customer_id, campaign, entered_at: *entered_at })
    }

    /// A customer and a campaign whose story is worth telling and soon told: written to more than once until the goal was
    /// reached, with the fewest records; else whoever was written to.
    pub fn example(&self) -> Option<(&str, &str)> {
        let length = |(customer, campaign): &(&str, &str)| {
            self.lengths.get(&((*customer).to_owned(), (*campaign).to_owned())).copied().unwrap_or(u64::MAX)
        };
        let successes = self.successes.iter().map(|(customer, campaign)| (customer.as_str(), campaign.as_str()));
        let written = || self.sends.values().map(|sent| (sent.customer_id.as_str(), sent.campaign.as_str())).min();
        successes.min_by_key(length).or_else(written)
    }

    fn entered(&mut self, record: &Journal) {
        self.campaigns.entry(record.campaign.clone()).or_default().entered += 1;
        self.running.insert(record.instance.clone(), record.at);
    }

    fn sent(&mut self, record: &Journal) {
        let funnel = self.campaigns.entry(record.campaign.clone()).or_default();
        let counts = funnel.steps.entry((record.step.clone(), record.channel.clone())).or_default();
        counts.sent += 1;
        counts.cost_minor += record.amount_minor;
        *self.spoken.entry(record.instance.clone()).or_default() += 1;
        self.sends.insert(
            record.send_id.clone(),
            Sent {
                customer_id: record.customer_id.clone(),
                campaign: record.campaign.clone(),
                entered_at: self.running.get(&record.instance).copied().unwrap_or(record.at),
                step: record.step.clone(),
                channel: record.channel.clone(),
                reached: Status::Unspecified,
                failed: false,
                unknown: false,
            },
        );
    }

    fn ended(&mut self, record: &Journal) {
        if self.running.remove(&record.instance).is_some() {
            *self.ends.entry(record.reason).or_default() += 1;
            let funnel = self.campaigns.entry(record.campaign.clone()).or_default();
            *funnel.ends.entry(record.reason).or_default() += 1;
            let written = self.spoken.get(&record.instance).copied().unwrap_or(0);
            funnel.silent += u64::from(written == 0);
            if record.reason == Reason::GoalReached && written > 1 {
                self.successes.insert((record.customer_id.clone(), record.campaign.clone()));
            }
        }
    }

    /// A word about a send.
    fn told(&mut self, record: &Journal) {
        let Some(sent) = self.sends.get_mut(&record.send_id) else { return };
        let Some(counts) = sent.counts(&mut self.campaigns) else { return };
        let said = record.evidence.get("status").unwrap_or_default();
        sent.unknown |= record.reason == Reason::UnknownOutcome;
        let reached = match record.reason {
            Reason::HandedOver => Status::Accepted,
            Reason::Delivered | Reason::MachineOpened => Status::Delivered,
            Reason::Opened => Status::Opened,
            Reason::Clicked => Status::Clicked,
            Reason::Replied => Status::Replied,
            Reason::LateFeedback | Reason::DoubleReached => positive(said, record.evidence.get("actor")),
            Reason::NotDelivered | Reason::Refused => {
                counts.failed += u64::from(!std::mem::replace(&mut sent.failed, true));
                return;
            }
            _ => return,
        };
        for (level, count) in [
            (Status::Accepted, &mut counts.handed_over),
            (Status::Delivered, &mut counts.delivered),
            (Status::Opened, &mut counts.opened),
            (Status::Clicked, &mut counts.clicked),
        ] {
            *count += u64::from(sent.reached < level && level <= reached);
        }
        sent.reached = sent.reached.max(reached);
    }

    fn charge(&mut self, send_id: &str, amount_minor: i64) {
        if let Some(counts) = self.sends.get(send_id).and_then(|sent| sent.counts(&mut self.campaigns)) {
            counts.cost_minor += amount_minor;
        }
    }
}

impl Sent {
    /// Where it is counted.
    fn counts<'a>(&self, campaigns: &'a mut BTreeMap<String, Funnel>) -> Option<&'a mut Counts> {
        campaigns.get_mut(&self.campaign)?.steps.get_mut(&(self.step.clone(), self.channel.clone()))
    }
}

impl Counts {
    /// Adds up.
    pub fn add(&mut self, other: &Counts) {
        self.sent += other.sent;
        self.handed_over += other.handed_over;
        self.delivered += other.delivered;
        self.opened += other.opened;
        self.clicked += other.clicked;
        self.failed += other.failed;
        self.cost_minor += other.cost_minor;
    }
}

/// Reasons with which a cascade ends.
fn is_end(reason: Reason) -> bool {
    use Reason::{CampaignStopped, Erased, Exhausted, GoalReached, OptedOut, StopReached, Withdrawn};
    matches!(reason, GoalReached | StopReached | Exhausted | OptedOut | Withdrawn | Erased | CampaignStopped)
}

/// The status of this name, if it is a positive one. An open or a click of which the journal does not say that a human made it
/// is taken for a machine's: it arrived, no more.
fn positive(name: &str, actor: Option<&str>) -> Status {
    let found = Status::ALL.iter().copied().find(|status| status.as_str() == name);
    match found.filter(|status| *status <= Status::Replied).unwrap_or_default() {
        Status::Opened | Status::Clicked if actor != Some(Actor::Human.as_str()) => Status::Delivered,
        status => status,
    }
}

#[cfg(test)]
#[path = "tally/tests.rs"]
mod tests;
