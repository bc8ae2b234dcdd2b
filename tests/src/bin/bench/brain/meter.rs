//! How costs are measured.

use std::alloc::System;
use std::hint::black_box;
use std::process::Command;

use campaign::{Effect, Input, Moment, decide};
use schemas::{Customer, encode, encode_into};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use stream::clock::Tick;

use super::calls::Call;
use super::life::CUSTOMER;

/// Counts for the whole program; the other measurements are of processes of their own.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// So short that most batches are not interrupted.
const BATCH: usize = 100;
const BATCHES: usize = 400;

/// Allocations and instructions are the same each time, but for a vector that grows.
const COUNTED: usize = 200;

/// What one call of `decide` costs.
pub struct Cost {
    /// What it decides: its journal entries, or that there is nothing to do.
    pub decisions: usize,
    pub nanos: f64,
    pub allocations: f64,
    pub bytes: f64,
}

/// Decides on rows that are decoded already.
pub fn cost(call: &Call) -> Cost {
    let mut effects = Vec::with_capacity(16);
    let nanos = quickest(|| {
        let mut rows = vec![call.life.row.clone(); BATCH];
        let begun = Tick::now();
        decide_each(call, &mut rows, &mut effects);
        begun.elapsed().as_nanos()
    });
    decide_one(call, call.record.as_ref(), &mut call.life.row.clone(), &mut effects);
    let decisions = effects.iter().filter(|effect| matches!(effect, Effect::Journal(_))).count().max(1);
    effects.clear();
    let mut rows = vec![call.life.row.clone(); COUNTED];
    let region = Region::new(ALLOCATOR);
    decide_each(call, &mut rows, &mut effects);
    let change = region.change();
    let each = |count: usize| count as f64 / COUNTED as f64;
    let allocations = each(change.allocations + change.reallocations);
    Cost { decisions, nanos, allocations, bytes: each(change.bytes_allocated) }
}

/// Nanoseconds from the bytes of record and row to those of row and effects.
pub fn bytes_to_bytes(call: &Call) -> f64 {
    let (record, row) = (call.record.as_ref().map(encode), encode(&call.life.row));
    let (mut effects, mut bytes) = (Vec::with_capacity(16), Vec::with_capacity(4_096));
    quickest(|| {
        let begun = Tick::now();
        for _ in 0..BATCH {
            let record: Option<schemas::Input> =
                record.as_ref().map(|record| schemas::decode(black_box(record)).expect("it was encoded"));
            let mut row: Customer = schemas::decode(black_box(&row)).expect("it was encoded");
            decide_one(call, record.as_ref(), &mut row, &mut effects);
            bytes.clear();
            for effect in &effects {
                match effect {
                    Effect::Send(send) => encode_into(&**send, &mut bytes),
                    Effect::Revoke(revoke) => encode_into(revoke, &mut bytes),
                    Effect::Journal(journal) => encode_into(&**journal, &mut bytes),
                    Effect::Forward { input, .. } => encode_into(&**input, &mut bytes),
                    Effect::Suppress { .. } | Effect::SetAside { .. } => {}
                }
            }
            effects.clear();
            encode_into(&row, &mut bytes);
            black_box(&bytes);
        }
        begun.elapsed().as_nanos()
    })
}

/// Nanoseconds for the same record and row if nothing is decided.
pub fn ceiling(call: &Call) -> f64 {
    let (record, row) = (call.record.as_ref().map(encode), encode(&call.life.row));
    let mut bytes = Vec::with_capacity(4_096);
    quickest(|| {
        let begun = Tick::now();
        for _ in 0..BATCH {
            let record: Option<schemas::Input> =
                record.as_ref().map(|record| schemas::decode(black_box(record)).expect("it was encoded"));
            black_box(record);
            let row: Customer = schemas::decode(black_box(&row)).expect("it was encoded");
            bytes.clear();
            encode_into(&row, &mut bytes);
            black_box(&bytes);
        }
        begun.elapsed().as_nanos()
    })
}

/// Nanoseconds of one of a batch.
fn quickest(mut batch: impl FnMut() -> u128) -> f64 {
    let nanos = (0..BATCHES).map(|_| batch()).min().unwrap_or(0);
    nanos as f64 / BATCH as f64
}

/// Instructions of one decision; none where valgrind is not installed.
pub fn instructions(number: usize) -> Option<f64> {
    let program = std::env::current_exe().ok()?;
    let counted = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*decide_each*"])
        .arg(program)
        .args(["brain", "decide", &number.to_string()])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&counted.stderr).into_owned();
    let count: f64 = said.split("Collected :").nth(1)?.split_whitespace().next()?.parse().ok()?;
    Some(count / COUNTED as f64)
}

/// What happens under callgrind.
pub fn decide_counted(call: &Call) {
    // Tables that are made at their first use are nobody's cost.
    let mut effects = Vec::with_capacity(16);
    decide_one(call, call.record.as_ref(), &mut call.life.row.clone(), &mut effects);
    let mut rows = vec![call.life.row.clone(); COUNTED];
    decide_each(call, &mut rows, &mut effects);
}

/// Callgrind knows it by its name.
#[inline(never)]
fn decide_each(call: &Call, rows: &mut [Customer], effects: &mut Vec<Effect>) {
    for row in rows {
        decide_one(call, call.record.as_ref(), row, effects);
        effects.clear();
    }
}

fn decide_one(call: &Call, record: Option<&schemas::Input>, row: &mut Customer, effects: &mut Vec<Effect>) {
    let now = call.life.now;
    let (input, moment) = match record {
        Some(record) => (
            Input::Fact { fact: &record.fact, appended_at: record.origin.appended_at, hops: record.hops },
            Moment { now, partition: 3, offset: Some(1_234_567), due: None },
        ),
        None => (Input::Deadline, Moment { now, partition: 3, offset: None, due: Some(now) }),
    };
    decide(&call.life.plans, CUSTOMER, black_box(row), input, &moment, effects);
}
