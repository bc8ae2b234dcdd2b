//! A command and a template make a message.
//!
//! Templates are Jinja (`minijinja`). `cart.email.txt`, `cart.email.html`, `cart.email.subject` and `cart.email.link` make the
//! text, the page, the subject (title) and the link of template `cart` on channel `email`; only the text must be there. Pages
//! are escaped, the rest is not. A template sees the command's fields by name, and beside them `campaign`, `locale`,
//! `unsubscribe_url` (where there is one) and `track(url)`, which leads a link through the tracker; links in pages go there
//! by themselves. The filter `money` writes minor units as an amount: `1550` becomes `15.50`; `tojson` makes a value safe inside JSON.
//!
//! What a template asks for must be there: nobody is greeted with "Hello ,".

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use schemas::{Class, Id, Millis, Send};

use crate::link::{Linker, Links};
use crate::transport::Message;

/// Steps that a template may take: far more than any message needs, and over in a millisecond.
const FUEL: u64 = 100_000;

/// The templates of one channel.
#[derive(Debug)]
pub struct Renderer {
    environment: Environment<'static>,
    names: BTreeSet<String>,
    channel: String,
    linker: Option<Linker>,
}

/// Why a message cannot be made: the code of the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw(pub &'static str);

impl Renderer {
    /// Reads and compiles all templates of `channel` in `directory`.
    ///
    /// # Errors
    /// One sentence for each file that cannot be used.
    pub fn new(directory: &Path, channel: &str, linker: Option<Linker>) -> Result<Self, Vec<String>> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(32);
        environment.add_filter("money", money);
        environment
            .set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
        let files = files_of(directory, channel).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let mut names = BTreeSet::new();
        for (name, text) in files {
            if let Err(error) = environment.add_template_owned(name.clone(), text) {
                problems.push(format!("template {name}: {error}"));
            }
            names.insert(name);
        }
        if names.is_empty() {
            problems.push(format!("{} holds no template for this channel (<name>.{channel}.txt)", directory.display()));
        }
        for name in &names {
            let text = name.rsplit_once('.').map(|(stem, _)| format!("{stem}.txt"));
            if text.is_some_and(|text| !names.contains(&text)) {
                problems.push(format!("template {name} has no .txt beside it: every message needs a text"));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Renderer { environment, names, channel: channel.to_owned(), linker })
    }

    /// The message of a command. `now` is business time.
    ///
    /// # Errors
    /// The code of the refusal: `no_address`, `no_template`, `render`.
    pub fn render(&self, id: Id, send: &Send, now: Millis) -> Result<Message, Flaw> {
        if send.address.is_empty() {
            return Err(Flaw("no_address"));
        }
        let links = self.linker.as_ref().map(|linker| linker.links(id, send, now));
        let unsubscribe = links.as_ref().and_then(Links::unsubscribe).filter(|_| send.class != Class::Transactional);
        let context = context(send, links.clone(), unsubscribe.as_deref());
        let part = |kind: &str| self.part(&send.template, kind, &context);
        let text = part("txt")?.ok_or(Flaw("no_template"))?;
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
        })
    }

    /// One part of a message; none if there is no such file.
    fn part(&self, template: &str, kind: &str, context: &Value) -> Result<Option<String>, Flaw> {
        let name = format!("{template}.{}.{kind}", self.channel);
        if !self.names.contains(&name) {
            return Ok(None);
        }
        let rendered = self.environment.get_template(&name).and_then(|template| template.render(context.clone()));
        rendered.map(Some).map_err(|error| {
            // The kind says enough to find the flaw; the details could quote a customer's data.
            tracing::warn!(template = name, line = error.line(), kind = ?error.kind(), "a message cannot be rendered");
            Flaw("render")
        })
    }
}

/// Names and texts of all template files of a channel.
fn files_of(directory: &Path, channel: &str) -> Result<Vec<(String, String)>, String> {
    let failed = |error: std::io::Error| format!("the templates in {} cannot be read: {error}", directory.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let ours = name.rsplit_once('.').is_some_and(|(stem, kind)| {
            stem.ends_with(&format!(".{channel}")) && matches!(kind, "txt" | "html" | "subject" | "link")
        });
        if ours {
            files.push((name.to_owned(), std::fs::read_to_string(&path).map_err(failed)?));
        }
    }
    files.sort();
    Ok(files)
}

fn context(send: &Send, links: Option<Links>, unsubscribe: Option<&str>) -> Value {
    let mut context: BTreeMap<&str, Value> =
        send.fields.iter().map(|(name, value)| (name, Value::from(value))).collect();
    context.insert("campaign", Value::from(&send.campaign));
    if let Some(locale) = &send.locale {
        context.insert("locale", Value::from(locale));
    }
    if let Some(url) = unsubscribe {
        context.insert("unsubscribe_url", Value::from(url));
    }
    let track = move |url: String| links.as_ref().and_then(|links| links.click(&url)).unwrap_or(url);
    context.insert("track", Value::from_function(track));
    Value::from(context)
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
