//! `cascade state show|verify|export`: what the operator knows, read from the changelog.

use std::io::Write;
use std::path::PathBuf;

use campaign::Row;
use schemas::{Customer, Key};
use serde_json::{Value, json};
use stream::audit::{self, Audit};
use stream::kafka::partition_of;

use crate::config::{Common, Flags, Process};
use crate::failure::{Exit, Failure};
use crate::{cli, common, config, logs, reading, topics};

/// Stands for what is not shown.
const HIDDEN: &str = "hidden";

/// Whose row.
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    /// The customer's id
    #[arg(value_name = "CUSTOMER")]
    pub customer: String,
    /// Addresses, too
    #[arg(long)]
    pub addresses: bool,
}

/// What is exported.
#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    /// Addresses, too
    #[arg(long)]
    pub addresses: bool,
}

/// `cascade state …`. Gives back what to print.
///
/// # Errors
/// Those of the tools.
pub fn run(command: cli::State) -> Result<String, Failure> {
    use cli::State as Command;
    match command {
        Command::Show { args, flags } => show(&common(&flags)?, &args),
        Command::Verify(flags) => verify(&flags),
        Command::Export { args, flags } => export(&common(&flags)?, &args),
    }
}

/// A customer's row.
///
/// # Errors
/// `Unknown` if there is none; those of Kafka.
fn show(common: &Common, args: &ShowArgs) -> Result<String, Failure> {
    let found = find(common, &args.customer)?;
    let (partition, row) = found.ok_or_else(|| {
        let sentence =
            format!("nothing is known of customer {}: check the id and the setting topics.prefix", args.customer);
        Failure::new(Exit::Unknown, sentence)
    })?;
    let told = told(&args.customer, partition, &row, args.addresses)?;
    Ok(format!("{told:#}\n"))
}

/// Reads one row. Its partition, and what is in it.
///
/// # Errors
/// Those of Kafka; `Unexpected` if it cannot be read.
pub fn find(common: &Common, customer: &str) -> Result<Option<(i32, Row)>, Failure> {
    let topic = common.topics.changelog();
    topics::require(common, std::slice::from_ref(&topic))?;
    let partition = partition_of(customer.as_bytes(), reading::partitions(&common.kafka, &topic)?);
    let mut found = None;
    stream::read_rows(&common.kafka, &topic, partition, |key, bytes| {
        if key == customer.as_bytes() {
            found = Some(Row::decode(bytes));
        }
    })?;
    match found {
        None => Ok(None),
        Some(Ok(row)) => Ok(Some((partition, row))),
        Some(Err(error)) => Err(Failure::unexpected(format!("the row cannot be read ({error}): upgrade first"))),
    }
}

/// Every row, one JSON object in a line, as it is read.
fn export(common: &Common, args: &ExportArgs) -> Result<String, Failure> {
    let topic = common.topics.changelog();
    topics::require(common, std::slice::from_ref(&topic))?;
    let mut out = std::io::stdout().lock();
    for partition in 0..reading::partitions(&common.kafka, &topic)? {
        let mut ended = Ok(());
        stream::read_rows(&common.kafka, &topic, partition, |key, bytes| {
            if ended.is_ok() {
                ended = line(key, partition, bytes, args.addresses).map(|line| {
                    // Whoever closed the pipe has seen enough.
                    let _ = writeln!(out, "{line}");
                });
            }
        })?;
        ended?;
    }
    Ok(String::new())
}

fn line(key: &[u8], partition: i32, bytes: &[u8], addresses: bool) -> Result<Value, Failure> {
    let row =
        Row::decode(bytes).map_err(|error| Failure::unexpected(format!("a row of partition {partition}: {error}")))?;
    told(&String::from_utf8_lossy(key), partition, &row, addresses)
}

/// A row as JSON: whose it is, where it is, when it is looked at again, and all that is in it.
fn told(key: &str, partition: i32, row: &Row, addresses: bool) -> Result<Value, Failure> {
    let (kind, mut fields) = match row {
        Row::Customer(customer) => ("customer", Ok(person(customer))),
        Row::Budget(budget) => ("budget", serde_json::to_value(budget)),
        Row::Address(address) => ("address", serde_json::to_value(address)),
    };
    if let Ok(fields) = &mut fields
        && !addresses
    {
        hide(fields);
    }
    let whose = match Key::of(key) {
        Key::Customer(id) => id.to_owned(),
        _ => key.trim_start_matches('\u{1}').to_owned(),
    };
    let fields = fields.map_err(Failure::unexpected)?;
    Ok(json!({ "kind": kind, "key": whose, "partition": partition, "due": row.due(), "row": fields }))
}

/// A customer by the names of the fields. What is written is packed, and nothing to read.
fn person(customer: &Customer) -> Value {
    let Customer { contacts, consents, time_zone, locale, attributes, profile_at, .. } = customer;
    let Customer { addresses_know, held, instances, past, unsettled, done, heard, counted, .. } = customer;
    let Customer { begun, passed, recent, dead, formerly, moved_to, .. } = customer;
    json!({
        "contacts": contacts, "consents": consents, "time_zone": time_zone, "locale": locale, "attributes": attributes,
        "profile_at": profile_at, "addresses_know": addresses_know, "held": held, "instances": instances, "past": past,
        "unsettled": unsettled, "done": done, "heard": heard, "counted": counted, "begun": begun, "passed": passed, "recent": recent,
        "dead": dead, "formerly": formerly, "moved_to": moved_to,
    })
}

/// Addresses, and what campaigns and shops have written about people.
fn hide(fields: &mut Value) {
    for contact in fields.get_mut("contacts").and_then(Value::as_array_mut).into_iter().flatten() {
        contact["address"] = HIDDEN.into();
    }
    hide_texts(fields.get_mut("attributes"));
    // What a trigger brought is the shop's, too.
    for instance in fields.get_mut("instances").and_then(Value::as_array_mut).into_iter().flatten() {
        hide_texts(instance.get_mut("fields"));
        hide_texts(instance.pointer_mut("/queued/fields"));
    }
}

fn hide_texts(texts: Option<&mut Value>) {
    for value in texts.and_then(Value::as_object_mut).into_iter().flat_map(|all| all.values_mut()) {
        *value = HIDDEN.into();
    }
}

/// Looks at every partition: rows that can be read, are where they belong and are written as they are read; METAs in their order; a position
/// that the input has; and the local store beside it, if there is one.
///
/// # Errors
/// `State`, with everything that is wrong; those of Kafka.
fn verify(flags: &Flags) -> Result<String, Failure> {
    let read = |reader: &mut config::Reader<'_>| (Common::read(reader), PathBuf::from(reader.required("state.dir")));
    let (common, dir) = config::read(flags, &Process, read)?;
    logs::start(&common.logs, logs::TOOLS);
    let (input, changelog) = (common.topics.input(), common.topics.changelog());
    topics::require(&common, &[input.clone(), changelog.clone()])?;
    let mut whole = Audit::default();
    let partitions = reading::partitions(&common.kafka, &changelog)?;
    for partition in 0..partitions {
        let mut found = audit::audit(&common.kafka, (&input, &changelog), partition, Some(&dir), judge)?;
        whole.rows += found.rows;
        whole.torn += found.torn;
        whole.compared = match (whole.compared, found.compared) {
            (None, found) => found,
            (known, None) => known,
            (Some(known), Some(found)) => Some(known + found),
        };
        whole.problems.append(&mut found.problems);
    }
    if !whole.problems.is_empty() {
        return Err(Failure::new(Exit::State, whole.problems.join("\n")));
    }
    let beside = match whole.compared {
        None => format!("no local store is in {}", dir.display()),
        Some(count) => format!("{count} of them are the same in {}", dir.display()),
    };
    let torn = match whole.torn {
        0 => String::new(),
        count => format!("; {count} torn rows wait for the next owner, who writes them anew"),
    };
    Ok(format!("{} rows in {partitions} partitions of {changelog} are as they should be; {beside}{torn}\n", whole.rows))
}

/// What is wrong with a row.
fn judge(key: &[u8], bytes: &[u8]) -> Option<String> {
    let row = match Row::decode(bytes) {
        Ok(row) => row,
        Err(error) => return Some(format!("a row cannot be read: {error}")),
    };
    if std::str::from_utf8(key).is_err() {
        return Some("a row has a key that is no text".to_owned());
    }
    if row.is_empty() {
        return Some("a row holds nothing and was not forgotten".to_owned());
    }
    let mut written = Vec::new();
    row.encode_into(&mut written);
    // Rows of an older form are read and written anew when they change.
    (Row::decode(&written).ok() != Some(row)).then(|| "a row is not written as it is read".to_owned())
}
