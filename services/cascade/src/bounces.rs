//! `cascade bounces`: reads mails that came back, and says what became of the sends.
//!
//! A mail counts as done once Kafka has its fact, or once it is clear that it says nothing; in a Maildir it goes from `new` to
//! `cur` then. So a mail server may pipe each mail into the command and repeat it on exit code 75, and a Maildir may be read again
//! at any time: a fact that is told twice has the same id.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use channels::bounce::{self, Bounce, MAIL_BYTES_MAX, Useless};
use mail_parser::mailbox::mbox::MessageIterator;
use schemas::token::{Key, Keyring};
use schemas::{Actor, Attempt, Feedback, Id, Outcome, decode, encode};
use serde::Deserialize;
use stream::publisher::Publisher;

use crate::config::{self, Common, Flags, Process, Reader};
use crate::failure::{Exit, Failure};
use crate::{logs, reading, topics};

/// What to read.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A Maildir: everything in `new` is read, and goes to `cur`
    #[arg(long, value_name = "DIR", conflicts_with = "mbox")]
    pub maildir: Option<PathBuf>,
    /// A file of many mails. Without both, one mail is read from stdin
    #[arg(long, value_name = "FILE")]
    pub mbox: Option<PathBuf>,
    /// The channel that the mails went out on, for reports that do not enclose the mail's headers
    #[arg(long, value_name = "NAME", default_value = "email")]
    pub channel: String,
}

/// The keys that sign links also sign what bounces bring back. None only if there are problems.
fn keys(reader: &mut Reader<'_>) -> Option<Keyring> {
    let keys = reader.keys("tracker.keys", "tracker.secret").into_iter().map(toml::Value::Table);
    let keys: Result<Vec<Key>, _> = keys.map(Key::deserialize).collect();
    let keys = keys.map_err(|error| vec![error.message().to_owned()]).and_then(|keys| Keyring::load(&keys));
    keys.map_err(|problems| problems.into_iter().for_each(|problem| reader.problem(problem))).ok()
}

/// A mail, and the file that it stands in, if that is its own.
struct Mail {
    bytes: Vec<u8>,
    file: Option<PathBuf>,
}

/// Publishes what the mails say; tells how many said what.
///
/// # Errors
/// `Input` if the mails cannot be read, `NotNow` if Kafka did not take a fact: nothing that it has not taken counts as done.
pub fn run(flags: &Flags, args: &Args) -> Result<String, Failure> {
    let (common, keys) = config::read(flags, &Process, |reader| (Common::read(reader), keys(reader)))?;
    let keys = keys.ok_or_else(|| Failure::unexpected("the keys were not read"))?;
    logs::start(&common.logs);
    let feedback = common.topics.feedback();
    topics::require(&common, std::slice::from_ref(&feedback))?;
    let clock = common.time.clock()?;
    let publisher = Publisher::new(&common.kafka, &[&feedback])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::unexpected)?;
    let mails = mails(args)?;
    let read: Vec<Result<Bounce, Useless>> = mails.iter().map(|mail| bounce::read(&mail.bytes, &keys)).collect();
    let customers = customers(&common, &args.channel, &read)?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (mail, read) in mails.iter().zip(read) {
        let fact = read.and_then(|bounce| fact(bounce, &customers, args, clock.now()));
        match fact {
            Ok(fact) => {
                let (key, value) = (fact.customer_id.as_bytes(), encode(&fact));
                let published = runtime.block_on(publisher.publish(&feedback, None, Some(key), Some(&value), &[]));
                published.map_err(|error| Failure::new(Exit::NotNow, format!("{error}; read the mails again")))?;
                *counts.entry(fact.status.as_str().to_ascii_lowercase()).or_default() += 1;
            }
            Err(useless) => *counts.entry(useless.as_str().to_owned()).or_default() += 1,
        }
        if let Some(file) = &mail.file {
            done(file)?;
        }
    }
    Ok(counts.iter().map(|(what, count)| format!("{count} {what}\n")).collect())
}

fn fact(
    bounce: Bounce,
    customers: &HashMap<Id, String>,
    args: &Args,
    now: schemas::Millis,
) -> Result<Feedback, Useless> {
    let Bounce { send_id, whose, status, code } = bounce;
    let known = whose.or_else(|| Some((customers.get(&send_id)?.clone(), args.channel.clone())));
    let (customer_id, channel) = known.ok_or(Useless::NotOurs)?;
    Ok(Feedback {
        event_id: format!("{send_id}/{status}/bounces"),
        customer_id,
        occurred_at: now,
        send_id: Some(send_id.to_string()),
        channel,
        status,
        actor: Actor::Unspecified,
        provider: "bounces".to_owned(),
        provider_id: None,
        code,
        outcome: Outcome::Unspecified,
    })
}

/// Whom the sends were for that no report names a customer of. The topic is read once, and only if there are any.
fn customers(common: &Common, channel: &str, read: &[Result<Bounce, Useless>]) -> Result<HashMap<Id, String>, Failure> {
    let unknown = read.iter().flatten().filter(|bounce| bounce.whose.is_none());
    let wanted: BTreeSet<String> = unknown.map(|bounce| bounce.send_id.to_string()).collect();
    let mut found = HashMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let topic = common.topics.attempt(channel);
    for partition in 0..reading::partitions(&common.kafka, &topic)? {
        reading::partition(&common.kafka, &topic, partition, |record| {
            let is_wanted =
                record.key().and_then(|key| std::str::from_utf8(key).ok()).is_some_and(|key| wanted.contains(key));
            if let (true, Some(Ok(attempt))) = (is_wanted, record.value().map(decode::<Attempt>))
                && let Some(id) = Id::parse(&attempt.send_id)
            {
                found.insert(id, attempt.customer_id);
            }
        })?;
    }
    Ok(found)
}

fn mails(args: &Args) -> Result<Vec<Mail>, Failure> {
    if let Some(directory) = &args.maildir {
        return maildir(&directory.join("new"));
    }
    if let Some(path) = &args.mbox {
        let file = std::fs::File::open(path).map_err(|error| unusable(path, &error))?;
        let mails = MessageIterator::new(std::io::BufReader::new(file));
        return mails
            .map(|mail| {
                let mail = mail.map_err(|_| Failure::new(Exit::Input, format!("{} is no mbox", path.display())))?;
                Ok(Mail { bytes: mail.unwrap_contents(), file: None })
            })
            .collect();
    }
    Ok(vec![Mail { bytes: whole(std::io::stdin().lock(), Path::new("stdin"))?, file: None }])
}

fn maildir(directory: &Path) -> Result<Vec<Mail>, Failure> {
    let failed = |error: std::io::Error| unusable(directory, &error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.sort();
    let read = |file: PathBuf| {
        let open = std::fs::File::open(&file).map_err(|error| unusable(&file, &error))?;
        Ok(Mail { bytes: whole(open, &file)?, file: Some(file) })
    };
    files.into_iter().map(read).collect()
}

/// As much of a mail as counts.
fn whole(from: impl Read, path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let most = u64::try_from(MAIL_BYTES_MAX).unwrap_or(u64::MAX);
    from.take(most).read_to_end(&mut bytes).map_err(|error| unusable(path, &error))?;
    Ok(bytes)
}

/// The mail goes to where a Maildir keeps what somebody has seen.
fn done(file: &Path) -> Result<(), Failure> {
    let (Some(new), Some(name)) = (file.parent(), file.file_name()) else { return Ok(()) };
    let seen = new.with_file_name("cur").join(format!("{}:2,S", name.to_string_lossy()));
    std::fs::rename(file, &seen).map_err(|error| unusable(&seen, &error))
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Input, format!("{}: {error}", path.display()))
}
