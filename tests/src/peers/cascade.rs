//! What is done with an event, and with a deadline: a pure function of row, event and time.

use std::fmt;

use stream::clock::Millis;
use uuid::Uuid;

use super::avro::{Cursor, JOURNAL, SEND, begin, put_long, put_string};
use super::fnv;
use super::load::{CART_UPDATED, DELIVERED, FAILED, OPENED, PURCHASED, SENT};

const HOUR: Millis = 3_600_000;
/// How long a cart waits for its next change.
const CART_WAIT: Millis = HOUR;
/// How long a step waits for its outcome.
const STEP_WAIT: Millis = 3 * HOUR;
/// A cart of this worth is spoken to at once.
const HIGH: i64 = 100_000;

const CHANNELS: [&str; 3] = ["push", "email", "sms"];

/// Begins what the id of a send is made from, and is as long as a name space of UUIDs.
const NAME_SPACE: Uuid = Uuid::from_bytes(*b"cascade/send/v1/");

/// How many ids of events are remembered.
const MEMORY: usize = 8;

const PROFILE_BYTES: usize = 40;

/// What was decided, in the order of the enum on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Duplicate,
    Armed,
    Sent,
    Updated,
    Ignored,
    Advanced,
    Exhausted,
    Opened,
    Rearmed,
    Goal,
    Timeout,
    TimedOut,
}

/// What is known of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    profile: [u8; PROFILE_BYTES],
    /// How many events there were; beyond eight it goes round from eight to fifteen, so that its low bits are the next place.
    seen: u8,
    ids: [u64; MEMORY],
    instance: Option<Instance>,
}

/// A cascade that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instance {
    entered_at: Millis,
    step: u8,
    deadline: Millis,
    send: u128,
    /// Rank of the best status of this step.
    best: u8,
    amount: i64,
    items: i64,
}

impl Default for Row {
    fn default() -> Self {
        Row { profile: [0; PROFILE_BYTES], seen: 0, ids: [0; MEMORY], instance: None }
    }
}

/// Bytes that are no row.
#[derive(Debug)]
pub struct NoRow;

impl fmt::Display for NoRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these bytes are no row")
    }
}

impl Row {
    /// Appends its bytes, 160 at most; none for a customer of whom nothing is known.
    pub fn pack(&self, bytes: &mut Vec<u8>) {
        if self.seen == 0 {
            return;
        }
        bytes.push(self.seen | u8::from(self.instance.is_some()) << 7);
        bytes.extend_from_slice(&self.profile);
        for id in &self.ids[..self.remembered()] {
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        if let Some(instance) = &self.instance {
            bytes.push(instance.step << 4 | instance.best);
            bytes.extend_from_slice(&instance.send.to_le_bytes());
            let numbers = [instance.entered_at, instance.deadline, instance.amount, instance.items];
            numbers.into_iter().for_each(|number| put_long(bytes, number));
        }
    }

    /// Reads them.
    ///
    /// # Errors
    /// If they are none.
    pub fn unpack(bytes: &[u8]) -> Result<Self, NoRow> {
        let mut from = Cursor::at_start(bytes);
        let head = from.byte();
        let mut row = Row { seen: head & 0x7f, ..Row::default() };
        row.profile = from.take(PROFILE_BYTES).try_into().map_err(|_| NoRow)?;
        let remembered = row.remembered();
        for id in &mut row.ids[..remembered] {
            *id = u64::from_le_bytes(from.take(8).try_into().map_err(|_| NoRow)?);
        }
        if head >= 0x80 {
            let place = from.byte();
            let send = u128::from_le_bytes(from.take(16).try_into().map_err(|_| NoRow)?);
            row.instance = Some(Instance {
                step: place >> 4,
                best: place & 0xf,
                send,
                entered_at: from.long(),
                deadline: from.long(),
                amount: from.long(),
                items: from.long(),
            });
        }
        Ok(row)
    }

    /// When it must be looked at again.
    pub fn due(&self) -> Option<Millis> {
        self.instance.as_ref().map(|instance| instance.deadline)
    }

    fn step(&self) -> u8 {
        self.instance.as_ref().map_or(0, |instance| instance.step)
    }

    fn remembered(&self) -> usize {
        usize::from(self.seen).min(MEMORY)
    }

    fn knows(&self, id: u64) -> bool {
        self.ids[..self.remembered()].contains(&id)
    }

    fn remember(&mut self, customer: &[u8], id: u64) {
        if self.seen == 0 {
            self.profile = *b"profile:................................";
            let name = customer.len().min(PROFILE_BYTES - 8);
            self.profile[8..8 + name].copy_from_slice(&customer[..name]);
        }
        self.ids[usize::from(self.seen) % MEMORY] = id;
        self.seen = if usize::from(self.seen) == 2 * MEMORY - 1 { 8 } else { self.seen + 1 };
    }
}

/// An event of the input.
#[derive(Clone, Copy, Debug)]
struct Event<'a> {
    id: &'a [u8],
    occurred_at: Millis,
    kind: i64,
    amount: i64,
    items: i64,
    status: Option<i64>,
}

impl<'a> Event<'a> {
    fn read(value: &'a [u8]) -> Self {
        let mut from = Cursor::behind_frame(value);
        let (id, occurred_at, kind, amount) = (from.string(), from.long(), from.long(), from.long());
        let mut items = 0;
        loop {
            let block = from.long();
            if block <= 0 {
                break;
            }
            for _ in 0..block {
                let (_sku, _quantity, _price) = (from.string(), from.long(), from.long());
            }
            items += block;
        }
        if from.long() == 1 {
            let _send = from.string();
        }
        let status = (from.long() == 1).then(|| from.long());
        Event { id, occurred_at, kind, amount, items, status }
    }
}

/// SENT < FAILED < DELIVERED < OPENED.
fn rank(status: i64) -> u8 {
    match status {
        SENT => 1,
        FAILED => 2,
        DELIVERED => 3,
        _ => 4,
    }
}

/// Decides. Reused, so that its buffers are.
#[derive(Debug)]
pub struct Cascade {
    arm_at: Option<Millis>,
    bytes: Vec<u8>,
}

impl Cascade {
    /// With `arm_at`, every cart is looked at again at that moment; else an hour after its last change.
    pub fn new(arm_at: Option<Millis>) -> Self {
        Cascade { arm_at, bytes: Vec::new() }
    }

    /// An event of a customer. `out` takes each record: the number of its topic, and its value.
    pub fn event(
        &mut self,
        row: &mut Row,
        customer: &[u8],
        value: &[u8],
        now: Millis,
        out: &mut impl FnMut(usize, &[u8]),
    ) {
        let event = Event::read(value);
        let decision = self.decide(row, customer, &event, now, out);
        self.journal(customer, event.id, decision, row.step(), now, out);
    }

    /// The deadline of a customer has come.
    pub fn due(&mut self, row: &mut Row, customer: &[u8], now: Millis, out: &mut impl FnMut(usize, &[u8])) {
        let Some(deadline) = row.due() else { return };
        let decision = if self.advance(row, customer, now, out) { Decision::Timeout } else { Decision::TimedOut };
        let id = format!("due:{deadline}");
        self.journal(customer, id.as_bytes(), decision, row.step(), now, out);
    }

    fn decide(
        &mut self,
        row: &mut Row,
        customer: &[u8],
        event: &Event<'_>,
        now: Millis,
        out: &mut impl FnMut(usize, &[u8]),
    ) -> Decision {
        let id = fnv(event.id);
        if row.knows(id) {
            return Decision::Duplicate;
        }
        row.remember(customer, id);
        if event.kind == CART_UPDATED {
            return self.cart(row, customer, event, now, out);
        }
        let Some(instance) = &mut row.instance else { return Decision::Ignored };
        if event.kind == PURCHASED {
            row.instance = None;
            return Decision::Goal;
        }
        let Some(status) = event.status.filter(|status| rank(*status) >= instance.best) else {
            return Decision::Ignored;
        };
        instance.best = rank(status);
        match status {
            OPENED => {
                row.instance = None;
                Decision::Opened
            }
            DELIVERED => {
                instance.deadline = now + STEP_WAIT;
                Decision::Rearmed
            }
            FAILED if self.advance(row, customer, now, out) => Decision::Advanced,
            FAILED => Decision::Exhausted,
            _ => Decision::Ignored,
        }
    }

    fn cart(
        &mut self,
        row: &mut Row,
        customer: &[u8],
        event: &Event<'_>,
        now: Millis,
        out: &mut impl FnMut(usize, &[u8]),
    ) -> Decision {
        let Event { amount, items, occurred_at, .. } = *event;
        let deadline = self.arm_at.unwrap_or(now + CART_WAIT);
        if let Some(instance) = &mut row.instance {
            (instance.amount, instance.items, instance.deadline) = (amount, items, deadline);
            return Decision::Updated;
        }
        row.instance = Some(Instance { entered_at: occurred_at, step: 0, deadline, send: 0, best: 0, amount, items });
        if amount < HIGH {
            return Decision::Armed;
        }
        self.advance(row, customer, now, out);
        Decision::Sent
    }

    /// To the next step and its send; with false there was none, and the cascade has ended.
    fn advance(&mut self, row: &mut Row, customer: &[u8], now: Millis, out: &mut impl FnMut(usize, &[u8])) -> bool {
        let Some(instance) = &mut row.instance else { return false };
        let Some(channel) = CHANNELS.get(usize::from(instance.step)) else {
            row.instance = None;
            return false;
        };
        instance.step += 1;
        (instance.best, instance.deadline) = (0, now + STEP_WAIT);
        let name = [customer, &instance.entered_at.to_be_bytes(), &[instance.step]].concat();
        let id = Uuid::new_v5(&NAME_SPACE, &name);
        instance.send = id.as_u128();

        let bytes = &mut self.bytes;
        begin(bytes, SEND);
        put_string(bytes, id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
        put_string(bytes, customer);
        put_string(bytes, channel.as_bytes());
        put_long(bytes, instance.step.into());
        put_long(bytes, i64::try_from("cart--v1".len() + channel.len()).unwrap_or(0));
        [b"cart-", channel.as_bytes(), b"-v1"].into_iter().for_each(|part| bytes.extend_from_slice(part));
        put_long(bytes, now);
        put_long(bytes, instance.amount);
        out(usize::from(instance.step), bytes);
        true
    }

    fn journal(
        &mut self,
        customer: &[u8],
        event: &[u8],
        decision: Decision,
        step: u8,
        now: Millis,
        out: &mut impl FnMut(usize, &[u8]),
    ) {
        let bytes = &mut self.bytes;
        begin(bytes, JOURNAL);
        put_string(bytes, customer);
        put_string(bytes, event);
        put_long(bytes, decision as i64);
        put_long(bytes, step.into());
        put_long(bytes, now);
        out(0, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::load::{Keys, Load};

    #[test]
    fn rows_come_back_as_they_went_and_are_short() {
        let mut cascade = Cascade::new(None);
        let (mut row, mut bytes, mut running) = (Row::default(), Vec::new(), 0);
        row.pack(&mut bytes);
        assert!(bytes.is_empty(), "nobody has heard of this customer");
        for event in (Load { events: 400, customers: 1, keys: Keys::Uniform, seed: 5 }).events() {
            cascade.event(&mut row, event.key().as_bytes(), &event.value, 1_700_000_000_000, &mut |_, _| ());
            bytes.clear();
            row.pack(&mut bytes);
            assert!(bytes.len() <= 160, "{} bytes", bytes.len());
            assert_eq!(Row::unpack(&bytes).unwrap(), row);
            running += u32::from(row.instance.is_some());
        }
        assert!((50..350).contains(&running), "with a cascade and without one: {running} of 400");
        assert!(Row::unpack(&bytes[..60]).is_err());
    }

    #[test]
    fn an_event_counts_once() {
        let (mut cascade, mut row, mut written) = (Cascade::new(None), Row::default(), 0);
        let event = Load { events: 1, customers: 1, keys: Keys::Uniform, seed: 1 }.events().next().unwrap();
        let mut row_after = None;
        for _ in 0..2 {
            cascade.event(&mut row, event.key().as_bytes(), &event.value, 7, &mut |_, _| written += 1);
            assert_eq!(row, *row_after.get_or_insert_with(|| row.clone()));
        }
        assert!(written >= 2, "each has its journal entry");
    }
}
