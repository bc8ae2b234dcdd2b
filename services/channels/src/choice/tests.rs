use schemas::Send;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::config::OnUnknown;
use crate::fence::Fence;
use crate::metrics::Metrics;
use crate::render::content::{Config, Content};
use crate::transport::Answer;

/// A channel whose template `recs` asks for a block that cannot be had, and `plain` for none.
struct Channel {
    renderer: Renderer,
    breaker: Breaker,
    limit: Limit,
    metrics: ChannelMetrics,
    lanes: BTreeMap<i32, Lane>,
    turns: Turns,
    calls_max: usize,
    _runtime: Runtime,
}

impl Channel {
    fn new(lane: Lane, burst: u32) -> Self {
        let directory = tempfile::TempDir::new().unwrap();
        for (name, text) in
            [("recs.sms.txt", "{{ blocks.recs }}"), ("plain.sms.txt", "Hello"), ("bad.sms.txt", "{{ x }}")]
        {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Nobody listens there.
        let blocks = serde_json::json!({"recs": {"url": "http://127.0.0.1:9/", "allow_private_hosts": true}});
        let config = serde_json::from_value::<Config>(serde_json::json!({"blocks": blocks})).unwrap();
        let content = Content::open(&config, runtime.handle()).unwrap();
        let mut limit = Limit::new(1, burst);
        limit.divide(1, 1);
        Channel {
            renderer: Renderer::new(directory.path(), "sms", None).unwrap().with(content),
            breaker: Breaker::default(),
            limit,
            metrics: Metrics::new(&prometheus::Registry::new()).unwrap().of("sms"),
            lanes: BTreeMap::from([(0, lane)]),
            turns: Turns::default(),
            calls_max: 2,
            _runtime: runtime,
        }
    }

    fn command(&mut self, offset: i64, template: &str) {
        self.command_in(0, offset, template);
    }

    fn command_in(&mut self, partition: i32, offset: i64, template: &str) {
        self.command_to(partition, offset, template, "+7900");
    }

    fn command_to(&mut self, partition: i32, offset: i64, template: &str, address: &str) {
        let send = Send {
            customer_id: offset.to_string(),
            address: address.to_owned(),
            template: template.to_owned(),
            channel: "sms".to_owned(),
            price_minor: 60,
            send_before: 100,
            ..Send::default()
        };
        let lane = self.lanes.get_mut(&partition).unwrap();
        lane.command(offset, Id::of_instance(&offset.to_string(), "", "", ""), send, 0, false);
    }

    fn lane(&mut self) -> &mut Lane {
        self.lanes.get_mut(&0).unwrap()
    }

    /// Offsets of those whose turn comes, where two calls may be under way.
    fn chosen(&mut self, tick: Tick) -> Vec<i64> {
        let (limit, breaker, renderer, metrics) = (&self.limit, &self.breaker, &self.renderer, &self.metrics);
        let is_trial = breaker.is_open();
        let chooser = Chooser { limit, breaker, renderer, metrics, calls_max: self.calls_max, is_trial };
        chooser
            .choose(&mut self.lanes, &mut self.turns, 0, 0, tick)
            .into_iter()
            .map(|candidate| candidate.offset)
            .collect()
    }

    /// Rates of destinations beside the channel's.
    fn to(mut self, rates: &[(&str, u32)], burst: u32) -> Self {
        let rates = rates.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect();
        self.limit = Limit::new(1, burst).to(&rates);
        self.limit.divide(1, 1);
        self
    }

    fn spent(&mut self) -> String {
        self.lane().fence().noted()
    }
}

fn lane() -> Lane {
    Lane::new(0, 0, 0, OnUnknown::Skip)
}

#[test]
fn who_waits_for_a_block_holds_up_nobody_else() {
    let mut channel = Channel::new(lane(), 9);
    (0..9).for_each(|offset| channel.command(offset, "recs"));
    channel.command(9, "plain");
    let (mut chosen, mut tick) = (Vec::new(), Tick::now());
    // Whoever has rested for the first time is due again by the next turn.
    for _ in 0..20 {
        chosen.extend(channel.chosen(tick));
        chosen.iter().for_each(|offset| channel.lane().start(*offset));
        tick = tick.after(Duration::from_millis(25));
    }
    assert_eq!(chosen, [9]);
}

#[test]
fn what_does_not_go_out_has_spent_nothing() {
    let mut channel = Channel::new(lane().behind(Fence::new(100, 1)), 1);
    channel.command(0, "recs");
    channel.command(1, "bad");
    assert_eq!(
        (channel.chosen(Tick::now()), channel.spent()),
        (vec![], "0:0".to_owned()),
        "a block is missing, or a field"
    );
    channel.command(2, "plain");
    assert_eq!((channel.chosen(Tick::now()), channel.spent()), (vec![2], "0:60".to_owned()));
    channel.lane().stays(2);
    channel.command(3, "plain");
    channel.lane().withdraw(0, Id::of_instance("2", "", "", ""));
    channel.lane().judge(0);
    assert_eq!(
        (channel.chosen(Tick::now()), channel.spent()),
        (vec![], "0:0".to_owned()),
        "the rate limit lets nobody through"
    );
}

#[test]
fn a_full_lane_does_not_have_every_turn() {
    let mut channel = Channel::new(lane(), 10);
    channel.lanes.insert(1, lane());
    for (partition, offset) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        channel.command_in(partition, offset, "plain");
    }
    let Channel { limit, breaker, renderer, metrics, lanes, .. } = &mut channel;
    let chooser = Chooser { limit, breaker, renderer, metrics, calls_max: 1, is_trial: false };
    let (mut last, mut turns) = (Turns::default(), Vec::new());
    for _ in 0..3 {
        for candidate in chooser.choose(lanes, &mut last, 0, 0, Tick::now()) {
            lanes.get_mut(&candidate.partition).unwrap().start(candidate.offset);
            turns.push(candidate.partition);
        }
    }
    assert_eq!(turns, [0, 1, 0]);
}

#[test]
fn who_waits_for_its_destination_holds_up_nobody_else() {
    let mut channel = Channel::new(lane(), 9).to(&[("+79", 2)], 9);
    (0..9).for_each(|offset| channel.command(offset, "plain"));
    channel.command_to(0, 9, "plain", "+4930");
    let (mut chosen, mut tick) = (Vec::new(), Tick::now());
    for _ in 0..20 {
        let turn = channel.chosen(tick);
        turn.iter().for_each(|offset| channel.lane().start(*offset));
        chosen.extend(turn);
        tick = tick.after(Duration::from_millis(25));
    }
    assert_eq!(chosen, [0, 1, 9], "two a second there, and the other one beside them");
    assert!(channel.limit.permits(), "who rests has spent nothing of the channel's rate");
}

#[test]
fn who_waits_for_its_destination_is_overtaken_by_nobody_behind_it() {
    let mut channel = Channel::new(lane(), 99).to(&[("+79", 10), ("+4930", 1)], 99);
    let mut turns = Vec::new();
    let mut take = |channel: &mut Channel| {
        let turn = channel.chosen(Tick::now());
        turn.iter().for_each(|offset| channel.lane().start(*offset));
        turns.extend(turn);
        turns.len()
    };
    // All that there is at once is used up, and six wait.
    (0..16).for_each(|offset| channel.command(offset, "plain"));
    (0..20).for_each(|_| _ = take(&mut channel));
    channel.command_to(0, 16, "plain", "+4930");
    let mut next = 17;
    while take(&mut channel) < 17 {
        channel.command(next, "plain");
        next += 1;
        std::thread::park_timeout(Duration::from_millis(10));
    }
    turns.retain(|offset| *offset != 16);
    turns.truncate(16);
    assert_eq!(turns, (0..16).collect::<Vec<_>>());
}

#[test]
fn what_the_destination_has_permitted_waits_for_the_channel_alone() {
    let mut channel = Channel::new(lane(), 9).to(&[("+79", 1)], 1);
    channel.command_to(0, 0, "plain", "+4930");
    channel.command(1, "plain");
    assert_eq!(channel.chosen(Tick::now()), [0], "the channel has no more");
    let entry = channel.lane().entry(1).unwrap();
    assert_eq!((entry.destined, entry.permitted), (true, false));
    channel.lane().start(0);
    // Fresh permits of the channel, and none of the destination, which it has already.
    channel.limit = Limit::new(9, 9);
    channel.limit.divide(1, 1);
    assert_eq!(channel.chosen(Tick::now()), [1]);
    let (id, _) = channel.lane().command_at(1).unwrap();
    channel.lane().start(1);
    let later = crate::transport::Answer::NotTaken { code: "later".to_owned(), retry_after: None };
    channel.lane().answered(id, &later, 0, Tick::now());
    let entry = channel.lane().entry(1).unwrap();
    assert_eq!((entry.destined, entry.permitted), (false, false), "another call asks both again");
}

/// Of the last ones of a partition, how many were taken after so long, where `away` says to which addresses nothing goes.
fn taken_of_the_last(count: usize, away: impl Fn(&str) -> bool, within: Duration) -> usize {
    let mut channel = Channel { calls_max: 64, ..Channel::new(lane(), 1_000_000) };
    for offset in 0..3_000 {
        channel.command_to(0, offset, "plain", "+7911");
    }
    let last = 3_000..3_000 + i64::try_from(count).unwrap();
    last.clone().for_each(|offset| channel.command_to(0, offset, "plain", "+7922"));
    let (begun, step) = (Tick::now(), Duration::from_millis(50));
    let (mut tick, mut taken) = (begun, Vec::new());
    while tick < begun.after(within) && taken.len() < count {
        for offset in channel.chosen(tick) {
            let (id, send) = channel.lane().command_at(offset).map(|(id, send)| (id, send.clone())).unwrap();
            let answer = match away(&send.address) {
                true => Answer::NotTaken { code: "http_403".to_owned(), retry_after: None },
                false => Answer::taken(None),
            };
            let again = channel.lane().was_tried(offset);
            channel.breaker.learn_of(&answer, again, tick);
            channel.turns.groups.learn(&send, &answer, tick);
            channel.lane().start(offset);
            channel.lane().answered(id, &answer, 0, tick);
            if last.contains(&offset) && answer == Answer::taken(None) {
                taken.push(offset);
            }
        }
        channel.lane().lines();
        channel.lane().position();
        tick = tick.after(step);
    }
    taken.len()
}

/// A topic to which such commands went, and from which they came back later, would do no more.
#[test]
fn who_goes_elsewhere_goes_on_while_three_thousand_before_him_are_not_taken() {
    let count = 500;
    assert_eq!(taken_of_the_last(count, |address| address == "+7911", Duration::from_secs(60)), count);
    assert_eq!(taken_of_the_last(count, |_| true, Duration::from_secs(60)), 0);
}

#[test]
fn who_waits_for_a_text_that_is_not_here_holds_up_nobody_and_is_told_why_when_it_is_over() {
    let mut channel = Channel::new(lane(), 9);
    channel.command(0, "plain@00000000000000aa");
    let release = channel.renderer.release("plain").unwrap().to_owned();
    channel.command(1, &format!("plain@{release}"));
    channel.command(2, "plain");
    let (mut chosen, mut tick) = (Vec::new(), Tick::now());
    for _ in 0..20 {
        let now = channel.chosen(tick);
        now.iter().for_each(|offset| channel.lane().start(*offset));
        chosen.extend(now);
        tick = tick.after(Duration::from_secs(1));
    }
    assert_eq!(chosen, [1, 2]);
    channel.lane().judge(101);
    let lines = channel.lane().lines();
    let told: Vec<_> = lines.iter().map(|line| (line.outcome.status, line.outcome.code.as_deref())).collect();
    assert_eq!(told, [(Status::Expired, Some("other_text"))]);
}
