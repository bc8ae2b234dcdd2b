//! Lives through timelines of `deploy/campaigns` on real processes: what [`campaign::rehearsal`] expects in virtual time must
//! come true on Kafka.
//!
//! Each timeline has a customer of its own, and all live side by side in one installation: every campaign is in force for
//! everybody, and what others than a timeline's own decide about its customer is passed over. What happens reaches the source
//! topics as a shop's producers write it, and words about messages as records of `feedback`, as a foreign worker or a provider's
//! gateway would write them. Hand-overs are those of the real workers. Nobody looking means that intake and operator are killed.
//!
//! The clock stops at every moment at which something happens or is expected, and a millisecond before it: what is decided too
//! early shows. It stops where everybody is looked at, too, since a schedule that is seen late is judged by the day on which it is
//! seen; of several moments between two stops only the latest counts.
//!
//! *Limits.* A spread is drawn by customer, and only the first timeline's customer is called as in rehearsals: one whose campaign
//! spreads stands first; what it expects lies anywhere within its second. Templates are plain lines, because a timeline does not
//! say what those of a shop would ask for.

mod life;

use std::collections::BTreeSet;

use campaign::rehearsal::Event;
use campaign::{Plans, Turn};
use schemas::{Campaign, Fact, Journal, Millis, Revoke};

use crate::installation::{Installation, Plan, SECOND};
use crate::shop::sorted;
use crate::tail::Message;

use life::{Life, campaign_files};

/// Those who look at what happens.
const EYES: [&str; 2] = ["intake", "operator"];

/// No Avro, whatever it was meant to say.
const UNREADABLE: &[u8] = b"\x00\xff\xff\xff\xff nobody can read this";

/// An installation and those who live in it.
struct Player {
    shop: Installation,
    lives: Vec<Life>,
    /// All campaigns.
    plans: Plans,
    /// Where the clock stops, sweeps aside.
    stops: BTreeSet<Millis>,
    is_down: bool,
    /// Whether facts came that nobody saw.
    has_piled: bool,
}

/// Lives through timelines, as `scenarios/webinar.late`, and compares what stands in the topics then with what they expect: every
/// decision of their campaigns at its second, every command in the hands of a provider, and nothing else. The installation is
/// named `name`.
#[track_caller]
pub fn live_through(name: &str, timelines: &[&str]) {
    let lives = timelines.iter().enumerate().map(|(index, timeline)| Life::read(timeline, index + 1)).collect();
    let mut player = Player::start(name, lives);
    for (at, life, line) in player.agenda() {
        let event = player.lives[life].timeline.lines()[line].event.clone();
        player.reach(at, life, event.is_unseen());
        player.act(life, &event);
    }
    player.compare();
}

impl Player {
    fn start(name: &str, lives: Vec<Life>) -> Self {
        let files: BTreeSet<String> = lives.iter().flat_map(|life| campaign_files(&life.name)).collect();
        let steps = || lives.iter().flat_map(|life| &life.campaigns).flat_map(|plan| &plan.steps);
        let messages = || steps().flat_map(|step| step.channels.iter().map(|channel| (&step.template, channel.name)));
        let channels: BTreeSet<&str> = messages().map(|(_, channel)| channel).collect();
        let templates: BTreeSet<String> = messages().map(|(template, name)| format!("{template}.{name}")).collect();
        let campaigns: Vec<&str> = files.iter().map(String::as_str).collect();
        let (channels, templates) = (Vec::from_iter(channels), Vec::from_iter(templates));
        let plan = Plan {
            begin: lives.iter().map(|life| life.timeline.begin).min().expect("somebody lives"),
            plain_templates: &templates,
            ..Plan::new(name, &campaigns, &channels)
        };
        let shop = Installation::start(&plan);
        let mut plans = Plans::default();
        for record in shop.read(&shop.topics.campaign()) {
            plans.apply(&record.decode::<Campaign>()).expect("it was checked before it was published");
        }
        let expected = lives.iter().flat_map(|life| life.timeline.expected_at().map(|since| life.at(since)));
        let spread = lives[0].timeline.expected_at().map(|since| lives[0].at(since) + SECOND - 1);
        let stops = expected.flat_map(|at| [at - 1, at]).chain(spread).collect();
        Player { shop, lives, plans, stops, is_down: false, has_piled: false }
    }

    /// Moment, life and line of all that happens, in their order.
    fn agenda(&self) -> Vec<(Millis, usize, usize)> {
        let lines = |life: usize| {
            let all = self.lives[life].timeline.lines().iter().enumerate();
            all.map(move |(line, it)| (self.lives[life].at(it.since), life, line))
        };
        sorted((0..self.lives.len()).flat_map(lines).collect())
    }

    /// Lets time pass until something happens in this life, stop by stop. What happens unseen finds everything undone.
    fn reach(&mut self, at: Millis, life: usize, is_unseen: bool) {
        let now = self.shop.now();
        if is_unseen && at > now {
            if self.has_piled {
                self.look();
            }
            self.look_away();
            for other in self.lives.iter().enumerate().filter(|(index, _)| *index != life).map(|(_, other)| other) {
                let is_missed = other.timeline.expected_at().any(|since| (now + 1..=at).contains(&other.at(since)));
                assert!(!is_missed, "{} must not live beside the outage of {}", other.name, self.lives[life].name);
            }
            self.shop.set_clock(at);
        } else if !is_unseen {
            self.look();
            let mut stops: BTreeSet<Millis> = self.stops.range(now..=at).copied().chain([at]).collect();
            for stop in stops.clone() {
                self.plans.sweeps(stop, |sweep| stops.extend((sweep.turn == Turn::Comes).then_some(sweep.at)));
            }
            for stop in stops.range(now + 1..) {
                self.shop.pass(stop - self.shop.now());
            }
        }
    }

    fn look_away(&mut self) {
        if !self.is_down {
            EYES.iter().for_each(|name| self.shop.kill(name));
        }
        self.is_down = true;
    }

    fn look(&mut self) {
        if self.is_down {
            self.shop.bring_up(&EYES);
        }
        (self.is_down, self.has_piled) = (false, false);
        self.shop.settle();
    }

    /// Something happens now.
    fn act(&mut self, life: usize, event: &Event) {
        match event {
            Event::Down | Event::Passes => {}
            Event::Deadlines => self.look(),
            Event::Piled(event) => {
                self.has_piled = true;
                self.act(life, event);
            }
            Event::Worker(is_on) => self.man(*is_on),
            // Other lives have the same campaigns in force.
            Event::Said(_) => panic!("no campaign is paused, stopped or migrated beside other lives"),
            Event::Again => {
                let fact = self.lives[life].last.clone().expect("something was told before");
                self.write(life, &fact);
            }
            told => {
                let sends = if matches!(told, Event::Word { .. }) { self.shop.sends() } else { Vec::new() };
                let fact = self.lives[life].tell(told, self.shop.now(), &sends);
                self.write(life, &fact);
                self.lives[life].last = Some(fact);
            }
        }
    }

    /// The workers are everybody's: they can be sent away where only one customer lives.
    fn man(&mut self, is_on: bool) {
        assert_eq!(self.lives.len(), 1, "{} needs an installation of its own", self.lives[0].name);
        let workers: Vec<String> = self.shop.channels.iter().map(|channel| format!("channel {channel}")).collect();
        for worker in &workers {
            if is_on { self.shop.restart(worker) } else { self.shop.kill(worker) }
        }
    }

    /// Writes a fact where a producer writes it, and lets it be seen.
    fn write(&mut self, life: usize, fact: &Fact) {
        let (shop, customer) = (&self.shop, self.lives[life].customer.as_str());
        match fact {
            Fact::Cart(it) => shop.tell(&shop.topics.cart(), customer, it),
            Fact::Registration(it) => shop.tell(&shop.topics.registration(), customer, it),
            Fact::Inactivity(it) => shop.tell(&shop.topics.inactivity(), customer, it),
            Fact::Action(it) => shop.tell(&shop.topics.action(), customer, it),
            Fact::Profile(it) => shop.tell(&shop.topics.profile(), customer, it),
            Fact::Feedback(it) => shop.tell(&shop.topics.feedback(), customer, it),
            Fact::Unreadable(_) => shop.feed.send(&shop.topics.action(), customer, UNREADABLE),
            Fact::Release(it) => drop(shop.tool(["dlq", "release", "--customer", customer, "--note", &it.note])),
            other => panic!("no source tells of {other:?}"),
        }
        if self.is_down { self.shop.feed.flush() } else { self.shop.settle() }
    }

    /// Looks at what was decided, at what providers have, and at every row.
    #[track_caller]
    fn compare(&mut self) {
        self.look();
        let journal: Vec<Journal> = self.all(&self.shop.topics.journal());
        let revokes: Vec<Revoke> = self.all(&self.shop.topics.revoke());
        let sends = self.shop.sends();
        let differences = self.lives.iter().filter_map(|life| {
            let difference = life.timeline.difference_to(&life.decided(&journal, &sends, &revokes))?;
            Some(format!("{}:\n{difference}", life.name))
        });
        let differences: Vec<String> = differences.collect();
        assert!(differences.is_empty(), "what was decided is not what is expected\n{}", differences.join("\n"));
        if self.shop.services.keys().any(|name| name.starts_with("channel ")) {
            let commands = sorted(sends.into_iter().map(|send| send.send_id).collect());
            let handed = sorted(self.shop.providers.handed().into_iter().map(|handed| handed.send_id).collect());
            assert_eq!(handed, commands, "messages at providers (left) and commands (right)");
        }
        self.shop.assert_equal_to_a_fold();
    }

    fn all<T: schemas::Record>(&self, topic: &str) -> Vec<T> {
        self.shop.read(topic).iter().map(Message::decode).collect()
    }
}
