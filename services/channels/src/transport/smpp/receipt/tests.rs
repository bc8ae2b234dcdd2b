use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::transport::smpp::tests::config;

/// What providers' documents, and people who met their receipts, show; `source` says where.
const SAMPLES: &str = include_str!("samples.json");

#[derive(Deserialize)]
struct Sample {
    source: String,
    text: String,
    id: Option<String>,
    status: Option<String>,
    code: Option<String>,
}

fn by_text(text: &str) -> Option<Receipt> {
    read(text.as_bytes(), &Parameters::default(), &[])
}

#[test]
fn receipts_are_read_as_providers_write_them() {
    let samples: Vec<Sample> = serde_json::from_str(SAMPLES).unwrap();
    assert!(samples.len() > 12);
    for sample in samples {
        let receipt = by_text(&sample.text);
        assert_eq!(receipt.as_ref().map(|receipt| receipt.id.clone()), sample.id, "{}", sample.source);
        let status = receipt.as_ref().and_then(|receipt| receipt.status).map(|status| status.to_string());
        assert_eq!(status, sample.status, "{}", sample.source);
        assert_eq!(receipt.and_then(|receipt| receipt.code), sample.code, "{}", sample.source);
    }
}

#[test]
fn every_state_of_the_table_is_read_as_it_says() {
    let rows = [
        (Some(0), "SCHEDULED QUEUED", Some(Status::Accepted)),
        (Some(1), "ENROUTE BUFFRED SENT", Some(Status::Sent)),
        (Some(2), "DELIVRD DELIVERED delivrd Delivered", Some(Status::Delivered)),
        (None, "READ SEEN", Some(Status::Opened)),
        (Some(3), "EXPIRED", Some(Status::Failed)),
        (Some(4), "DELETED", Some(Status::Failed)),
        (Some(5), "UNDELIV FAILED UNDELIVERABLE", Some(Status::Failed)),
        (Some(6), "ACCEPTD ACCEPTED", Some(Status::Accepted)),
        (Some(7), "UNKNOWN WHATEVER", None),
        (Some(8), "REJECTD REJECTED REFUSED", Some(Status::Refused)),
        (Some(9), "SKIPPED", Some(Status::Failed)),
        (Some(200), "NOTHING", None),
    ];
    for (state, words, status) in rows {
        for word in words.split(' ') {
            assert_eq!(by_text(&format!("id:1 stat:{word} err:0")).unwrap().status, status, "{word}");
        }
        if state.is_some() {
            let parameters = Parameters { id: Some("1".to_owned()), state };
            assert_eq!(read(b"", &parameters, &[]).unwrap().status, status, "{state:?}");
        }
    }
}

#[test]
fn parameters_count_more_than_the_text() {
    let parameters = Parameters { id: Some("AB".to_owned()), state: Some(2) };
    let receipt = read(b"id:171 stat:UNDELIV err:001", &parameters, &[]).unwrap();
    assert_eq!((receipt.id.as_str(), receipt.status), ("AB", Some(Status::Delivered)));
    let only_state = Parameters { id: None, state: Some(5) };
    assert_eq!(read(b"id:171 err:001", &only_state, &[]).unwrap().code.as_deref(), Some("undeliv_001"));
}

#[test]
fn an_error_that_configuration_names_says_that_nobody_is_there() {
    let dead = ["1".to_owned(), "0c".to_owned()];
    let status = |text: &str| read(text.as_bytes(), &Parameters::default(), &dead).unwrap().status;
    assert_eq!(status("id:1 stat:UNDELIV err:001"), Some(Status::BouncedHard));
    assert_eq!(status("id:1 stat:UNDELIV err:c"), Some(Status::BouncedHard));
    assert_eq!(status("id:1 stat:UNDELIV err:010"), Some(Status::Failed));
    assert_eq!(status("id:1 stat:EXPIRED err:001"), Some(Status::Failed), "a phone that was off is somebody's");
}

#[test]
fn what_names_no_message_or_no_state_is_no_receipt() {
    for text in
        ["", "id:", "id: stat:DELIVRD", "stat:DELIVRD", "id:1", "id:1 stat:", "Hi, my id:1", "void:1 stat:DELIVRD"]
    {
        assert_eq!(by_text(text), None, "{text}");
    }
    assert_eq!(by_text("id:1 sub:001 text: stat:DELIVRD"), None, "what the customer was written is no state");
    let address = by_text("id:1 stat:REJECTD err:anna@shop.example").unwrap();
    assert_eq!(address.code.as_deref(), Some("rejectd"), "what is no plain code is left out");
}

#[test]
fn ids_are_brought_into_the_form_of_the_answer() {
    let as_answered = |receipt_id, id: &str| id_as_answered(id, &Config { receipt_id, ..config(1) });
    assert_eq!(as_answered(ReceiptId::Same, "00AB"), "00AB");
    assert_eq!(as_answered(ReceiptId::HexToDecimal, "00AB"), "171");
    assert_eq!(as_answered(ReceiptId::HexToDecimal, "0xab"), "171");
    assert_eq!(as_answered(ReceiptId::DecimalToHex, "0171"), "ab");
    assert_eq!(as_answered(ReceiptId::DecimalToHex, "a-uuid"), "a-uuid", "what is no number stays");
    assert_eq!(as_answered(ReceiptId::HexToDecimal, &"F".repeat(40)), "F".repeat(40));
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_not_but_no_harm_is_done(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(read(&text, &Parameters::default(), &[]));
    }

    #[test]
    fn fields_are_found_in_any_order(id in "[0-9a-zA-Z-]{1,40}", swapped in any::<bool>(), blank in "[ ]{0,2}") {
        let (id_field, stat) = (format!("id:{blank}{id}"), format!("STAT:{blank}DELIVRD"));
        let text = if swapped { format!("{stat} sub:001 {id_field}") } else { format!("{id_field} sub:001 {stat}") };
        let receipt = by_text(&text).unwrap();
        prop_assert_eq!((receipt.id, receipt.status), (id, Some(Status::Delivered)));
    }
}
