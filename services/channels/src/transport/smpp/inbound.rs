//! What the provider says later: receipts, and replies of customers.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use rusmpp::tlvs::TlvValue;
use rusmpp::{Command, Pdu};
use schemas::Status;
use schemas::sms::{self, Alphabet};
use tokio::sync::mpsc;

use super::Config;
use super::receipt::{self, Parameters};
use crate::transport::{About, Fate, Message, Word, replies};

/// Numbers that are remembered, so that a reply finds what it answers.
const NUMBERS: usize = 50_000;

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
    written: Arc<Mutex<Written>>,
}

/// Whom this process has lately written to.
#[derive(Default)]
struct Written {
    by_number: HashMap<String, (u64, Sent)>,
    /// Who was written to longest ago is forgotten first.
    order: BTreeMap<u64, String>,
    count: u64,
}

impl Written {
    fn insert(&mut self, number: String, to: Sent) {
        self.count += 1;
        if let Some((place, _)) = self.by_number.insert(number.clone(), (self.count, to)) {
            self.order.remove(&place);
        }
        self.order.insert(self.count, number);
        if self.order.len() > NUMBERS
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.by_number.remove(&oldest);
        }
    }
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Written").field("numbers", &self.by_number.len()).finish()
    }
}

/// What a frame was read as.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    about: About,
    status: Status,
    code: Option<String>,
}

impl Said {
    fn nothing(why: &'static str) -> Self {
        Said { about: About::Nothing(why), status: Status::Unspecified, code: None }
    }
}

impl Inbound {
    pub(super) fn new(config: &Config, words: mpsc::Sender<Word>) -> Self {
        Inbound { config: Arc::new(config.clone()), words, written: Arc::default() }
    }

    /// A message to this number is about to go out.
    pub(super) fn wrote_to(&self, message: &Message) {
        let Ok(mut written) = self.written.lock() else { return };
        let number = number(&message.address);
        written.insert(number, sent(message));
    }

    /// The centre's id of a message, told after its hand-over had ended.
    pub(super) fn named(&self, provider_id: String, (send_id, customer_id): Sent) {
        let about = About::Named { provider_id, send_id, customer_id };
        drop(self.words.try_send(Word::new(about, Status::Unspecified).0));
    }

    /// Passes on what `deliver_sm` or `data_sm` says; what comes back is its fate.
    pub(super) fn hear(&self, command: &Command) -> Pin<Box<dyn Future<Output = Fate> + Send>> {
        let Said { about, status, code } = self.read(command);
        let (word, told) = Word::new(about, status);
        match self.words.try_send(Word { code, ..word }) {
            Ok(()) => Box::pin(async { told.await.unwrap_or(Fate::Again) }),
            Err(_) => Box::pin(async { Fate::Again }),
        }
    }

    fn read(&self, command: &Command) -> Said {
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
                    Said { about: About::ProviderId(id), status, code: receipt.code }
                }
                None => Said::nothing("no_information"),
            },
            None => Said::nothing("unreadable"),
        }
    }

    fn reply(&self, from: &str, text: &[u8], coding: u8) -> Said {
        let known = self.written.lock().ok().and_then(|written| written.by_number.get(&number(from)).cloned());
        let Some((_, (send_id, customer_id))) = known else { return Said::nothing("unknown_sender") };
        let text = match coding {
            8 => sms::text_of(text, Alphabet::Ucs2),
            3 => text.iter().map(|octet| char::from(*octet)).collect(),
            _ => sms::text_of(text, Alphabet::Seven),
        };
        let status = replies::status(&text, &self.config.stop_words);
        Said { about: About::Send { send_id, customer_id }, status, code: None }
    }
}

/// The text of a receipt as single octets: some centres write theirs in UCS-2.
fn narrow(coding: u8, text: Vec<u8>) -> Vec<u8> {
    if coding == 8 { sms::text_of(&text, Alphabet::Ucs2).into_bytes() } else { text }
}

/// Numbers come back with and without their plus.
fn number(address: &str) -> String {
    address.trim().trim_start_matches('+').to_owned()
}

/// The text behind a user data header.
fn without_header(class: u8, text: Vec<u8>) -> Vec<u8> {
    match text.first() {
        Some(length) if class & 0x40 != 0 => text.get(usize::from(*length) + 1..).unwrap_or_default().to_vec(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_written_to_again_is_remembered_longest() {
        let mut written = Written::default();
        let to = |send: &str| (send.to_owned(), "c1".to_owned());
        ["a", "b", "a"].into_iter().for_each(|number| written.insert(number.to_owned(), to(number)));
        (2..NUMBERS).for_each(|count| written.insert(count.to_string(), to("x")));
        written.insert("c".to_owned(), to("c"));
        assert_eq!(["a", "b", "c"].map(|number| written.by_number.contains_key(number)), [true, false, true]);
        assert_eq!((written.by_number.len(), written.order.len()), (NUMBERS, NUMBERS));
    }
}
