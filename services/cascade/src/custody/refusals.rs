//! What outlives an erasure: that the customer did not want to be written to, as keyed hashes in `suppression`.

use std::collections::BTreeSet;
use std::fmt::Write;

use campaign::Row;

use crate::config::Common;
use crate::failure::Failure;
use crate::reading;

/// Says what is kept beyond the erasure of this row, with proof where it `is_done`.
///
/// # Errors
/// Those of Kafka.
pub fn tell(
    common: &Common,
    customer_id: &str,
    row: Option<&Row>,
    is_done: bool,
    told: &mut String,
) -> Result<(), Failure> {
    let Some(Row::Customer(customer)) = row else { return Ok(()) };
    let refused = customer.consents.iter().filter(|consent| !consent.granted);
    let channels: Vec<&str> = refused.map(|consent| consent.channel.as_str()).collect();
    if channels.is_empty() {
        return Ok(());
    }
    let channels = channels.join(", ");
    let topic = common.topics.suppression();
    let Some(suppressor) = &common.suppressor else {
        let _ = writeln!(
            told,
            "nothing is kept of the refusal of {channels}: suppression.secret is not set, so an old profile that comes again is written to"
        );
        return Ok(());
    };
    if !is_done {
        let _ = writeln!(told, "beyond the erasure {topic} would keep, as keyed hashes, the refusal of {channels}");
        return Ok(());
    }
    let formerly = customer.formerly.iter().map(|former| &*former.customer_id);
    let ids: Vec<&str> = formerly.chain([customer_id]).collect();
    let mut missing: BTreeSet<u128> =
        campaign::refusals(&ids, customer).into_iter().map(|mark| suppressor.code(mark)).collect();
    let count = missing.len();
    reading::partition(&common.kafka, &topic, 0, |record| {
        if let Some(code) = record.key().and_then(schemas::Suppressor::code_in) {
            missing.remove(&code);
        }
    })?;
    let _ = match missing.len() {
        0 => writeln!(
            told,
            "{topic} keeps, as {count} keyed hashes, the refusal of {channels}: all of them were found there"
        ),
        lost => writeln!(
            told,
            "{topic} lacks {lost} of {count} keyed hashes of the refusal of {channels}: the operator's suppression.secret is another one, or not set"
        ),
    };
    Ok(())
}
