//! A command and a template make a message.
//!
//! *Files.* Templates are Jinja (`minijinja`). `cart.email.txt`, `cart.email.html`, `cart.email.subject` and `cart.email.link` make the
//! text, the page, the subject (title) and the link of template `cart` on channel `email`; only the text must be there. What
//! begins with an underscore is a fragment for all of them: `{% include "_foot.html" %}`. A locale before the ending
//! (`cart.email.ru.txt`, `_foot.pt-BR.html`) is for customers who have it; others get the wider one (`pt`), or that without. A
//! locale that has one part of a message has all that are read.
//!
//! *What a template sees.* The command's fields by name, and beside them `campaign`, `locale`, and
//!
//! | | |
//! |---|---|
//! | `unsubscribe_url` | where there is one |
//! | `track(url)` | leads a link through the tracker; links in pages go there by themselves |
//! | `deep_link(path, name=value…)` | an address in the shop or its app (`content.rs`), through the tracker where that can follow it |
//! | `promo_code()`, `promo_code(pool)` | the send's own code (`codes.rs`) |
//! | `blocks.<name>` | what a service says when the message is made (`blocks.rs`) |
//! | `value \| money` | minor units as an amount: `1550` becomes `15.50` |
//! | `value \| tojson` | a value that is safe inside JSON |
//!
//! Pages are escaped, the rest is not. What a template asks for must be there: nobody is greeted with "Hello ,".
//!
//! *Versions.* A running worker has the files as they were when it started. Each template has a version, a hash over all that its
//! message is made of; `attempt.<channel>` says of every send by which it was made. A campaign may name the versions that it wants
//! (`templates:`), over all locales; then its commands carry them (`cart@1f0c2d8a77e4b935`), and are made of just these files. Those of an
//! earlier day stand in a directory of any name below `earlier`. What is not here waits ([`Flaw::OTHER_TEXT`]) and is told: a text
//! that nobody wanted is not sent, and what is our own fault refuses nothing, since a dearer message would follow.

pub mod blocks;
pub mod codes;
pub mod content;
mod files;
pub mod segments;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Kwargs, Object};
use minijinja::{ErrorKind, Value};
use schemas::{Class, Id, Millis, Send};

use crate::link::{Linker, Links};
use crate::transport::Message;
use blocks::{Blocks, Got};
use content::Content;
use texts::{Locale, Texts};

/// Steps that a template may take: far more than any message needs, and over in a millisecond.
const FUEL: u64 = 100_000;

/// The templates of one channel.
#[derive(Debug)]
pub struct Renderer {
    /// First those in force, then those of earlier days.
    texts: Vec<Texts>,
    channel: String,
    linker: Option<Linker>,
    content: Content,
    /// Versions that were asked for and are not here: each is said once.
    lacks: Mutex<BTreeSet<String>>,
}

/// Why a message cannot be made: the code of the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw(pub &'static str);

impl Flaw {
    /// No refusal: a block is not there yet, and the message can be made later.
    pub const WAITS: Flaw = Flaw("block");

    /// No refusal: the campaign names a version of the template that is not here, and the message waits for a worker that has it.
    pub const OTHER_TEXT: Flaw = Flaw("other_text");

    /// The text takes more segments of an SMS than its price pays for.
    pub const SEGMENTS: Flaw = Flaw("segments");
}

/// The same, for those who write templates. May show a customer's data.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// The code.
    pub flaw: Flaw,
    /// File and line, where it is the fault of one.
    pub place: Option<(String, Option<usize>)>,
    /// What is wrong.
    pub words: String,
    kind: Option<ErrorKind>,
}

impl Trouble {
    fn of(flaw: Flaw, words: &str) -> Self {
        Trouble { flaw, place: None, words: words.to_owned(), kind: None }
    }

    fn in_template(name: &str, error: &minijinja::Error) -> Self {
        let words =
            error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
        let name = error.name().filter(|name| !name.is_empty()).unwrap_or(name).to_owned();
        Trouble { flaw: Flaw("render"), place: Some((name, error.line())), words, kind: Some(error.kind()) }
    }
}

impl Renderer {
    /// Reads and compiles all templates of `channel` in `directory`.
    ///
    /// # Errors
    /// One sentence for each file that cannot be used.
    pub fn new(directory: &Path, channel: &str, linker: Option<Linker>) -> Result<Self, Vec<String>> {
        let texts = texts::read(directory, channel)?;
        let (channel, content) = (channel.to_owned(), Content::default());
        Ok(Renderer { texts, channel, linker, content, lacks: Mutex::default() })
    }

    /// The same, whose templates may use this as well.
    #[must_use]
    pub fn with(self, content: Content) -> Self {
        Renderer { content, ..self }
    }

    /// The locales that have texts of their own, in lower case; the empty one is for everybody else.
    pub fn locales(&self) -> impl Iterator<Item = &str> {
        self.texts[0].locales.keys().map(String::as_str)
    }

    /// The templates of the channel, by name.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        let suffix = format!(".{}", self.channel);
        let all = self.texts[0].locales.get("").into_iter().flat_map(|locale| locale.versions.keys());
        all.filter_map(move |stem| stem.strip_suffix(&suffix))
    }

    /// The version of the files that make a command's message for its locale.
    pub fn version(&self, send: &Send) -> Option<Arc<str>> {
        let (name, _) = send.text();
        self.of(send)?.locale(send).versions.get(&format!("{name}.{}", self.channel)).cloned()
    }

    /// The version of a template in force, over all locales: as campaigns name it.
    pub fn release(&self, template: &str) -> Option<&str> {
        self.texts[0].releases.get(&format!("{template}.{}", self.channel)).map(String::as_str)
    }

    /// Whether a template is here in this version, in force or of an earlier day.
    pub fn has_release(&self, template: &str, release: &str) -> bool {
        let name = format!("{template}.{}", self.channel);
        self.texts.iter().any(|texts| texts.are(&name, release))
    }

    /// The templates that a command's message is made of; none if it names a version that is not here.
    fn of(&self, send: &Send) -> Option<&Texts> {
        let (name, Some(release)) = send.text() else { return self.texts.first() };
        let name = format!("{name}.{}", self.channel);
        self.texts.iter().find(|texts| texts.are(&name, release))
    }

    pub(crate) fn is_fetching(&self) -> bool {
        self.content.is_fetching()
    }

    /// The message of a command. `now` is business time.
    ///
    /// # Errors
    /// The code of the refusal: `no_address`, `no_template`, `render`, `segments`; or why it waits: [`Flaw::WAITS`], [`Flaw::OTHER_TEXT`].
    pub fn render(&self, id: Id, send: &Send, now: Millis) -> Result<Message, Flaw> {
        if send.address.is_empty() {
            return Err(Flaw("no_address"));
        }
        self.compose(id, send, now).and_then(|message| Self::paid_for(send, message)).map_err(|trouble| {
            if let Some((template, line)) = &trouble.place {
                // The kind says enough to find the flaw; the details could quote a customer's data.
                tracing::warn!(template, line, kind = ?trouble.kind, "a message cannot be rendered");
            }
            if trouble.flaw == Flaw::SEGMENTS {
                let (template, segments) = (&send.template, send.segments);
                tracing::warn!(template, segments, "a message takes more segments than its price pays for");
            }
            let lacks = || self.lacks.lock().unwrap_or_else(PoisonError::into_inner).insert(send.template.clone());
            if trouble.flaw == Flaw::OTHER_TEXT && lacks() {
                let template = &send.template;
                tracing::error!(
                    template,
                    "a campaign names a version of a template that is not here: its messages wait"
                );
            }
            trouble.flaw
        })
    }

    /// What was reserved for an SMS pays for so many segments and no more: a longer text would cost what no budget knows of.
    fn paid_for(send: &Send, message: Message) -> Result<Message, Trouble> {
        let paid = usize::try_from(send.segments).unwrap_or(0);
        if paid > 0 && schemas::sms::segments(&message.text) > paid {
            return Err(Trouble::of(Flaw::SEGMENTS, "the text takes more segments than are paid for"));
        }
        Ok(message)
    }

    /// The same with an explanation, and without asking for an address.
    ///
    /// # Errors
    /// What is wrong, in words for those who write templates.
    pub fn compose(&self, id: Id, send: &Send, now: Millis) -> Result<Message, Trouble> {
        let lacks = || Trouble::of(Flaw::OTHER_TEXT, "this version of the template is not here");
        let locale = self.of(send).ok_or_else(lacks)?.locale(send);
        let links = self.linker.as_ref().map(|linker| linker.links(id, send, now));
        let unsubscribe = links.as_ref().and_then(Links::unsubscribe).filter(|_| send.class != Class::Transactional);
        let waits = Arc::new(AtomicBool::new(false));
        let context = self.context(id, send, links.as_ref(), unsubscribe.as_deref(), &waits);
        let part = |kind: &str| self.part(locale, send, kind, &context, &waits);
        let text = part("txt")?.ok_or_else(|| Trouble::of(Flaw("no_template"), "there is no such template"))?;
        let page = part("html")?;
        let link = part("link")?.map(|link| link.trim().to_owned());
        let pixel = links.as_ref().and_then(Links::pixel);
        Ok(Message {
            send_id: id.to_string(),
            customer_id: send.customer_id.clone(),
            address: send.address.clone(),
            subject: part("subject")?.map(|subject| subject.trim().to_owned()),
            text,
            html: page.map(|page| match &links {
                Some(links) => with_pixel(links.rewrite(&page), pixel.as_deref()),
                None => page,
            }),
            link: link.map(|link| links.as_ref().and_then(|links| links.click(&link)).unwrap_or(link)),
            unsubscribe,
            receipt_token: links.as_ref().and_then(Links::receipt),
            return_token: links.as_ref().map(Links::bounce),
            now,
            send_before: send.send_before,
            valid_until: send.valid_until.max(send.send_before),
        })
    }

    /// One part of a message; none if there is no such file.
    fn part(
        &self,
        locale: &Locale,
        send: &Send,
        kind: &str,
        context: &Value,
        waits: &AtomicBool,
    ) -> Result<Option<String>, Trouble> {
        let name = format!("{}.{}.{kind}", send.text().0, self.channel);
        if !locale.names.contains(&name) {
            return Ok(None);
        }
        let rendered = locale.environment.get_template(&name).and_then(|template| template.render(context.clone()));
        if waits.load(Ordering::Relaxed) {
            return Err(Trouble::of(Flaw::WAITS, "a block cannot be had for now, and has no fallback"));
        }
        rendered.map(Some).map_err(|error| Trouble::in_template(&name, &error))
    }

    fn context(
        &self,
        id: Id,
        send: &Send,
        links: Option<&Links>,
        unsubscribe: Option<&str>,
        waits: &Arc<AtomicBool>,
    ) -> Value {
        let mut context: BTreeMap<&str, Value> =
            send.fields.iter().map(|(name, value)| (name, Value::from(value))).collect();
        context.insert("campaign", Value::from(&send.campaign));
        if let Some(locale) = &send.locale {
            context.insert("locale", Value::from(locale));
        }
        if let Some(url) = unsubscribe {
            context.insert("unsubscribe_url", Value::from(url));
        }
        let links = links.cloned();
        let track = move |url: String| links.as_ref().and_then(|links| links.click(&url)).unwrap_or(url);
        if let Some(deep_links) = self.content.deep_links.clone() {
            let (send, track) = (send.clone(), track.clone());
            let link = move |path: &str, query: Kwargs| {
                let read = |name: &str| Ok((name.to_owned(), query.get::<Value>(name)?.to_string()));
                let query = query.args().map(read).collect::<Result<BTreeMap<_, _>, minijinja::Error>>()?;
                Ok::<_, minijinja::Error>(track(deep_links.link(path, &query, id, &send)))
            };
            context.insert("deep_link", Value::from_function(link));
        }
        context.insert("track", Value::from_function(track));
        if let Some(codes) = self.content.codes.clone() {
            let campaign = send.campaign.clone();
            let code = move |pool: Option<&str>| codes.of(pool.unwrap_or(&campaign), id);
            context.insert("promo_code", Value::from_function(code));
        }
        if let Some(blocks) = self.content.blocks.clone() {
            let asked = Asked { blocks, id, send: send.clone(), waits: Arc::clone(waits) };
            context.insert("blocks", Value::from_object(asked));
        }
        Value::from(context)
    }
}

/// `blocks` of one message.
struct Asked {
    blocks: Blocks,
    id: Id,
    send: Send,
    waits: Arc<AtomicBool>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("blocks")
    }
}

impl Object for Asked {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        match self.blocks.get(name.as_str()?, self.id, &self.send) {
            Got::Value(value) => Some(value),
            Got::Nothing => None,
            Got::NotYet => {
                self.waits.store(true, Ordering::Relaxed);
                None
            }
        }
    }
}

/// Minor units as an amount with two decimals: fields are text.
fn money(minor: &str) -> Result<String, minijinja::Error> {
    let minor: i64 =
        minor.parse().map_err(|_| minijinja::Error::new(ErrorKind::InvalidOperation, "this is no whole number"))?;
    let sign = if minor < 0 { "-" } else { "" };
    Ok(format!("{sign}{}.{:02}", minor.unsigned_abs() / 100, minor.unsigned_abs() % 100))
}

/// The pixel goes to the end of the page: a mail program that cuts a long mail shows less, not more, than was opened.
fn with_pixel(page: String, pixel: Option<&str>) -> String {
    let Some(url) = pixel else { return page };
    let image = format!("<img src=\"{url}\" width=\"1\" height=\"1\" alt=\"\">");
    let at = page.to_ascii_lowercase().rfind("</body>").unwrap_or(page.len());
    format!("{}{image}{}", &page[..at], &page[at..])
}

#[cfg(test)]
mod tests;
