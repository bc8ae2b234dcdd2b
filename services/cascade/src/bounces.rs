//! `cascade bounces`: reads mails that came back, and what people wrote back, and says what became of the sends.
//!
//! A mail counts as done once Kafka has its fact (and before that what a person wrote, in `reply`), or once it is clear that it says nothing; in a Maildir it goes from `new` to
//! `cur` then. So a mail server may pipe each mail into the command and repeat it on exit code 75, and a Maildir may be read again
//! at any time: a fact that is told twice has the same id.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use channels::bounce::{self, Bounce, MAIL_BYTES_MAX, Useless};
use channels::echo;
use mail_parser::mailbox::mbox::MessageIterator;
use schemas::token::{Key, Keyring};
use schemas::{Actor, Attempt, Feedback, Id, Outcome, Reply, decode, encode};
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

/// What a mail says, and the file that it stands in, if that is its own. The mail itself is not kept: there may be many.
struct Mail {
    read: Result<Bounce, Useless>,
    file: Option<PathBuf>,
}

/// Publishes what the mails say; tells how many said what.
///
/// # Errors
/// `Input` if the mails cannot be read, `NotNow` if Kafka did not take a fact: nothing that it has not taken counts as done.
pub fn run(flags: &Flags, args: &Args) -> Result<String, Failure> {
    let (common, keys) = config::read(flags, &Process, |reader| (Common::read(reader), keys(reader)))?;
    let keys = keys.ok_or_else(|| Failure::unexpected("the keys were not read"))?;
    logs::start(&common.logs, logs::TOOLS);
    let (feedback, reply) = (common.topics.feedback(), common.topics.reply());
    topics::require(&common, &[feedback.clone(), reply.clone()])?;
    let clock = common.time.clock()?;
    let publisher = Publisher::new(&common.kafka, &[&feedback, &reply])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::unexpected)?;
    let (mails, unusable) = mails(args, &keys)?;
    let customers = customers(&common, &args.channel, &mails)?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    if unusable > 0 {
        counts.insert("unusable".to_owned(), unusable);
    }
    for Mail { read, file } in mails {
        let fact = read.and_then(|bounce| fact(bounce, &customers, args, clock.now()));
        match fact {
            Ok((fact, written)) => {
                let (key, value) = (fact.customer_id.as_bytes(), encode(&fact));
                let published = runtime.block_on(async {
                    if let Some(written) = written.map(|written| encode(&written)) {
                        publisher.publish(&reply, None, Some(key), Some(&written), &[]).await?;
                    }
                    publisher.publish(&feedback, None, Some(key), Some(&value), &[]).await
                });
                published.map_err(|error| Failure::new(Exit::NotNow, format!("{error}; read the mails again")))?;
                *counts.entry(fact.status.as_str().to_ascii_lowercase()).or_default() += 1;
            }
            Err(useless) => *counts.entry(useless.as_str().to_owned()).or_default() += 1,
        }
        if let Some(file) = &file {
            done(file)?;
        }
    }
    Ok(counts.iter().map(|(what, count)| format!("{count} {what}\n")).collect())
}

/// As which the facts are known.
const PROVIDER: &str = "bounces";

fn fact(
    bounce: Bounce,
    customers: &HashMap<Id, String>,
    args: &Args,
    now: schemas::Millis,
) -> Result<(Feedback, Option<Reply>), Useless> {
    let Bounce { send_id, whose, status, code, written } = bounce;
    let known = whose.or_else(|| Some((customers.get(&send_id)?.clone(), args.channel.clone())));
    let (customer_id, channel) = known.ok_or(Useless::NotOurs)?;
    let told = written.as_ref().and_then(|written| written.at);
    let occurred_at = echo::believed(told, now);
    let text = written.and_then(|written| written.text);
    let reply = text.map(|text| Reply {
        event_id: Id::of_reply(&customer_id, &channel, PROVIDER, told, text.as_str()).to_string(),
        customer_id: customer_id.clone(),
        channel: channel.clone(),
        provider: PROVIDER.to_owned(),
        send_id: Some(send_id.to_string()),
        text: text.as_str().to_owned(),
        occurred_at,
    });
    let fact = Feedback {
        event_id: format!("{send_id}/{status}/{PROVIDER}"),
        customer_id,
        occurred_at,
        send_id: Some(send_id.to_string()),
        channel,
        status,
        actor: Actor::Unspecified,
        provider: PROVIDER.to_owned(),
        provider_id: None,
        code,
        outcome: Outcome::Unspecified,
    };
    Ok((fact, reply))
}

/// Whom the sends were for that no report names a customer of. The topic is read once, and only if there are any.
fn customers(common: &Common, channel: &str, mails: &[Mail]) -> Result<HashMap<Id, String>, Failure> {
    let unknown = mails.iter().filter_map(|mail| mail.read.as_ref().ok()).filter(|bounce| bounce.whose.is_none());
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

/// What all mails say, and how many entries could not be read.
fn mails(args: &Args, keys: &Keyring) -> Result<(Vec<Mail>, u64), Failure> {
    let alone = |bytes: &[u8]| Mail { read: bounce::read(bytes, keys), file: None };
    if let Some(directory) = &args.maildir {
        return maildir(&directory.join("new"), keys);
    }
    if let Some(path) = &args.mbox {
        let file = std::fs::File::open(path).map_err(|error| unusable(path, &error))?;
        let mails = MessageIterator::new(std::io::BufReader::new(file)).map(|mail| {
            let mail = mail.map_err(|_| Failure::new(Exit::Input, format!("{} is no mbox", path.display())))?;
            Ok(alone(mail.contents()))
        });
        return Ok((mails.collect::<Result<_, Failure>>()?, 0));
    }
    Ok((vec![alone(&whole(std::io::stdin().lock(), Path::new("stdin"))?)], 0))
}

/// An entry that is no file, or not ours to read, stays where it is and holds up no other.
fn maildir(directory: &Path, keys: &Keyring) -> Result<(Vec<Mail>, u64), Failure> {
    let failed = |error: std::io::Error| unusable(directory, &error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.sort();
    let (mut mails, mut skipped) = (Vec::new(), 0);
    for file in files {
        let open = std::fs::File::open(&file).map_err(|error| unusable(&file, &error));
        match open.and_then(|open| whole(open, &file)) {
            Ok(bytes) => mails.push(Mail { read: bounce::read(&bytes, keys), file: Some(file) }),
            Err(failure) => {
                tracing::warn!("a mail is skipped: {failure}");
                skipped += 1;
            }
        }
    }
    Ok((mails, skipped))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_entry_of_a_maildir_holds_up_no_other() {
        let keys = Keyring::new(vec![(1, b"links are signed with this secret".to_vec())]).unwrap();
        let maildir = tempfile::tempdir().unwrap();
        let new = maildir.path().join("new");
        std::fs::create_dir_all(new.join("a-directory")).unwrap();
        std::fs::write(new.join("b"), "From: a@b.example\r\n\r\nI am away.\r\n").unwrap();
        let (mails, skipped) = super::maildir(&new, &keys).unwrap();
        assert_eq!((mails.len(), skipped), (1, 1));
        assert!(mails[0].file.as_ref().is_some_and(|file| file.ends_with("b")));
        assert_eq!(mails[0].read, Err(Useless::NoReport));
    }
}
