//! A message as `submit_sm`: one, or one for each segment.

use std::str::FromStr;

use rusmpp::pdus::SubmitSm;
use rusmpp::tlvs::MessageSubmissionRequestTlvValue;
use rusmpp::types::{AnyOctetString, COctetString, EmptyOrFullCOctetString, OctetString};
use rusmpp::values::{DataCoding, EsmClass, MessagePayload, Npi, RegisteredDelivery, ServiceType, Ton};
use schemas::Millis;
use schemas::sms::{self, Alphabet};

use super::{Concatenation, Config};
use crate::transport::Message;

/// The provider tries at least so long: shorter ones miss phones that are out of reach for a moment.
const VALIDITY_MIN: Millis = 5 * 60_000;

/// A longer one cannot be written: the standard counts days, and months have different ones.
pub(super) const VALIDITY_MINUTES_MAX: u32 = 30 * 24 * 60;

/// `esm_class` of a segment: a header stands before its text.
const WITH_HEADER: u8 = 0x40;

/// `registered_delivery`: a receipt about success and failure.
const RECEIPT: u8 = 0x01;

/// Segments that one message may have: more than that is a mistake of a template.
const SEGMENTS_MAX: usize = 20;

/// # Errors
/// The code of the refusal: `bad_address`, `too_long`.
pub(super) fn of(message: &Message, config: &Config) -> Result<Vec<SubmitSm>, &'static str> {
    let alphabet = sms::alphabet(&message.text);
    let blank = blank(message, config, alphabet)?;
    let segments = sms::cut(&message.text);
    if segments.len() > SEGMENTS_MAX {
        return Err("too_long");
    }
    let receipt = RegisteredDelivery::from(if config.receipts { RECEIPT } else { 0 });
    if segments.len() == 1 {
        let mut only = blank;
        only.registered_delivery = receipt;
        only.set_short_message(OctetString::from_vec(segments.concat()).map_err(|_| "too_long")?);
        return Ok(vec![only]);
    }
    if config.concatenation == Concatenation::Payload {
        let mut whole = blank;
        whole.registered_delivery = receipt;
        let payload = MessagePayload::new(AnyOctetString::from_vec(sms::octets(&message.text)));
        whole.push_tlv(MessageSubmissionRequestTlvValue::MessagePayload(payload));
        return Ok(vec![whole]);
    }
    let total = segments.len();
    let reference = reference(&message.send_id);
    let segment = |(at, text): (usize, Vec<u8>)| {
        let header = [5, 0, 3, reference, octet(total), octet(at + 1)];
        let mut segment = blank.clone();
        segment.esm_class = EsmClass::from(WITH_HEADER);
        if at + 1 == total {
            segment.registered_delivery = receipt;
        }
        segment.set_short_message(OctetString::from_vec([&header, &*text].concat()).map_err(|_| "too_long")?);
        Ok(segment)
    };
    segments.into_iter().enumerate().map(segment).collect()
}

fn octet(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// Everything but the text.
fn blank(message: &Message, config: &Config, alphabet: Alphabet) -> Result<SubmitSm, &'static str> {
    let number = message.address.strip_prefix('+').unwrap_or(&message.address);
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("bad_address");
    }
    let (ton, npi) = kind_of(&config.source);
    let configured = |_| "configuration";
    let source = config.source.strip_prefix('+').unwrap_or(&config.source);
    let blank = SubmitSm::builder()
        .service_type(ServiceType::new(COctetString::from_str(&config.service_type).map_err(configured)?))
        .source_addr_ton(Ton::from(config.source_ton.unwrap_or(ton)))
        .source_addr_npi(Npi::from(config.source_npi.unwrap_or(npi)))
        .source_addr(COctetString::from_str(source).map_err(configured)?)
        .dest_addr_ton(Ton::from(config.destination_ton))
        .dest_addr_npi(Npi::from(config.destination_npi))
        .destination_addr(COctetString::from_str(number).map_err(|_| "bad_address")?)
        // The library's own default sets bits that mean something.
        .esm_class(EsmClass::from(0))
        .registered_delivery(RegisteredDelivery::from(0))
        .validity_period(validity(message, config))
        .data_coding(match alphabet {
            Alphabet::Seven => DataCoding::from(config.data_coding),
            Alphabet::Ucs2 => DataCoding::Ucs2,
        })
        .build();
    Ok(blank)
}

/// Type of number and numbering plan of a sender, by its look.
fn kind_of(source: &str) -> (u8, u8) {
    let number = source.strip_prefix('+').unwrap_or(source);
    match number.bytes().all(|byte| byte.is_ascii_digit()) {
        false => (5, 0),
        true if number.len() > 6 => (1, 1),
        true => (3, 1),
    }
}

/// How long the provider may try, as the standard's relative time.
fn validity(message: &Message, config: &Config) -> EmptyOrFullCOctetString<17> {
    let most = Millis::from(VALIDITY_MINUTES_MAX) * 60_000;
    let wanted = match config.validity_minutes {
        Some(minutes) => Millis::from(minutes) * 60_000,
        None => message.valid_until.saturating_sub(message.now).max(VALIDITY_MIN),
    };
    let seconds = wanted.min(most) / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let text = format!("0000{days:02}{hours:02}{minutes:02}{:02}000R", seconds % 60);
    EmptyOrFullCOctetString::from_string(text).unwrap_or_else(|_| EmptyOrFullCOctetString::empty())
}

/// The same for each repeat of a message.
fn reference(send_id: &str) -> u8 {
    send_id.bytes().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::smpp::tests::{config, message};

    fn segments(text: &str) -> Vec<SubmitSm> {
        of(&message(text), &config(2775)).unwrap()
    }

    fn octets(submission: &SubmitSm) -> Vec<u8> {
        submission.short_message().clone().into_vec()
    }

    #[test]
    fn a_short_text_is_one_message_with_a_receipt() {
        let only = &segments("Hello [1]")[0];
        assert_eq!(octets(only), b"Hello \x1b\x3c1\x1b\x3e");
        assert_eq!((u8::from(only.data_coding), u8::from(only.esm_class)), (0, 0));
        assert_eq!(u8::from(only.registered_delivery), 1);
        assert_eq!(only.destination_addr.as_str(), "79000000000");
        assert_eq!((u8::from(only.dest_addr_ton), u8::from(only.dest_addr_npi)), (1, 1));
        let wide = &segments("Привет")[0];
        assert_eq!(u8::from(wide.data_coding), 8);
        assert_eq!(octets(wide).len(), 12);
    }

    #[test]
    fn a_long_text_is_cut_with_a_header_in_each_and_a_receipt_for_the_last() {
        let text = "ж".repeat(140);
        let cut = segments(&text);
        assert_eq!(cut.len(), 3);
        for (at, segment) in cut.iter().enumerate() {
            let bytes = octets(segment);
            assert_eq!(bytes[..3], [5, 0, 3]);
            assert_eq!(bytes[3], octets(&cut[0])[3], "one reference");
            assert_eq!(bytes[4..6], [3, u8::try_from(at).unwrap() + 1]);
            assert_eq!(u8::from(segment.esm_class), 0x40);
            assert_eq!(u8::from(segment.registered_delivery), u8::from(at == 2));
            assert!(bytes.len() <= 140);
        }
        let joined: Vec<u8> = cut.iter().flat_map(|segment| octets(segment)[6..].to_vec()).collect();
        assert_eq!(sms::text_of(&joined, Alphabet::Ucs2), text);
        assert_eq!(segments(&text), cut, "a repeat is the same to the last byte");
        assert_eq!(of(&message(&"ж".repeat(67 * 20 + 1)), &config(2775)), Err("too_long"));
    }

    #[test]
    fn a_long_text_may_go_whole_into_the_payload() {
        let config = Config { concatenation: Concatenation::Payload, ..config(2775) };
        let whole = of(&message(&"a".repeat(500)), &config).unwrap();
        assert_eq!(whole.len(), 1);
        assert!(whole[0].short_message().is_empty());
        assert_eq!(u8::from(whole[0].esm_class), 0);
        assert_eq!(whole[0].tlvs().len(), 1);
    }

    #[test]
    fn who_sends_is_told_by_the_look_of_the_sender() {
        for (source, kind) in [("Shop", (5, 0)), ("79001234567", (1, 1)), ("+79001234567", (1, 1)), ("1234", (3, 1))] {
            assert_eq!(kind_of(source), kind, "{source}");
        }
    }

    #[test]
    fn the_provider_tries_until_the_validity_ends() {
        let validity = |before: Millis, minutes| {
            let message = Message { valid_until: before, ..message("a") };
            let config = Config { validity_minutes: minutes, ..config(2775) };
            of(&message, &config).unwrap()[0].validity_period.as_str().to_owned()
        };
        let (hour, day) = (3_600_000, 86_400_000);
        assert_eq!(validity(26 * hour + 61_000, None), "000001020101000R");
        assert_eq!(validity(1_000, None), "000000000500000R", "five minutes at least");
        assert_eq!(validity(400 * day, None), "000030000000000R");
        assert_eq!(validity(hour, Some(90)), "000000013000000R");
    }

    #[test]
    fn only_numbers_are_addresses() {
        for address in ["", "+", "79-00", "anna", "7900\r\n", "790000000000000000000", "７９００"] {
            let message = Message { address: address.to_owned(), ..message("a") };
            assert_eq!(of(&message, &config(2775)), Err("bad_address"), "{address}");
        }
    }
}
