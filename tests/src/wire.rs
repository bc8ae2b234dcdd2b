//! Kafka's protocol, as far as no client library lets one misbehave: a request that comes a second time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::wait::until_ok;

const END_TXN: i16 = 26;
const DESCRIBE_TRANSACTIONS: i16 = 65;
/// The broker that is asked does not lead this transactional id.
const NOT_COORDINATOR: i16 = 16;
/// The last transaction's markers are being written.
const CONCURRENT_TRANSACTIONS: i16 = 51;

/// Sends the commit of a transaction under this id with the id and epoch of the producer that has it: what a repeated request of its own
/// client looks like when it comes late. By a way without TLS and passwords.
///
/// # Errors
/// What the broker says instead of yes.
pub fn commit_again(brokers: &str, transactional_id: &str) -> Result<(), String> {
    let mut said = Err("there is no broker".to_owned());
    for broker in brokers.split(',') {
        said = Wire::to(broker).and_then(|mut wire| {
            let (producer, epoch) = wire.producer_of(transactional_id)?;
            wire.commit(transactional_id, producer, epoch)
        });
        if said.is_ok() {
            break;
        }
    }
    said
}

/// A connection.
struct Wire(TcpStream);

impl Wire {
    fn to(broker: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(broker).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|error| error.to_string())?;
        Ok(Wire(stream))
    }

    /// Sends a request and returns what stands behind the number that it is answered under.
    fn ask(&mut self, key: i16, version: i16, is_flexible: bool, body: &[u8]) -> Result<Vec<u8>, String> {
        let client = b"late";
        let mut request = Vec::new();
        request.extend(key.to_be_bytes());
        request.extend(version.to_be_bytes());
        request.extend(1_i32.to_be_bytes());
        request.extend(i16::try_from(client.len()).unwrap_or(0).to_be_bytes());
        request.extend(client);
        // No tagged fields.
        request.extend(is_flexible.then_some(0_u8));
        request.extend(body);
        let length = i32::try_from(request.len()).map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        self.0
            .write_all(&[&length.to_be_bytes(), &*request].concat())
            .and_then(|()| {
                let mut length = [0; 4];
                self.0.read_exact(&mut length)?;
                answer.resize(usize::try_from(u32::from_be_bytes(length)).unwrap_or(0), 0);
                self.0.read_exact(&mut answer)
            })
            .map_err(|error| format!("request {key}: {error}"))?;
        let behind = 4 + usize::from(is_flexible);
        answer.get(behind..).map(<[u8]>::to_vec).ok_or_else(|| "the answer is too short".to_owned())
    }

    /// Id and epoch of the producer under a transactional id. Version 0, compact: lengths are one more than they are.
    fn producer_of(&mut self, transactional_id: &str) -> Result<(i64, i16), String> {
        let mut body = vec![2, compact(transactional_id.len())?];
        body.extend(transactional_id.as_bytes());
        body.push(0);
        let answer = self.ask(DESCRIBE_TRANSACTIONS, 0, true, &body)?;
        // How long it was held back, one transaction; its error, id, state, timeout and beginning.
        let mut answer = Answer(answer.get(5..).unwrap_or_default());
        answer.no_error()?;
        answer.text()?;
        answer.text()?;
        answer.take::<4>()?;
        answer.take::<8>()?;
        Ok((i64::from_be_bytes(answer.take()?), i16::from_be_bytes(answer.take()?)))
    }

    /// Commits, as version 1 of transactions does. While the end before this one is under way, it waits.
    fn commit(&mut self, transactional_id: &str, producer: i64, epoch: i16) -> Result<(), String> {
        let mut body = Vec::new();
        body.extend(i16::try_from(transactional_id.len()).map_err(|error| error.to_string())?.to_be_bytes());
        body.extend(transactional_id.as_bytes());
        body.extend(producer.to_be_bytes());
        body.extend(epoch.to_be_bytes());
        body.push(1);
        until_ok("the end before this one is done", || {
            let said = self.ask(END_TXN, 1, false, &body).and_then(|answer| {
                let mut answer = Answer(answer.get(4..).unwrap_or_default());
                answer.no_error()
            });
            match said {
                Err(error) if error == format!("error {CONCURRENT_TRANSACTIONS}") => Err(error),
                said => Ok(said),
            }
        })
    }
}

/// What is left of an answer.
struct Answer<'a>(&'a [u8]);

impl Answer<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("the answer is too short")?;
        self.0 = rest;
        Ok(*taken)
    }

    fn no_error(&mut self) -> Result<(), String> {
        match i16::from_be_bytes(self.take()?) {
            0 => Ok(()),
            NOT_COORDINATOR => Err("another broker leads it".to_owned()),
            error => Err(format!("error {error}")),
        }
    }

    fn text(&mut self) -> Result<(), String> {
        let [length] = self.take::<1>()?;
        let length = usize::from(length.saturating_sub(1));
        self.0 = self.0.get(length..).ok_or("the answer is too short")?;
        Ok(())
    }
}

/// A short length in one byte.
fn compact(length: usize) -> Result<u8, String> {
    u8::try_from(length + 1).ok().filter(|length| *length < 128).ok_or_else(|| "the id is too long".to_owned())
}
