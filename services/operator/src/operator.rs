//! Rows, facts and effects on their way between engine and brain.

use campaign::{Effect, Input, Moment, Plans, Row, Turn};
use schemas::{Campaign, Fact, Id, Suppression, Suppressor, Unreadable, dead_letter};
use stream::clock::Millis;
use stream::{Due, Incoming, Outbox, Processor, Sweep};

use crate::metrics::Metrics;
use crate::traces::{Cause, Following};

/// Indexes of the engine's outputs; `send.<channel>` follow in the order of the channels.
mod output {
    pub(super) const JOURNAL: usize = 0;
    pub(super) const REVOKE: usize = 1;
    pub(super) const DEAD_LETTER: usize = 2;
    /// What it reads itself: what one row says to another.
    pub(super) const INPUT: usize = 3;
    pub(super) const SUPPRESSION: usize = 4;
    pub(super) const SEND: usize = 5;
}

/// The processor of one shard.
#[derive(Debug)]
pub struct Operator {
    plans: Plans,
    input: String,
    channels: Vec<String>,
    metrics: Metrics,
    /// Makes the keyed hashes of what outlives an erasure; without one, nothing does.
    suppressor: Option<Suppressor>,
    following: Following,
    effects: Vec<Effect>,
    bytes: Vec<u8>,
}

impl Operator {
    /// An operator that knows no campaign yet: they come by the reference topic. `input` is the name of what it reads. Without a suppressor
    /// no refusal outlives an erasure.
    pub fn new(input: &str, channels: &[String], suppressor: Option<Suppressor>, metrics: Metrics) -> Self {
        Operator {
            plans: Plans::default(),
            input: input.to_owned(),
            channels: channels.to_vec(),
            metrics,
            suppressor,
            following: Following::default(),
            effects: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// The same, of which cascades are followed.
    #[must_use]
    pub fn followed(self, following: Following) -> Self {
        Operator { following, ..self }
    }

    /// Decides, and sends the effects on their way. Returns whether the row may have changed, and with which code the record is to be set aside,
    /// if it is.
    fn decide(
        &mut self,
        key: &str,
        row: &mut Row,
        input: Input<'_>,
        moment: &Moment,
        cause: Option<&Cause<'_>>,
        out: &mut Outbox,
    ) -> (bool, Option<&'static str>) {
        let was_empty = row.is_empty();
        let changed = campaign::consider(&self.plans, key, row, input, moment, &mut self.effects);
        let mut set_aside = None;
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::SetAside { code } => set_aside = Some(code),
                effect => self.carry_out(key, &effect, moment, cause, out),
            }
        }
        (changed && !(was_empty && row.is_empty()), set_aside)
    }

    fn carry_out(&mut self, key: &str, effect: &Effect, moment: &Moment, cause: Option<&Cause<'_>>, out: &mut Outbox) {
        self.bytes.clear();
        let key = key.as_bytes();
        match effect {
            Effect::Send(send) => {
                let Some(channel) = self.channels.iter().position(|channel| *channel == send.channel) else {
                    // Campaigns are checked against the channels when they are applied; a channel that was switched off since
                    // has no topic. The command is lost to nobody: its wait ends without information.
                    tracing::error!(
                        channel = send.channel,
                        campaign = send.campaign,
                        "no such channel is configured: not sent"
                    );
                    return;
                };
                schemas::encode_into(&**send, &mut self.bytes);
                self.metrics.sent(&send.channel);
                let (tag, topic) = (tag(&send.send_id), output::SEND + channel);
                let headers = self.following.header(send);
                out.withhold_with(tag, topic, Some(moment.partition), key, &self.bytes, headers);
            }
            Effect::Revoke(revoke) => {
                if out.withdraw(tag(&revoke.send_id)) {
                    return;
                }
                schemas::encode_into(revoke, &mut self.bytes);
                self.metrics.revoked(&revoke.channel);
                // What was published under a former id is withdrawn where its worker looks.
                let under = revoke.customer_id.as_bytes();
                let partition = (under == key).then_some(moment.partition);
                out.publish(output::REVOKE, partition, under, &self.bytes);
            }
            Effect::Journal(journal) => {
                schemas::encode_into(&**journal, &mut self.bytes);
                self.metrics.decided(journal);
                self.following.tell(journal, cause);
                out.publish(output::JOURNAL, None, key, &self.bytes);
            }
            Effect::Forward { to, input } => {
                schemas::encode_into(&**input, &mut self.bytes);
                self.metrics.forwarded(&input.fact);
                out.publish(output::INPUT, None, to.as_bytes(), &self.bytes);
            }
            Effect::Suppress { mark, since } => {
                let Some(suppressor) = &self.suppressor else { return };
                schemas::encode_into(&Suppression { since: *since }, &mut self.bytes);
                out.publish(output::SUPPRESSION, None, suppressor.key(*mark).as_bytes(), &self.bytes);
            }
            Effect::SetAside { .. } => {}
        }
    }

    /// A record of `input` that this version cannot read: to dead-letter, and its customer's sends are held (rule 12).
    fn refuse(&mut self, record: &Incoming<'_>, code: &'static str, message: &str, out: &mut Outbox) {
        tracing::error!(
            partition = record.partition,
            offset = record.offset,
            code,
            "a record of the input cannot be read"
        );
        self.metrics.refused(code);
        let mut headers = vec![
            (dead_letter::EXCEPTION, b"schemas::DecodeError".to_vec()),
            (dead_letter::STACKTRACE, Vec::new()),
            (dead_letter::MESSAGE, message.as_bytes().to_vec()),
            (dead_letter::TOPIC, self.input.clone().into_bytes()),
            (dead_letter::PARTITION, record.partition.to_string().into_bytes()),
            (dead_letter::OFFSET, record.offset.to_string().into_bytes()),
            (dead_letter::CODE, code.as_bytes().to_vec()),
            (dead_letter::STAGE, b"operator".to_vec()),
        ];
        // What came back before comes back with its count, or it would come back for ever.
        headers.extend(record.header(dead_letter::REDRIVEN).map(|count| (dead_letter::REDRIVEN, count.to_vec())));
        out.publish_with(output::DEAD_LETTER, None, record.key, record.value.unwrap_or_default(), headers);
    }
}

/// Send ids are UUIDs, so their text names them wholly.
fn tag(send_id: &str) -> u128 {
    Id::parse(send_id).map_or(0, Id::as_u128)
}

impl Processor for Operator {
    type Row = Row;

    fn unpack(&self, bytes: &[u8]) -> Result<Row, String> {
        Row::decode(bytes).map_err(|error| error.to_string())
    }

    fn pack(&self, row: &Row, bytes: &mut Vec<u8>) {
        row.encode_into(bytes);
    }

    fn due(&self, row: &Row) -> Option<Millis> {
        row.due()
    }

    fn record(&mut self, row: &mut Row, record: &Incoming<'_>, now: Millis, out: &mut Outbox) -> bool {
        let moment = Moment { now, partition: record.partition, offset: Some(record.offset), due: None };
        let Ok(key) = std::str::from_utf8(record.key) else {
            self.refuse(record, "bad_key", "the key is not UTF-8", out);
            return false;
        };
        match schemas::decode::<schemas::Input>(record.value.unwrap_or_default()) {
            Ok(input) => {
                let fact = Input::Fact { fact: &input.fact, appended_at: input.origin.appended_at, hops: input.hops };
                let (changed, set_aside) =
                    self.decide(key, row, fact, &moment, Some(&Cause::of(record, Some(&input.origin))), out);
                if let Some(code) = set_aside {
                    self.refuse(record, code, "what one row says to another did not get there", out);
                }
                changed
            }
            Err(error) => {
                self.refuse(record, error.code(), &error.to_string(), out);
                let fact = Fact::Unreadable(Unreadable { code: error.code().to_owned() });
                let fact = Input::Fact { fact: &fact, appended_at: record.appended_at, hops: 0 };
                self.decide(key, row, fact, &moment, Some(&Cause::of(record, None)), out).0
            }
        }
    }

    fn deadline(&mut self, row: &mut Row, due: &Due<'_>, now: Millis, out: &mut Outbox) -> bool {
        let moment = Moment { now, partition: due.partition, offset: None, due: Some(due.at) };
        // Only rows of UTF-8 keys ever get a deadline.
        std::str::from_utf8(due.key).is_ok_and(|key| self.decide(key, row, Input::Deadline, &moment, None, out).0)
    }

    fn sweeps(&self, now: Millis, each: &mut dyn FnMut(Sweep<'_>)) {
        self.plans.sweeps(now, |sweep| {
            let campaign::Sweep { name, at, pace, turn } = sweep;
            each(Sweep { name, at, pace, begins: turn == Turn::Comes, goes_on: turn != Turn::Rests });
        });
    }

    fn sweep(&mut self, row: &mut Row, campaign: &str, due: &Due<'_>, now: Millis, out: &mut Outbox) -> bool {
        let moment = Moment { now, partition: due.partition, offset: None, due: Some(due.at) };
        let input = Input::Sweep { campaign };
        // Nor do others have a row.
        std::str::from_utf8(due.key).is_ok_and(|key| self.decide(key, row, input, &moment, None, out).0)
    }

    fn broadcast(&mut self, record: &Incoming<'_>, _now: Millis, out: &mut Outbox) {
        // Progress of the sources; all else without a key is nobody's.
        match schemas::decode::<schemas::Input>(record.value.unwrap_or_default()) {
            Ok(schemas::Input { fact: Fact::Progress(_), .. }) => {}
            Ok(_) => self.refuse(record, "no_key", "a fact about a customer came without a key", out),
            Err(error) => self.refuse(record, error.code(), &error.to_string(), out),
        }
    }

    fn reference(&mut self, _key: &[u8], value: Option<&[u8]>) {
        let Some(value) = value else { return };
        match schemas::decode::<Campaign>(value) {
            Ok(record) => match self.plans.apply(&record) {
                Ok(()) => {
                    tracing::info!(campaign = record.campaign, version = record.version, kind = ?record.kind, "taken up")
                }
                // Every replica refuses it alike, so that they still decide alike.
                Err(problems) => {
                    let first = problems.first().map(ToString::to_string).unwrap_or_default();
                    tracing::error!(
                        campaign = record.campaign,
                        version = record.version,
                        "a campaign record is refused: {first}"
                    );
                }
            },
            Err(error) => tracing::error!("a record of the campaign topic cannot be read: {error}"),
        }
    }
}
