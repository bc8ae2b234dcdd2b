//! The topic `campaign` in the hands of one applicant.

use campaign::{Plans, Problem, State};
use schemas::{Campaign, CampaignKind, Millis};
use stream::kafka::Producer;

use super::documents::{Document, Kind};
use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::{reading, times, topics};

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

    /// What is wrong with documents that are news beside all that is in force: campaigns that begin one another for ever.
    pub fn together(&self, documents: &[Document]) -> Vec<Problem> {
        let is_news =
            |document: &&Document| matches!(document.kind, Kind::Definition { .. }) && self.judge(document) == Ok(true);
        let news: Vec<&Document> = documents.iter().filter(is_news).collect();
        // A campaign that is stopped begins with nobody.
        let names = self.names().into_iter();
        let running = names.filter(|name| !matches!(self.plans.state(name), Some(State::Stopped { .. })));
        let known = running.filter_map(|name| self.newest(name));
        let known = known.map(|record| (record.campaign.as_str(), record.definition.as_str()));
        let files: Vec<(&str, &str)> =
            known.chain(news.iter().map(|document| (document.path.as_str(), document.text.as_str()))).collect();
        let mut problems = campaign::together(&files);
        problems.retain(|problem| news.iter().any(|document| document.path == problem.source));
        problems
    }

    /// Warnings of what a document that is news asks of a past of which nothing is remembered, each with a line break behind it.
    pub fn unknown_past(&self, document: &Document) -> String {
        match document.kind {
            Kind::Definition { .. } => campaign::unknown_past(&document.path, &document.text, &self.plans)
                .iter()
                .map(|warning| format!("{warning}\n\n"))
                .collect(),
            Kind::Prices | Kind::Rates | Kind::Caps => String::new(),
        }
    }

    /// That a campaign which is news names a moment that an earlier version has had, and what to do; nothing if that is not so.
    pub fn met_before(&self, document: &Document, now: Millis) -> Option<String> {
        let plan = campaign::parse(&document.path, &document.text).ok();
        let plan = plan.filter(|_| matches!(document.kind, Kind::Definition { .. }))?;
        let (version, at) = self.plans.met_before(&plan, now)?;
        Some(format!(
            "the moment of version {version}, {}, has come already, and whoever was met then is not met again for that moment or an \
             earlier one: write a later `at`",
            times::utc(at)
        ))
    }

    fn is_new_table(&self, kind: CampaignKind, document: &Document) -> bool {
        let last = self.records.iter().rev().find(|record| record.kind == kind);
        last.is_none_or(|last| last.definition != document.text)
    }

    /// Takes a record into account before it is published.
    pub fn note(&mut self, record: &Campaign) {
        self.records.push(record.clone());
    }

    /// Names of all campaigns, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.plans.all().map(|plan| plan.name.as_str()).collect()
    }

    /// Everything that is in force.
    pub fn plans(&self) -> &Plans {
        &self.plans
    }

    /// The last definition of a campaign.
    pub fn newest(&self, campaign: &str) -> Option<&Campaign> {
        let is_of = |record: &&Campaign| record.kind == CampaignKind::Definition && record.campaign == campaign;
        self.records.iter().filter(is_of).max_by_key(|record| record.version)
    }

    /// Takes a word about a campaign's life into account before it is published.
    ///
    /// # Errors
    /// `Campaign`, with what is wrong with it.
    pub fn say(&mut self, record: &Campaign) -> Result<(), Failure> {
        if self.plans.newest(&record.campaign).is_none() {
            let known = self.names().join(", ");
            let sentence =
                format!("there is no campaign {}: apply its definition first (there are: {known})", record.campaign);
            return Err(Failure::new(Exit::Campaign, sentence));
        }
        self.plans.apply(record).map_err(|problems| {
            let sentences: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
            Failure::new(Exit::Campaign, sentences.join("\n"))
        })
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

/// `campaign/version` for definitions, `kind` for tables, of which the last word counts, else `campaign/kind/moment`: compaction keeps
/// every version and all that was said of a campaign's life.
fn key(record: &Campaign) -> String {
    let Campaign { campaign, version, kind, applied_at, .. } = record;
    match kind {
        CampaignKind::Definition => format!("{campaign}/{version}"),
        CampaignKind::Prices | CampaignKind::Rates | CampaignKind::Caps => format!("{campaign}/{kind}"),
        kind => format!("{campaign}/{kind}/{applied_at}"),
    }
}
