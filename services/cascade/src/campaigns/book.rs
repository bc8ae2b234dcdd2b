//! The topic `campaign` in the hands of one applicant.

use campaign::Plans;
use schemas::{Campaign, CampaignKind};
use stream::kafka::Producer;

use super::documents::{Document, Kind};
use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::{reading, topics};

/// Everything that was ever said about campaigns, and the right to add to it. Two who apply at once cannot both succeed: the
/// producer of the second fences the first, which has read the topic before.
pub struct Book {
    records: Vec<Campaign>,
    plans: Plans,
    pen: Option<(Producer, usize)>,
}

impl Book {
    /// Takes the right to write, then reads all there is.
    ///
    /// # Errors
    /// Those of Kafka, and a missing topic.
    pub fn open(common: &Common) -> Result<Self, Failure> {
        let topic = common.topics.campaign();
        topics::require(common, std::slice::from_ref(&topic))?;
        let mut producer = Producer::new(&common.kafka, &format!("cascade-{topic}"))?;
        let pen = producer.topic(&topic)?;
        let mut book = Book::of(read(common)?);
        book.pen = Some((producer, pen));
        Ok(book)
    }

    /// A book that holds these records and cannot be written to.
    pub fn of(records: Vec<Campaign>) -> Self {
        let mut plans = Plans::default();
        for record in &records {
            if let Err(problems) = plans.apply(record) {
                tracing::warn!(
                    campaign = record.campaign,
                    version = record.version,
                    problems = problems.len(),
                    "a record is refused"
                );
            }
        }
        Book { records, plans, pen: None }
    }

    /// Whether a document is news.
    ///
    /// # Errors
    /// A sentence, if it contradicts what was said before.
    pub fn judge(&self, document: &Document) -> Result<bool, String> {
        match &document.kind {
            Kind::Prices => Ok(self.is_new_table(CampaignKind::Prices, document)),
            Kind::Rates => Ok(self.is_new_table(CampaignKind::Rates, document)),
            Kind::Caps => Ok(self.is_new_table(CampaignKind::Caps, document)),
            Kind::Definition { campaign, version } => {
                let definitions = || {
                    let same =
                        |record: &&Campaign| record.kind == CampaignKind::Definition && record.campaign == *campaign;
                    self.records.iter().filter(same)
                };
                let newest = definitions().map(|record| record.version).max();
                match definitions().find(|record| record.version == *version) {
                    Some(known) if known.definition == document.text => Ok(false),
                    Some(_) => Err(format!(
                        "version {version} of {campaign} exists with another text, and versions never change: make it version {}",
                        newest.unwrap_or(*version) + 1
                    )),
                    None => match newest {
                        Some(newest) if newest > *version => Err(format!(
                            "version {version} of {campaign} is older than version {newest}, which is in force: make it version {}",
                            newest + 1
                        )),
                        _ => Ok(true),
                    },
                }
            }
        }
    }

    fn is_new_table(&self, kind: CampaignKind, document: &Document) -> bool {
        let last = self.records.iter().rev().find(|record| record.kind == kind);
        last.is_none_or(|last| last.definition != document.text)
    }

    /// Takes a record into account before it is published.
    pub fn note(&mut self, record: &Campaign) {
        self.records.push(record.clone());
    }

    /// Whether a version of this campaign was ever applied.
    pub fn knows(&self, campaign: &str) -> bool {
        self.plans.newest(campaign).is_some()
    }

    /// Names of all campaigns.
    pub fn names(&self) -> Vec<String> {
        names(&self.records)
    }

    /// The last word about a campaign's state.
    pub fn state_of(&self, campaign: &str) -> Option<CampaignKind> {
        state_of(&self.records, campaign)
    }

    /// Publishes records in one transaction.
    ///
    /// # Errors
    /// `NotNow` if somebody else applied meanwhile: look at what they did, and try again.
    pub fn publish(&mut self, records: &[Campaign]) -> Result<(), Failure> {
        let Some((producer, topic)) = &mut self.pen else {
            return Err(Failure::unexpected("this book can only be read"));
        };
        producer.begin()?;
        for record in records {
            let value = schemas::encode(record);
            producer.produce(*topic, Some(0), Some(key(record).as_bytes()), Some(&value), &[])?;
        }
        producer.commit().map_err(|error| {
            Failure::new(
                Exit::NotNow,
                format!("{error}: see `cascade campaign list` for what was applied, and try again"),
            )
        })
    }
}

/// All records of the topic, in order.
///
/// # Errors
/// Those of Kafka.
pub fn read(common: &Common) -> Result<Vec<Campaign>, Failure> {
    let topic = common.topics.campaign();
    topics::require(common, std::slice::from_ref(&topic))?;
    let mut records = Vec::new();
    reading::partition(&common.kafka, &topic, 0, |record| match record.value().map(schemas::decode::<Campaign>) {
        Some(Ok(read)) => records.push(read),
        Some(Err(error)) => tracing::warn!(offset = record.offset(), %error, "a campaign record cannot be read"),
        None => {}
    })?;
    Ok(records)
}

/// Names of all campaigns that have a definition, sorted.
pub fn names(records: &[Campaign]) -> Vec<String> {
    let defined = records.iter().filter(|record| record.kind == CampaignKind::Definition);
    let mut names: Vec<String> = defined.map(|record| record.campaign.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// The last word about a campaign's state; none while only definitions were applied.
pub fn state_of(records: &[Campaign], campaign: &str) -> Option<CampaignKind> {
    let mut state = None;
    for record in records.iter().filter(|record| record.campaign == campaign) {
        state = match record.kind {
            CampaignKind::Paused | CampaignKind::Resumed | CampaignKind::Stopped => Some(record.kind),
            // A new version of a stopped campaign starts it again; a paused one stays paused.
            CampaignKind::Definition if state == Some(CampaignKind::Stopped) => None,
            _ => state,
        };
    }
    state
}

/// `campaign/version` for definitions, else `campaign/kind`: compaction keeps every version and the last word of each kind.
fn key(record: &Campaign) -> String {
    match record.kind {
        CampaignKind::Definition => format!("{}/{}", record.campaign, record.version),
        kind => format!("{}/{kind}", record.campaign),
    }
}
