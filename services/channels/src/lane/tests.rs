use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn id(name: &str) -> Id {
    Id::of_instance(name, "", "", "")
}

fn send(customer: &str, send_before: Millis) -> Send {
    Send { customer_id: customer.to_owned(), send_before, ..Send::default() }
}

/// A lane at offset 10 whose predecessor began `attempt` at 100 and left it at 120.
fn lane(on_unknown: OnUnknown) -> Lane {
    Lane::new(10, 0, 100, on_unknown)
}

fn outcomes(lane: &mut Lane) -> Vec<(i64, Status)> {
    lane.lines().iter().map(|line| (line.offset, line.outcome.status)).collect()
}

fn accepted() -> Answer {
    Answer::taken(Some("p1".to_owned()))
}

impl Lane {
    /// Those whose turn it is, where no destination has a rate.
    fn all_ready(&self, tick: Tick, limit: usize) -> Vec<i64> {
        self.ready(tick, limit, |_| false)
    }
}

#[test]
fn a_command_goes_out_and_its_outcome_is_written_once() {
    let (mut lane, tick) = (lane(OnUnknown::Skip), Tick::now());
    assert!(lane.command(10, id("a"), send("c1", 50), 0, false));
    assert_eq!(lane.all_ready(tick, 9), [10]);
    lane.start(10);
    assert_eq!((lane.all_ready(tick, 9).len(), lane.out(), lane.has_news()), (0, 1, false));
    lane.answered(id("a"), &accepted(), 7, tick);
    let lines = lane.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        lines[0].outcome,
        Outcome { provider_id: Some("p1".to_owned()), ..Outcome::of(Status::Accepted, None, 7) }
    );
    assert!(lane.lines().is_empty());
    assert_eq!(lane.position().0, 11);
}

#[test]
fn positions_stay_below_the_lowest_command_that_is_not_finished() {
    let (mut lane, tick) = (lane(OnUnknown::Skip), Tick::now());
    for (offset, name) in [(10, "a"), (11, "b"), (14, "c")] {
        lane.command(offset, id(name), send(name, 50), 0, false);
        lane.start(offset);
    }
    lane.commands_read(16);
    lane.answered(id("c"), &accepted(), 0, tick);
    lane.answered(id("b"), &accepted(), 0, tick);
    assert_eq!(outcomes(&mut lane), [(11, Status::Accepted), (14, Status::Accepted)]);
    assert_eq!(lane.position().0, 10);
    lane.answered(id("a"), &accepted(), 0, tick);
    assert_eq!(outcomes(&mut lane), [(10, Status::Accepted)]);
    assert_eq!(lane.position().0, 16, "markers behind the last command count as read");
}

#[test]
fn what_was_withdrawn_or_is_too_late_is_settled_without_its_turn() {
    let mut lane = lane(OnUnknown::Skip);
    lane.withdraw(3, id("a"));
    lane.command(10, id("a"), send("c1", 50), 0, false);
    lane.command(11, id("b"), send("c2", 50), 0, false);
    lane.command(12, id("c"), send("c3", 60), 0, false);
    lane.judge(50);
    assert_eq!(outcomes(&mut lane), [(10, Status::Revoked)], "send_before itself is still in time");
    lane.judge(51);
    assert_eq!(outcomes(&mut lane), [(11, Status::Expired)]);
    lane.withdraw(4, id("c"));
    lane.judge(51);
    assert_eq!(outcomes(&mut lane), [(12, Status::Revoked)]);
    assert_eq!((lane.position().0, lane.revoke_next()), (13, 5));
}

#[test]
fn a_withdrawal_does_not_touch_what_is_out() {
    let (mut lane, tick) = (lane(OnUnknown::Skip), Tick::now());
    lane.command(10, id("a"), send("c1", 50), 0, false);
    lane.start(10);
    lane.withdraw(0, id("a"));
    lane.judge(99);
    assert!(!lane.has_news());
    lane.answered(id("a"), &accepted(), 99, tick);
    assert_eq!(outcomes(&mut lane), [(10, Status::Accepted)]);
}

#[test]
fn nobody_overtakes_an_earlier_message_to_the_same_customer() {
    let (mut lane, tick) = (lane(OnUnknown::Skip), Tick::now());
    lane.command(10, id("a"), send("c1", 50), 0, false);
    lane.command(11, id("b"), send("c1", 50), 0, false);
    lane.command(12, id("c"), send("c2", 50), 0, false);
    assert_eq!(lane.all_ready(tick, 9), [10, 12]);
    lane.start(10);
    assert_eq!(lane.all_ready(tick, 9), [12]);
    lane.answered(id("a"), &accepted(), 0, tick);
    outcomes(&mut lane);
    assert_eq!(lane.all_ready(tick, 9), [11, 12]);
}

#[test]
fn an_outage_refuses_nothing_and_the_command_expires_in_the_end() {
    let (mut lane, tick) = (lane(OnUnknown::Skip), Tick::now());
    lane.command(10, id("a"), send("c1", 50), 0, false);
    lane.start(10);
    lane.answered(
        id("a"),
        &Answer::NotTaken { code: "http_503".to_owned(), retry_after: Some(Duration::from_secs(9)) },
        0,
        tick,
    );
    assert_eq!(lane.idle_intents(), [id("a")], "a successor must not take it for unknown");
    assert!(lane.all_ready(tick.after(Duration::from_millis(8_999)), 9).is_empty());
    assert_eq!(lane.all_ready(tick.after(Duration::from_secs(9)), 9), [10]);
    lane.judge(51);
    assert_eq!(outcomes(&mut lane), [(10, Status::Expired)]);
}

#[test]
fn pauses_between_attempts_grow() {
    let (mut lane, mut tick) = (lane(OnUnknown::Skip), Tick::now());
    lane.command(10, id("a"), send("c1", Millis::MAX), 0, false);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        lane.start(10);
        lane.answered(id("a"), &Answer::NotTaken { code: "connection".to_owned(), retry_after: None }, 0, tick);
        let pause = (0..100_000)
            .map(Duration::from_millis)
            .find(|pause| !lane.all_ready(tick.after(*pause), 1).is_empty())
            .unwrap();
        tick = tick.after(pause);
        pauses.push(pause);
    }
    assert!(pauses[0] >= Duration::from_millis(200) && pauses[0] < Duration::from_secs(1), "{pauses:?}");
    assert!(pauses[11] >= Duration::from_secs(30), "{pauses:?}");
}

#[test]
fn a_successor_skips_what_may_have_been_handed_over() {
    let mut lane = lane(OnUnknown::Skip);
    lane.intended(id("a"), 10);
    lane.intended(id("b"), 11);
    lane.was_settled(id("b"), 11);
    lane.intended(id("c"), 12);
    lane.intent_was_idle(id("c"));
    lane.attempts_end(120);
    lane.command(10, id("a"), send("c1", 50), 5, false);
    assert!(!lane.command(11, id("b"), send("c2", 50), 5, false), "it is finished");
    lane.command(12, id("c"), send("c3", 50), 5, false);
    assert_eq!(lane.all_ready(Tick::now(), 9), [12]);
    let lines = lane.lines();
    assert_eq!((lines[0].offset, &lines[0].outcome), (10, &Outcome::of(Status::Unknown, Some("interrupted"), 5)));
}

#[test]
fn a_successor_sends_again_where_policy_says_so_and_never_calls_it_revoked() {
    let mut lane = lane(OnUnknown::Resend);
    lane.intended(id("a"), 10);
    lane.intended(id("b"), 11);
    lane.attempts_end(120);
    lane.command(10, id("a"), send("c1", 50), 5, false);
    lane.command(11, id("b"), send("c2", 50), 5, false);
    assert_eq!(lane.all_ready(Tick::now(), 9), [10, 11]);
    lane.withdraw(0, id("a"));
    lane.judge(51);
    assert_eq!(
        outcomes(&mut lane),
        [(10, Status::Unknown), (11, Status::Unknown)],
        "it may have been handed over before"
    );
}

#[test]
fn after_a_failure_of_kafka_our_own_call_is_still_ours() {
    let (mut lane, tick) = (lane(OnUnknown::Skip), Tick::now());
    lane.intended(id("a"), 10);
    lane.attempts_end(120);
    lane.command(10, id("a"), send("c1", 50), 5, true);
    assert_eq!((lane.out(), lane.has_news()), (1, false));
    lane.answered(id("a"), &accepted(), 6, tick);
    assert_eq!(outcomes(&mut lane), [(10, Status::Accepted)]);
}

#[test]
fn after_a_failure_of_kafka_what_was_not_taken_is_not_in_doubt() {
    for policy in [OnUnknown::Skip, OnUnknown::Resend] {
        let (mut lane, tick) = (lane(policy), Tick::now());
        lane.intended(id("a"), 10);
        lane.command(10, id("a"), send("c1", 50), 5, true);
        lane.answered(id("a"), &Answer::NotTaken { code: "x".to_owned(), retry_after: None }, 6, tick);
        let is_free = policy == OnUnknown::Skip;
        assert_eq!(
            lane.idle_intents().len(),
            usize::from(is_free),
            "an earlier attempt may be in doubt where they are repeated"
        );
        lane.withdraw(0, id("a"));
        lane.judge(7);
        assert_eq!(outcomes(&mut lane), [(10, if is_free { Status::Revoked } else { Status::Unknown })]);
    }
}

#[test]
fn a_refusal_says_nothing_of_what_may_have_been_taken_before() {
    let (mut lane, tick) = (lane(OnUnknown::Resend), Tick::now());
    lane.command(10, id("a"), send("c1", 50), 0, false);
    for answer in [Answer::Unknown { code: "timeout".to_owned() }, Answer::Refused { code: "again".to_owned() }] {
        lane.start(10);
        lane.answered(id("a"), &answer, 0, tick);
    }
    assert_eq!(outcomes(&mut lane), [(10, Status::Unknown)]);
}

#[test]
fn one_command_that_waits_holds_up_no_other() {
    let (mut lane, tick) = (lane(OnUnknown::Skip), Tick::now());
    lane.command(10, id("waits"), send("c", Millis::MAX), 0, false);
    lane.start(10);
    let later = Answer::NotTaken { code: "later".to_owned(), retry_after: Some(Duration::from_secs(3_600)) };
    lane.answered(id("waits"), &later, 0, tick);
    lane.attempts_end(200);
    for offset in 11..11 + FINISHED as i64 {
        assert!(!lane.is_full(), "{offset}");
        let name = offset.to_string();
        lane.command(offset, id(&name), send(&name, Millis::MAX), 0, false);
        assert_eq!(lane.all_ready(tick, 9), [offset]);
        lane.start(offset);
        lane.answered(id(&name), &accepted(), 0, tick);
        assert_eq!(outcomes(&mut lane), [(offset, Status::Accepted)]);
        lane.attempts_end(200 + 2 * offset);
        assert_eq!(lane.position(), (10, 100));
    }
    assert!(lane.is_full(), "a successor has to know all of them");
    assert!(
        !lane.command(11 + FINISHED as i64, id("11"), send("11", Millis::MAX), 0, false),
        "it still knows the first"
    );
    lane.withdraw(0, id("waits"));
    lane.judge(0);
    assert_eq!(outcomes(&mut lane).len(), 1);
    let (next, from) = lane.position();
    assert_eq!(next, 12 + FINISHED as i64);
    assert!(lane.has_room() && from > 100, "{from}");
}

#[test]
fn a_broken_connection_follows_the_policy() {
    let broken = Answer::Unknown { code: "timeout".to_owned() };
    for (policy, expected) in [(OnUnknown::Skip, vec![(10, Status::Unknown)]), (OnUnknown::Resend, vec![])] {
        let (mut lane, tick) = (lane(policy), Tick::now());
        lane.command(10, id("a"), send("c1", 50), 0, false);
        lane.start(10);
        lane.answered(id("a"), &broken, 0, tick);
        assert_eq!(outcomes(&mut lane), expected);
        assert_eq!(lane.idle_intents(), [], "an intent in doubt is not taken back");
        let again = lane.all_ready(tick.after(Duration::from_secs(60)), 9);
        assert_eq!(again.len(), usize::from(policy == OnUnknown::Resend));
    }
}

#[test]
fn what_is_in_doubt_is_called_three_times_and_then_told() {
    let broken = Answer::Unknown { code: "timeout".to_owned() };
    for (left_in_doubt, calls) in [(false, 3), (true, 2)] {
        let (mut lane, tick) = (lane(OnUnknown::Resend), Tick::now());
        if left_in_doubt {
            lane.intended(id("a"), 10);
        }
        lane.command(10, id("a"), send("c1", 50), 0, false);
        let told = (1..=9).find(|_| {
            lane.start(10);
            lane.answered(id("a"), &broken, 0, tick);
            outcomes(&mut lane) == [(10, Status::Unknown)]
        });
        assert_eq!(told, Some(calls), "left in doubt by a predecessor: {left_in_doubt}");
    }
}

#[test]
fn a_look_that_had_become_too_old_costs_nothing_but_another_turn() {
    let (mut lane, tick) = (lane(OnUnknown::Skip), Tick::now());
    lane.command(10, id("a"), send("c1", 50), 0, false);
    lane.start(10);
    lane.answered(id("a"), &Answer::Stale, 0, tick);
    assert_eq!(lane.all_ready(tick, 9), [10]);
    assert!(lane.entry(10).unwrap().permitted);
    assert_eq!(lane.idle_intents(), [id("a")]);
}

#[test]
fn repeats_are_not_handed_over_again() {
    let (mut lane, tick) = (lane(OnUnknown::Skip), Tick::now());
    lane.command(10, id("a"), send("c1", 50), 0, false);
    assert!(!lane.command(11, id("a"), send("c1", 50), 0, false), "the first one still waits");
    lane.start(10);
    lane.answered(id("a"), &accepted(), 0, tick);
    assert_eq!(outcomes(&mut lane).len(), 1);
    assert!(!lane.command(12, id("a"), send("c1", 50), 0, false), "the first one is finished");
    assert_eq!((lane.all_ready(tick, 9).len(), lane.position().0), (0, 13));
}

#[test]
fn a_record_read_twice_counts_once() {
    let mut lane = lane(OnUnknown::Skip);
    lane.command(10, id("a"), send("c1", 50), 0, false);
    lane.command(9, id("z"), send("c2", 50), 0, false);
    lane.command(10, id("a"), send("c1", 50), 0, false);
    assert_eq!(lane.all_ready(Tick::now(), 9), [10]);
}

#[test]
fn the_bookmark_stays_before_everything_that_a_successor_must_know() {
    let (mut lane, tick) = (lane(OnUnknown::Skip), Tick::now());
    lane.was_settled(id("b"), 11);
    lane.attempts_end(120);
    lane.command(10, id("a"), send("c1", 50), 0, false);
    assert_eq!(lane.position(), (10, 100), "command 11 is settled, and this was not read again yet");
    lane.command(11, id("b"), send("c2", 50), 0, false);
    assert_eq!(lane.position(), (10, 100), "command 10 holds 11 back");
    lane.start(10);
    lane.attempts_end(130);
    lane.answered(id("a"), &accepted(), 0, tick);
    outcomes(&mut lane);
    assert_eq!(lane.position(), (12, 130));
    lane.command(12, id("c"), send("c1", 50), 0, false);
    lane.start(12);
    lane.attempts_end(140);
    assert_eq!(lane.position(), (12, 130), "its intent lies behind 130");
}

/// One thing that can happen to a lane.
#[derive(Clone, Debug)]
enum Happens {
    Command,
    Withdrawal(usize),
    Turn,
    Answer(usize, u8),
    Time(Millis),
    Write,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => Just(Happens::Command),
        1 => (0_usize..20).prop_map(Happens::Withdrawal),
        3 => Just(Happens::Turn),
        3 => (0_usize..20, 0_u8..6).prop_map(|(which, answer)| Happens::Answer(which, answer)),
        1 => (1_i64..20).prop_map(Happens::Time),
        2 => Just(Happens::Write),
    ]
}

proptest! {
    /// Whatever happens: each command has at most one outcome, nothing withdrawn or expired starts, and the committed
    /// position never passes a command without an outcome.
    #[test]
    fn a_lane_never_loses_and_never_doubles(story in proptest::collection::vec(happens(), 1..200), resend: bool) {
        let policy = if resend { OnUnknown::Resend } else { OnUnknown::Skip };
        let (mut lane, mut tick, mut now, mut next) = (lane(policy), Tick::now(), 0, 10_i64);
        let (mut withdrawn, mut settled) = (HashSet::new(), HashMap::new());
        let name = |offset: i64| id(&format!("send-{offset}"));
        for step in story {
            tick = tick.after(Duration::from_secs(40));
            match step {
                Happens::Command => {
                    lane.command(next, name(next), send(&format!("c{}", next % 3), now + 15), now, false);
                    next += 1;
                }
                Happens::Withdrawal(which) => {
                    let offset = 10 + which as i64;
                    lane.withdraw(which as i64, name(offset));
                    withdrawn.insert(offset);
                }
                Happens::Turn => {
                    lane.judge(now);
                    for offset in lane.all_ready(tick, 2) {
                        prop_assert!(!withdrawn.contains(&offset), "{offset} was withdrawn");
                        prop_assert!(!settled.contains_key(&offset), "{offset} was settled");
                        prop_assert!(lane.command_at(offset).unwrap().1.send_before >= now);
                        lane.start(offset);
                    }
                }
                Happens::Answer(which, kind) => {
                    let answer = match kind {
                        0 => accepted(),
                        1 => Answer::Refused { code: "no".to_owned() },
                        2 => Answer::NotTaken { code: "later".to_owned(), retry_after: None },
                        3 => Answer::NobodyThere { code: "gone".to_owned() },
                        4 => Answer::Unknown { code: "timeout".to_owned() },
                        _ => Answer::Stale,
                    };
                    lane.answered(name(10 + which as i64), &answer, now, tick);
                }
                Happens::Time(passes) => now += passes,
                Happens::Write => {
                    for line in lane.lines() {
                        prop_assert!(settled.insert(line.offset, line.outcome.status).is_none(), "{} twice", line.offset);
                    }
                    let (position, _) = lane.position();
                    prop_assert!((10..position).all(|offset| settled.contains_key(&offset)), "{position} passes a command");
                }
            }
        }
    }
}

/// Paid commands of 60 each, at offsets from 10 on, behind a fence of 100 an hour.
fn fenced(count: i64) -> Lane {
    let mut lane = lane(OnUnknown::Skip).behind(Fence::new(100, 1));
    for offset in 10..10 + count {
        let name = offset.to_string();
        lane.command(offset, id(&name), Send { price_minor: 60, ..send(&name, 9_000_000) }, 0, false);
    }
    lane
}

#[test]
fn the_fence_holds_what_is_too_dear_until_the_next_hour() {
    let (mut lane, tick) = (fenced(2), Tick::now());
    assert!(lane.charge(10, 0) && lane.charge(10, 0), "a call counts once");
    assert!(!lane.passes_fence(11, 0) && !lane.charge(11, 0));
    assert_eq!((lane.all_ready(tick, 9), lane.fence().noted()), (vec![10, 11], "0:60".to_owned()), "it is not dropped");
    assert!(lane.fence().holds(0));
    assert!(lane.passes_fence(11, 3_600_000) && lane.charge(11, 3_600_000));
}

#[test]
fn what_was_certainly_not_taken_costs_nothing() {
    let (mut lane, tick) = (fenced(5), Tick::now());
    let code = || "x".to_owned();
    let mut spent = Vec::new();
    for (offset, answer) in [
        (10, Answer::Refused { code: code() }),
        (11, Answer::NobodyThere { code: code() }),
        (12, Answer::TooLate),
        (13, Answer::NotTaken { code: code(), retry_after: None }),
        (13, Answer::Elsewhere { code: code() }),
        (13, Answer::Stale),
    ] {
        assert!(lane.charge(offset, 0), "{offset}");
        lane.start(offset);
        lane.answered(id(&offset.to_string()), &answer, 0, tick);
        spent.push(lane.fence().noted());
    }
    assert!(lane.charge(13, 0));
    lane.stays(13);
    spent.push(lane.fence().noted());
    assert!(lane.charge(13, 0));
    lane.withdraw(0, id("13"));
    lane.judge(0);
    spent.push(lane.fence().noted());
    assert_eq!(spent, ["0:0"; 8]);
    assert!(lane.charge(14, 0));
    lane.start(14);
    lane.answered(id("14"), &Answer::Unknown { code: code() }, 0, tick);
    assert_eq!(lane.fence().noted(), "0:60", "it may have been taken");
}

#[test]
fn a_repeat_of_what_may_have_been_taken_counts_again() {
    let (mut lane, tick) = (lane(OnUnknown::Resend).behind(Fence::new(150, 1)), Tick::now());
    lane.command(10, id("a"), Send { price_minor: 60, ..send("a", 9_000_000) }, 0, false);
    let mut spent = Vec::new();
    for answer in [Answer::Unknown { code: "x".to_owned() }, Answer::Refused { code: "x".to_owned() }] {
        assert!(lane.charge(10, 0));
        lane.start(10);
        spent.push(lane.fence().noted());
        lane.answered(id("a"), &answer, 0, tick);
        spent.push(lane.fence().noted());
    }
    assert_eq!(spent, ["0:60", "0:60", "0:120", "0:60"], "the second is refused, the first may have been taken");
}

proptest! {
    /// Whatever happens, what is counted is what is under way, what was taken, and what may have been: no more and no less.
    #[test]
    fn the_fence_counts_what_may_cost_and_nothing_else(
        story in proptest::collection::vec((0_i64..6, 0_u8..11), 1..120), resend: bool
    ) {
        let policy = if resend { OnUnknown::Resend } else { OnUnknown::Skip };
        let (mut lane, mut tick) = (lane(policy).behind(Fence::new(500, 1)), Tick::now());
        for offset in 10..16 {
            let name = offset.to_string();
            lane.command(offset, id(&name), Send { price_minor: 60, ..send(&name, 9_000_000) }, 0, false);
        }
        let (mut cost, mut out) = (0, HashSet::new());
        for (which, kind) in story {
            tick = tick.after(Duration::from_secs(40));
            let (offset, code) = (10 + which, "x".to_owned());
            let answer = match kind {
                0 => accepted(),
                1 => Answer::Unknown { code },
                2 => Answer::Refused { code },
                3 => Answer::NobodyThere { code },
                4 => Answer::NotTaken { code, retry_after: None },
                5 => Answer::Elsewhere { code },
                6 => Answer::Stale,
                7 => {
                    lane.withdraw(which, id(&offset.to_string()));
                    lane.judge(0);
                    continue;
                }
                _ => {
                    if lane.is_waiting(offset) && lane.charge(offset, 0) {
                        match kind {
                            8 => lane.stays(offset),
                            _ => {
                                lane.start(offset);
                                out.insert(offset);
                            }
                        }
                    }
                    continue;
                }
            };
            lane.answered(id(&offset.to_string()), &answer, 0, tick);
            if out.remove(&offset) && kind < 2 {
                cost += 60;
            }
            prop_assert_eq!(lane.fence().noted(), format!("0:{}", cost + 60 * out.len()));
        }
    }
}

#[test]
fn who_rests_takes_no_room_from_others_and_gets_a_look_in_its_turn() {
    let (mut lane, tick) = (lane(OnUnknown::Skip), Tick::now());
    for offset in 10..18 {
        let name = offset.to_string();
        lane.command(offset, id(&name), send(&name, 50), 0, false);
    }
    let pause = Duration::from_millis(20);
    // The first has rested for less time than the others, and they for as long as possible.
    for (offset, rested) in [(10, 3), (11, 1), (12, 1), (13, 1)] {
        lane.entry(offset).unwrap().rest((pause, pause), tick.after(pause * rested));
    }
    assert_eq!(lane.all_ready(tick, 2), [14, 15]);
    assert_eq!(lane.all_ready(tick.after(pause * 9), 2), [11, 12, 14, 15], "the longest due first");
    assert_eq!(lane.all_ready(tick.after(pause * 9), 9), (10..18).collect::<Vec<_>>());
    lane.start(14);
    lane.start(15);
    assert_eq!(lane.all_ready(tick, 2), [16, 17]);
}

#[test]
fn rests_grow_until_the_turn_was_not_in_vain() {
    let (mut lane, mut tick) = (lane(OnUnknown::Skip), Tick::now());
    lane.command(10, id("a"), send("a", Millis::MAX), 0, false);
    let times = (Duration::from_millis(20), Duration::from_millis(500));
    let mut rests = Vec::new();
    for turn in 0..9 {
        if turn == 7 {
            lane.start(10);
            lane.answered(id("a"), &Answer::Stale, 0, tick);
        }
        lane.entry(10).unwrap().rest(times, tick);
        let is_due = |rest: &u64| !lane.all_ready(tick.after(Duration::from_millis(*rest)), 1).is_empty();
        let rest = (0..600).find(is_due).unwrap();
        tick = tick.after(Duration::from_millis(rest));
        rests.push(rest);
    }
    assert_eq!(rests, [20, 40, 80, 160, 320, 500, 500, 20, 40]);
}

#[test]
fn another_route_has_a_turn_of_its_own_at_once() {
    let (mut lane, tick) = (lane(OnUnknown::Skip), Tick::now());
    lane.command(10, id("a"), send("c1", 50), 0, false);
    lane.start(10);
    lane.answered(id("a"), &Answer::Elsewhere { code: "x".to_owned() }, 0, tick);
    assert_eq!(lane.all_ready(tick, 9), [10]);
    assert_eq!(lane.idle_intents(), [id("a")], "the first route's intent is void");
}
