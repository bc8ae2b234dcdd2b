//! What one decision costs, without Kafka, RocksDB or another process: time, allocations, instructions and bytes of a row.
//!
//! *decide alone*: the row and the record are in memory, the vector of effects is used again, and the effects are dropped, as whoever
//! calls it does. *decisions/s* counts the journal's entries; where there is none, that there is nothing to do is one. *bytes to bytes*:
//! record and row are decoded, it is decided, row and effects are encoded. The ceiling decodes and encodes the same record and row
//! without deciding. Times are those of the quickest of many short batches, so that other work on the machine is not in them; they hold
//! the counting of allocations, some 3 ns for each. On demand instructions are counted, by callgrind (Debian package valgrind): that takes
//! minutes, but does not depend on what else the machine does.

mod calls;
mod life;
mod meter;

use std::fmt::Write;

use schemas::{Customer, encode};

use system_tests::cpu::load;

use life::Life;
use meter::Cost;

/// Measures, and gives back the tables.
pub fn measure(with_instructions: bool) -> String {
    let before = load();
    let mut table = format!(
        "{:<50}{:^68}{:>14}{:>10}{:>8}\n{:<50}{:>10}{:>12}{:>12}{:>10}{:>10}{:>14}{:>14}{:>10}{:>8}\n",
        "",
        "decide alone",
        "bytes to",
        "ceiling",
        "ratio",
        "",
        "ns",
        "per s",
        "decisions/s",
        "allocs",
        "bytes",
        "instructions",
        "bytes, ns",
        "ns",
        ""
    );
    for (number, call) in calls::all().iter().enumerate() {
        let name = call.name;
        let Cost { decisions, nanos, allocations, bytes } = meter::cost(call);
        let instructions = if with_instructions { meter::instructions(number) } else { None };
        let instructions = instructions.map_or_else(|| "-".to_owned(), |count| format!("{count:.0}"));
        let (whole, ceiling) = (meter::bytes_to_bytes(call), meter::ceiling(call));
        let _ = writeln!(
            table,
            "{name:<50}{nanos:>10.0}{:>12.0}{:>12.0}{allocations:>10.1}{bytes:>10.0}{instructions:>14}{whole:>14.0}{ceiling:>10.0}{:>8.2}",
            1e9 / nanos,
            decisions as f64 * 1e9 / nanos,
            ceiling / whole
        );
    }
    let _ = writeln!(table, "\n{:<50}{:>14}{:>14}", "bytes of a row, frame included", "alone", "with profile");
    for (what, row) in rows() {
        let _ = writeln!(table, "{what:<50}{:>14}{:>14}", encode(&without_profile(&row)).len(), encode(&row).len());
    }
    let _ = write!(table, "\nload of the machine {before}, then {}", load());
    table
}

/// Decides one kind of call often enough to be counted: what a process under callgrind does.
pub fn decide(number: &str) -> String {
    let calls = calls::all();
    let call = number.parse().ok().and_then(|number: usize| calls.get(number)).expect("there is such a call");
    meter::decide_counted(call);
    String::new()
}

/// Rows as they are between two decisions.
fn rows() -> Vec<(&'static str, Customer)> {
    let known = Life::begin(calls::few());
    let greeted = known.clone().registered();
    let left = known.clone().left_a_cart();
    let both = greeted.clone().handed_over().left_a_cart();
    let mut rows = vec![
        ("nothing runs", known.row),
        ("a message is out", greeted.clone().row),
        ("the same, handed over", greeted.clone().handed_over().row),
        ("a cart with three items settles", left.row),
        ("both", both.row),
    ];
    rows.push(("the message was followed by a purchase", greeted.handed_over().bought().row));
    rows
}

/// What is left if nobody ever told who the customer is.
fn without_profile(row: &Customer) -> Customer {
    let mut row = Customer {
        contacts: Vec::new(),
        consents: Vec::new(),
        time_zone: None,
        locale: None,
        attributes: Default::default(),
        profile_at: None,
        ..row.clone()
    };
    // The first event was the profile.
    row.recent.remove(0);
    row
}
