//! What the provider says later: receipts, and replies of customers.

use std::pin::Pin;
use std::sync::Arc;

use rusmpp::tlvs::TlvValue;
use rusmpp::{Command, Pdu};
use schemas::Status;
use schemas::sms::{self, Alphabet};
use tokio::sync::mpsc;

use super::Config;
use super::receipt::{self, Parameters};
use crate::transport::replies::{self, Said, Text};
use crate::transport::{About, Fate, Message, Word};

/// Bits of `esm_class` that say what a message is.
const KIND: u8 = 0x3c;
const RECEIPT: u8 = 0x04;
const INTERMEDIATE: u8 = 0x20;

/// A send, and whom it is for.
pub(super) type Sent = (String, String);

pub(super) fn sent(message: &Message) -> Sent {
    (message.send_id.clone(), message.customer_id.clone())
}

/// Takes in what comes. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Inbound {
    config: Arc<Config>,
    words: mpsc::Sender<Word>,
}

impl Inbound {
    pub(super) fn new(config: &Config, words: mpsc::Sender<Word>) -> Self {
        Inbound { config: Arc::new(config.clone()), words }
    }

    /// The centre's id of a message, told after its hand-over had ended.
    pub(super) fn named(&self, provider_id: String, (send_id, customer_id): Sent) {
        let about = About::Named { provider_id, send_id, customer_id };
        drop(self.words.try_send(Word::new(about, Status::Unspecified).0));
    }

    /// Passes on what `deliver_sm` or `data_sm` says; what comes back is its fate.
    pub(super) fn hear(&self, command: &Command) -> Pin<Box<dyn Future<Output = Fate> + Send>> {
        let (word, told) = self.read(command).word();
        match self.words.try_send(word) {
            Ok(()) => Box::pin(async { told.await.unwrap_or(Fate::Again) }),
            Err(_) => Box::pin(async { Fate::Again }),
        }
    }

    pub(super) fn read(&self, command: &Command) -> Said {
        let (class, coding, from, short, tlvs) = match command.pdu() {
            Some(Pdu::DeliverSm(sm)) => {
                let short = sm.short_message().clone().into_vec();
                (u8::from(sm.esm_class), u8::from(sm.data_coding), sm.source_addr.as_str(), short, sm.tlvs())
            }
            Some(Pdu::DataSm(sm)) => {
                (u8::from(sm.esm_class), u8::from(sm.data_coding), sm.source_addr.as_str(), Vec::new(), sm.tlvs())
            }
            _ => return Said::nothing("unreadable"),
        };
        let mut parameters = Parameters::default();
        let mut text = short;
        for tlv in tlvs {
            match tlv.value() {
                Some(TlvValue::ReceiptedMessageId(id)) => parameters.id = Some(id.as_str().to_owned()),
                Some(TlvValue::MessageState(state)) => parameters.state = Some(u8::from(*state)),
                Some(TlvValue::MessagePayload(payload)) if text.is_empty() => text = payload.value.clone().into_vec(),
                _ => {}
            }
        }
        match class & KIND {
            RECEIPT | INTERMEDIATE => self.receipt(&narrow(coding, text), &parameters),
            // Some centres leave the class out, but no customer's message has this parameter.
            0 if parameters.id.is_some() => self.receipt(&narrow(coding, text), &parameters),
            0 => self.reply(from, &without_header(class, text), coding),
            _ => Said::nothing("unreadable"),
        }
    }

    fn receipt(&self, text: &[u8], parameters: &Parameters) -> Said {
        match receipt::read(text, parameters, &self.config.dead_errors) {
            Some(receipt) => match receipt.status {
                Some(status) => {
                    let id = receipt::id_as_answered(&receipt.id, &self.config);
                    Said { status, code: receipt.code, ..Said::of(About::ProviderId(id)) }
                }
                None => Said::nothing("no_information"),
            },
            None => Said::nothing("unreadable"),
        }
    }

    fn reply(&self, from: &str, text: &[u8], coding: u8) -> Said {
        let text = match coding {
            8 => sms::text_of(text, Alphabet::Ucs2),
            3 => text.iter().map(|octet| char::from(*octet)).collect(),
            _ => sms::text_of(text, Alphabet::Seven),
        };
        let status = replies::status(&text, &self.config.stop_words);
        Said { status, text: Text::of(&text), ..Said::of(About::Address(from.to_owned())) }
    }
}

/// The text of a receipt as single octets: some centres write theirs in UCS-2.
fn narrow(coding: u8, text: Vec<u8>) -> Vec<u8> {
    if coding == 8 { sms::text_of(&text, Alphabet::Ucs2).into_bytes() } else { text }
}

/// The text behind a user data header.
fn without_header(class: u8, text: Vec<u8>) -> Vec<u8> {
    match text.first() {
        Some(length) if class & 0x40 != 0 => text.get(usize::from(*length) + 1..).unwrap_or_default().to_vec(),
        _ => text,
    }
}
