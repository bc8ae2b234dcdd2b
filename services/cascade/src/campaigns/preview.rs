//! `cascade render`: a template as a customer would get it, without Kafka and without sending it.
//!
//! It is made as a worker makes it: same files, same strictness, blocks are fetched. Links are as long as real ones, but open nothing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use channels::link::Linker;
use channels::render::content::{self, Content};
use channels::render::{Flaw, Renderer, Trouble};
use channels::transport::Message;
use schemas::token::{Keyring, Kind};
use schemas::{Class, Id, Send, sms};
use serde::Deserialize;
use stream::clock::Tick;
use tokio::runtime::Runtime;

use crate::config::{self, Flags, Process, Reader};
use crate::failure::{Exit, Failure};

/// Which template, for whom.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the template, without the channel
    pub template: String,
    /// Whom it is for, as JSON: {"customer_id": "c1", "locale": "ru", "campaign": "cart", "class": "MARKETING", "fields": {"name": "Anna"}}; all
    /// may be left out
    #[arg(long, value_name = "FILE")]
    pub customer: PathBuf,
    /// Only as it is on this channel; may be given again. Otherwise as on all channels that have it
    #[arg(long, value_name = "NAME")]
    pub channel: Vec<String>,
    /// For this locale instead of the customer's
    #[arg(long, value_name = "TAG")]
    pub locale: Option<String>,
}

/// Whom a preview is for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Customer {
    customer_id: String,
    locale: Option<String>,
    campaign: String,
    class: Class,
    fields: BTreeMap<String, Field>,
}

/// Fields of commands are texts; a preview takes numbers and truth values as they would be written.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Field {
    Text(String),
    Number(serde_json::Number),
    Truth(bool),
}

impl Field {
    fn text(&self) -> String {
        match self {
            Field::Text(text) => text.clone(),
            Field::Number(number) => number.to_string(),
            Field::Truth(truth) => truth.to_string(),
        }
    }
}

/// One channel's templates.
#[derive(Debug)]
struct Place {
    channel: String,
    directory: PathBuf,
    content: content::Config,
}

/// Where the tracker stands that links would lead through.
const TRACKER: &str = "https://tracker.example";

/// A service whose blocks do not come in this time does not answer.
const BLOCKS: Duration = Duration::from_secs(15);

/// Shows the template on each channel.
///
/// # Errors
/// `Input` for a customer that cannot be read, and for templates that cannot be made into a message: which line, and why.
pub fn run(flags: &Flags, args: &Args) -> Result<String, Failure> {
    let (places, tracker) = config::read(flags, &Process, |reader| read(reader, &args.channel))?;
    let send = send(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(Failure::unexpected)?;
    let has = |place: &&Place| place.directory.join(format!("{}.{}.txt", args.template, place.channel)).exists();
    let there: Vec<&Place> = places.iter().filter(|place| !args.channel.is_empty() || has(place)).collect();
    if there.is_empty() {
        let asked: Vec<String> =
            places.iter().map(|place| format!("{}.{}.txt", args.template, place.channel)).collect();
        let sentence =
            format!("there is no template {}: looked for {} in templates.dir", args.template, asked.join(", "));
        return Err(Failure::new(Exit::Input, sentence));
    }
    let shown = there.into_iter().map(|place| show(place, &send, &tracker, &runtime));
    Ok(shown.collect::<Result<Vec<_>, _>>()?.join("\n"))
}

fn read(reader: &mut Reader<'_>, only: &[String]) -> (Vec<Place>, String) {
    let directory = reader.text("templates.dir");
    let names = if only.is_empty() { reader.names("channels") } else { only.to_vec() };
    let mut places = Vec::new();
    for channel in names {
        let mut section = reader.section(&channel);
        let own = section.get("templates").and_then(toml::Value::as_str).map(str::to_owned);
        let content = section.remove("content").map(content::Config::deserialize).transpose();
        match content {
            Ok(content) => places.push(Place {
                directory: PathBuf::from(own.unwrap_or_else(|| directory.clone())),
                content: content.unwrap_or_default(),
                channel,
            }),
            Err(error) => {
                reader.problem(format!("channel.{channel}.content: {}: correct the section", error.message()))
            }
        }
    }
    let tracker = reader.optional("tracker.url").filter(|url| !url.is_empty());
    (places, tracker.map_or_else(|| TRACKER.to_owned(), |url| url.trim_end_matches('/').to_owned()))
}

fn send(args: &Args) -> Result<Send, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Input, format!("the customer in {} cannot be read: {error}", args.customer.display()))
    };
    let text = std::fs::read_to_string(&args.customer).map_err(|error| unreadable(&error))?;
    let customer: Customer = serde_json::from_str(&text).map_err(|error| unreadable(&error))?;
    Ok(Send {
        fields: customer.fields.iter().map(|(name, value)| (name.clone(), value.text())).collect(),
        customer_id: customer.customer_id,
        campaign: customer.campaign,
        class: if customer.class == Class::Unspecified { Class::Marketing } else { customer.class },
        locale: args.locale.clone().or(customer.locale),
        template: args.template.clone(),
        ..Send::default()
    })
}

fn show(place: &Place, send: &Send, tracker: &str, runtime: &Runtime) -> Result<String, Failure> {
    let all = |problems: Vec<String>| Failure::new(Exit::Input, problems.join("\n"));
    let (linker, keyring) = Linker::stand_in(tracker).map_err(Failure::unexpected)?;
    let content = Content::stand_in(&place.content, runtime.handle()).map_err(all)?;
    let renderer = Renderer::new(&place.directory, &place.channel, Some(linker)).map_err(all)?.with(content);
    let send = Send { channel: place.channel.clone(), ..send.clone() };
    let message = composed(&renderer, &send, runtime).map_err(|trouble| told(&trouble, &send, &place.directory))?;
    let version = renderer.version(&send);
    Ok(page(&send, version.as_deref().unwrap_or_default(), &message, tracker, &keyring))
}

/// Makes it, and waits for blocks.
fn composed(renderer: &Renderer, send: &Send, runtime: &Runtime) -> Result<Message, Trouble> {
    let began = Tick::now();
    loop {
        match renderer.compose(Id::of_instance(&send.customer_id, "", "", ""), send, 0) {
            Err(trouble) if trouble.flaw == Flaw::WAITS && began.elapsed() < BLOCKS => {
                runtime.block_on(tokio::time::sleep(Duration::from_millis(5)));
            }
            made => return made,
        }
    }
}

fn told(trouble: &Trouble, send: &Send, directory: &Path) -> Failure {
    let place = match &trouble.place {
        Some((name, Some(line))) => format!("{}:{line}", directory.join(name).display()),
        Some((name, None)) => directory.join(name).display().to_string(),
        None => format!("{}.{} in {}", send.template, send.channel, directory.display()),
    };
    let locale = send.locale.as_ref().map(|locale| format!(" (for {locale})")).unwrap_or_default();
    Failure::new(Exit::Input, format!("{place}{locale}: {}", trouble.words))
}

fn page(send: &Send, version: &str, message: &Message, tracker: &str, keyring: &Keyring) -> String {
    let mut page = format!("{} on {}, version {version}", send.template, send.channel);
    let _ = writeln!(page, "{}", send.locale.as_ref().map(|locale| format!(", for {locale}")).unwrap_or_default());
    let mut part = |name: &str, text: Option<&str>| {
        let Some(text) = text else { return };
        let _ = writeln!(page, "  {name}");
        for line in text.lines() {
            let _ = writeln!(page, "    {line}");
        }
    };
    part("subject", message.subject.as_deref());
    part("text", Some(&message.text));
    part("html", message.html.as_deref());
    part("link", message.link.as_deref());
    let texts = [Some(&message.text), message.html.as_ref(), message.link.as_ref(), message.unsubscribe.as_ref()];
    let mut links: Vec<String> = Vec::new();
    for link in texts.into_iter().flatten().flat_map(|text| links_of(text)).map(|link| leads(link, tracker, keyring)) {
        if !links.contains(&link) {
            links.push(link);
        }
    }
    part("links", Some(&links.join("\n")).filter(|links| !links.is_empty()).map(String::as_str));
    if message.html.is_none() {
        let _ = writeln!(page, "  segments\n    {} as an SMS", sms::segments(&message.plain()));
    }
    page
}

/// Everything in a text that looks like an address of the web or of an app.
fn links_of(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| c.is_whitespace() || "\"'<>()".contains(c));
    words.filter(|word| word.split_once("://").is_some_and(|(scheme, rest)| !rest.is_empty() && is_scheme(scheme)))
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Where a link leads in the end.
fn leads(link: &str, tracker: &str, keyring: &Keyring) -> String {
    match link.strip_prefix(tracker).and_then(|rest| rest.split_at_checked(3)) {
        Some(("/c/", token)) => match keyring.verify(token, Kind::Click, 0) {
            Ok(token) => format!("{} through the tracker", token.target),
            Err(_) => link.to_owned(),
        },
        Some(("/o/", _)) => "the pixel that tells of an open".to_owned(),
        Some(("/u/", _)) => "the page to unsubscribe".to_owned(),
        _ => link.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of template `t` on push and sms, whose files these are.
    fn shown(files: &[(&str, &str)], customer: &str) -> Result<String, Failure> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files.iter().chain([&("customer", customer)]) {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let args = Args {
            template: "t".to_owned(),
            customer: directory.path().join("customer"),
            channel: Vec::new(),
            locale: None,
        };
        let dir = directory.path().display().to_string();
        let flags = Flags::of(&[("templates.dir", &dir), ("channels", "push,sms")], None);
        run(&flags, &args).map_err(|failure| Failure::new(failure.exit, failure.sentence.replace(&dir, "DIR")))
    }

    #[test]
    fn each_channel_shows_its_parts_segments_and_links() {
        let files = [
            ("t.push.txt", "Hello {{ name }}"),
            ("t.push.subject", "Your cart"),
            ("t.push.link", "{{ deep_link('cart', n=count) }}"),
            ("t.push.html", "<a href=\"https://a.example/?x=1&amp;y=2\">{{ name }}</a>"),
            ("t.sms.txt", "{{ name }}: {{ promo_code() }} app://cart"),
            ("t.sms.ru.txt", "{{ name }}: код {{ promo_code() }} app://cart"),
        ];
        let page = shown(&files, r#"{"customer_id": "c1", "locale": "ru-RU", "fields": {"name": "<A>", "count": 2}}"#)
            .unwrap();
        let wanted = [
            "t on push, version ",
            "\n  subject\n    Your cart\n  text\n    Hello <A>\n  html\n",
            ">&lt;A&gt;</a>",
            "https://a.example/?x=1&y=2 through the tracker\n    the pixel that tells of an open\n    https://shop.example/cart?n=2 through the tracker\n    the page to unsubscribe\n",
            "t on sms, version ",
            ", for ru-RU\n  text\n    <A>: код ",
            "    app://cart\n    the page to unsubscribe\n  segments\n    1 as an SMS\n",
        ];
        for part in wanted {
            assert!(page.contains(part), "{part}\n{page}");
        }
        assert_eq!(page.matches("segments").count(), 1, "a page is no SMS\n{page}");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let sentence = |files: &[(&str, &str)], customer: &str| shown(files, customer).unwrap_err().sentence;
        assert!(sentence(&[("t.sms.txt", "Hello\n{{ name }}")], "{}").starts_with("DIR/t.sms.txt:2: undefined value"));
        assert!(sentence(&[("t.sms.txt", "{{ name")], "{}").starts_with("template t.sms.txt: syntax error"));
        assert!(
            sentence(&[("t.sms.txt", "x")], "{\"name\": 1}").contains("customer cannot be read: unknown field `name`")
        );
        assert_eq!(
            sentence(&[("a.sms.txt", "x")], "{}"),
            "there is no template t: looked for t.push.txt, t.sms.txt in templates.dir"
        );
    }
}
