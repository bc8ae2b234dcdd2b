//! What outlives an erasure: that the customer did not want to be written to, as keyed hashes in `suppression`.

use std::collections::BTreeSet;
use std::fmt::Write;

use campaign::Row;
use schemas::Suppressor;

use crate::config::Common;
use crate::failure::Failure;
use crate::reading;

/// All codes that are kept; none where there is no secret to know them by.
///
/// # Errors
/// Those of Kafka.
pub fn kept(common: &Common) -> Result<BTreeSet<u128>, Failure> {
    let mut codes = BTreeSet::new();
    if common.suppressor.is_some() {
        reading::partition(&common.kafka, &common.topics.suppression(), 0, |record| {
            codes.extend(record.key().and_then(Suppressor::code_in));
        })?;
    }
    Ok(codes)
}

/// Says what is kept beyond the erasure of this row: once it is done, whether everything is among these codes.
pub fn tell(common: &Common, customer_id: &str, row: Option<&Row>, codes: Option<&BTreeSet<u128>>, told: &mut String) {
    let Some(Row::Customer(customer)) = row else { return };
    let refused = customer.consents.iter().filter(|consent| !consent.granted);
    let channels: Vec<&str> = refused.map(|consent| consent.channel.as_str()).collect();
    if channels.is_empty() {
        return;
    }
    let (channels, topic) = (channels.join(", "), common.topics.suppression());
    let Some(suppressor) = &common.suppressor else {
        let _ = writeln!(
            told,
            "nothing is kept of the refusal of {channels}: suppression.secret is not set, so an old profile that comes again is written to"
        );
        return;
    };
    let Some(codes) = codes else {
        let _ = writeln!(told, "beyond the erasure {topic} would keep, as keyed hashes, the refusal of {channels}");
        return;
    };
    let wanted: BTreeSet<u128> =
        campaign::refusals(customer, [customer_id]).into_iter().map(|mark| suppressor.code(mark)).collect();
    let count = wanted.len();
    let _ = match wanted.difference(codes).count() {
        0 => writeln!(
            told,
            "{topic} keeps, as {count} keyed hashes, the refusal of {channels}: all of them were found there"
        ),
        lost => writeln!(
            told,
            "{topic} lacks {lost} of {count} keyed hashes of the refusal of {channels}: the operator's suppression.secret is another one, or not set"
        ),
    };
}

#[cfg(test)]
mod tests {
    use schemas::{Consent, Contact, Customer};

    use super::*;
    use crate::config::{self, Flags, Process};

    #[test]
    fn it_is_told_what_is_kept_what_would_be_and_that_nothing_can_be() {
        let mut common = config::read(&Flags::default(), &Process, Common::read).unwrap();
        let row = Row::Customer(Customer {
            consents: vec![Consent { channel: "email".to_owned(), ..Consent::default() }],
            contacts: vec![Contact { channel: "email".to_owned(), address: "a@shop.example".to_owned() }],
            ..Customer::default()
        });
        let told = |common: &Common, is_done: bool, codes: &BTreeSet<u128>| {
            let mut told = String::new();
            tell(common, "c1", Some(&row), is_done.then_some(codes), &mut told);
            told
        };
        common.suppressor = None;
        assert!(told(&common, true, &BTreeSet::new()).contains("nothing is kept of the refusal of email"));
        let suppressor = Suppressor::new("a secret of sixteen").unwrap();
        let code = suppressor.code(schemas::suppression::mark_of_customer("c1", "email"));
        let address = suppressor.code(schemas::suppression::marks_of_address("email", "a@shop.example")[0]);
        common.suppressor = Some(suppressor);
        assert!(told(&common, false, &BTreeSet::new()).contains("would keep"));
        assert!(told(&common, true, &[code].into()).contains("lacks 1 of 2 keyed hashes"));
        assert!(told(&common, true, &[code, address].into()).contains("keeps, as 2 keyed hashes"));
    }
}
