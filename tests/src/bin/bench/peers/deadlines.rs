//! Everybody's deadline comes in one moment.

use std::time::Duration;

use stream::clock::{Millis, machine_now};
use system_tests::peers::judge::{Tally, fold, found};
use system_tests::peers::load::carts;
use system_tests::peers::meter::Sample;

use super::ground::Ground;
use super::run::Run;
use super::streams::Streams;
use super::{Question, order, streams_order, tail};

/// Figures of a contender.
pub struct Fired {
    pub name: String,
    /// Seconds, of the wall and of the processor, from the last look before the first one fired until all had.
    pub wall_seconds: f64,
    pub cpu_seconds: f64,
    /// Of the processor, for the orderly end, in which rows that changed last go to the store.
    pub closing_seconds: f64,
    /// Whether all were armed by then; if not, the figures mean nothing.
    pub was_ready: bool,
    pub is_right: bool,
}

/// Measures all that take part.
pub fn measure(question: &Question, streams: Option<&Streams>) -> Vec<Fired> {
    let customers = question.customers;
    let ground = Ground::new("bench-peers-deadlines", carts(customers));
    let mut fired = Vec::new();
    if question.wants("ours") {
        let arm_at = soon(question);
        let order = order(&ground, question, 1, Some(arm_at));
        let run = Run::of("cascade engine", ground.start_self("ours", &order), 0.0);
        let is_done = |sample: &Sample| sample.fired >= customers && sample.settled;
        fired.push(watch(&ground, run, (customers, arm_at), &order.outputs, is_done, Duration::ZERO));
    }
    if let Some(streams) = streams {
        let (arm_at, outputs, state_dir) = (soon(question), ground.outputs("streams"), ground.state_dir("streams"));
        let process = streams.start(&ground, &streams_order(question, &outputs, &state_dir, Some(arm_at)));
        let run = Run::of(&format!("Kafka Streams, commit {} ms", question.commit), process, 0.0);
        let is_done = |sample: &Sample| sample.fired >= customers;
        fired.push(watch(&ground, run, (customers, arm_at), &outputs, is_done, tail(question)));
    }
    fired
}

/// When everything is armed.
fn soon(question: &Question) -> Millis {
    machine_now() + Millis::try_from(question.arm_in * 1_000).unwrap_or(0)
}

fn watch(
    ground: &Ground,
    mut run: Run,
    (customers, arm_at): (u64, Millis),
    outputs: &[String],
    is_done: impl Fn(&Sample) -> bool,
    tail: Duration,
) -> Fired {
    let mut samples = run.until(is_done);
    let before = samples.iter().rposition(|sample| sample.fired == 0).unwrap_or(0);
    let before = samples[before];
    let done = samples.last().copied().unwrap_or_default();
    if !tail.is_zero() {
        let end = done.wall_seconds + tail.as_secs_f64();
        samples.extend(run.until(|sample| sample.wall_seconds >= end).pop());
    }
    let paid = samples.last().copied().unwrap_or_default();
    let name = run.name().to_owned();
    let closing_seconds = run.end().cpu_seconds - paid.cpu_seconds;
    let right: [Tally; 4] = fold(carts(customers), arm_at, Some(arm_at)).outputs;
    Fired {
        name,
        wall_seconds: done.wall_seconds - before.wall_seconds,
        cpu_seconds: paid.cpu_seconds - before.cpu_seconds,
        closing_seconds,
        was_ready: before.events >= customers,
        is_right: found(ground.place.brokers(), outputs) == right,
    }
}
