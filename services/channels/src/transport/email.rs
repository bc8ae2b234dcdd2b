//! Mail by SMTP.
//!
//! | the server says | is read as |
//! |---|---|
//! | 2xx to the end of the data | taken |
//! | 5xx with an enhanced code (RFC 3463) of an address that does not exist: 5.1.1, 5.1.2, 5.1.3, 5.1.6, 5.1.10, 5.2.1 | nobody is there |
//! | 530, 534, 535, 538, 502, 503, 504, 521, a bare 554 (no mail service here, a sender or right that is not known), or an enhanced code of login, policy, system or protocol: 5.1.7, 5.1.8, 5.3.x, 5.5.x, 5.7.x | not taken for now: it would be so for everybody |
//! | 5.7.x other than those of login and encryption: policy, spam | the same; after three trials this mail is refused, if its domain takes others (`email/policy.rs`). Never that nobody is there: other messages go on |
//! | other 5xx, also 5.3.4 (too large) and a bare 550 (servers that block a sender say it, too) | this mail is refused |
//! | 4xx | not taken for now |
//! | it offers no login or no TLS as we are to use it | not taken for now |
//! | no connection | not taken for now |
//! | the connection breaks, or there is no answer in time | unknown |
//!
//! *Bounces.* With `return_path` each mail has a return address of its own, `bounces+<mark>@…`: the mark is signed and holds the
//! send's id and no data of the customer. Beside it the header [`TOKEN_HEADER`] holds the token that a receipt would carry; reports
//! bring it back with the mail's headers. [`crate::bounce`] reads both.
//!
//! *Replies.* With `mark_replies` they come to an address of the mail's own as well, `help+r<mark>@…`, so that [`crate::bounce`] knows what they
//! answer. The mailbox behind it stays one for people.
//!
//! *Addresses.* A domain in other letters than ASCII goes out in its ASCII form. A local part in such letters needs a server that
//! offers SMTPUTF8 (RFC 6531); to another one the mail is refused (`smtp_client`).

mod policy;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::{Error as SmtpError, PoolConfig};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use schemas::token::MARK_CHARACTERS;
use serde::Deserialize;
use stream::clock::Tick;

use super::call::connect_timeout;
use super::{Answer, Call, Message, Secret, Transport};
use crate::config::CALLS_MAX;
use policy::Policy;

/// The header that names the send in reports.
pub const TOKEN_HEADER: &str = "X-Cascade-Token";

/// Stands between the plus and the mark where people answer, so that it is no return address.
pub(crate) const REPLY_MARK: char = 'r';

/// A local part has at most so many characters (RFC 5321, 4.5.3.1.1).
const LOCAL_PART_MAX: usize = 64;

/// A mail server that relays for us.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Host name or address of the server.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: Protection,
    /// File of the authorities (PEM) that may vouch for the server; the system's where it is left out.
    #[serde(default)]
    pub tls_authorities: Option<PathBuf>,
    /// User name; no login where it is left out.
    #[serde(default)]
    pub username: Option<String>,
    /// The password that goes with it.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Sender, with or without a name: `Shop <news@shop.example>`.
    pub from: String,
    /// Where replies go, if not to the sender.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// Whether a mark of the send is put behind the local part of `reply_to`, too, with `+r` between: what people write there can be given to
    /// `cascade bounces`.
    #[serde(default)]
    pub mark_replies: bool,
    /// Where bounces go, if not to the sender: a mark of the send is put behind its local part, with a plus between.
    #[serde(default)]
    pub return_path: Option<String>,
    /// Longest hand-over, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// TLS from the first byte (port 465).
    Tls,
    /// An upgrade that the server must offer (port 587).
    #[default]
    Starttls,
    /// None: only for a server on the same machine or network.
    None,
}

fn default_timeout() -> u64 {
    30
}

impl Config {
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout_seconds
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let addresses = [("from", Some(&self.from)), ("reply_to", self.reply_to.as_ref())];
        for (name, address) in addresses {
            if let Some(Err(error)) = address.map(|address| address.parse::<Mailbox>()) {
                problems.push(format!("transport.{name} is not a mail address: {error}"));
            }
        }
        let reply_to = self.reply_to.as_deref().and_then(|address| address.parse::<Mailbox>().ok());
        let room = LOCAL_PART_MAX - 2 - MARK_CHARACTERS;
        if self.mark_replies && reply_to.is_none_or(|address| address.email.user().len() > room) {
            problems
                .push(format!("transport.mark_replies needs a reply_to, with at most {room} characters before the @"));
        }
        match self.return_path.as_deref().map(ascii_address) {
            Some(None) => problems.push("transport.return_path must be a plain mail address without a name".to_owned()),
            Some(Some(address)) if address.user().len() + 1 + MARK_CHARACTERS > LOCAL_PART_MAX => {
                let room = LOCAL_PART_MAX - 1 - MARK_CHARACTERS;
                problems.push(format!("transport.return_path may have at most {room} characters before the @"));
            }
            _ => {}
        }
        if self.tls == Protection::None && self.tls_authorities.is_some() {
            problems.push("transport.tls_authorities with tls = \"none\" says nothing".to_owned());
        }
        if let Err(problem) = self.authorities() {
            problems.push(format!("transport.{problem}"));
        }
        if self.username.is_some() != self.password.is_some() {
            problems.push("transport.username and transport.password go together".to_owned());
        }
        if let Some(Err(error)) = self.password.as_ref().map(Secret::read) {
            problems.push(format!("transport.password: {error}"));
        }
        if !(1..=45).contains(&self.timeout_seconds) {
            problems.push("transport.timeout_seconds must be from 1 to 45".to_owned());
        }
        problems
    }

    /// What stands in the file of the authorities.
    fn authorities(&self) -> Result<Option<Certificate>, String> {
        let Some(file) = &self.tls_authorities else { return Ok(None) };
        let unreadable = |why: &dyn std::fmt::Display| format!("tls_authorities: {}: {why}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| unreadable(&error))?;
        // The library takes a page without any for a list of none, and then trusts nobody.
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            return Err(unreadable(&"there is no certificate in it"));
        }
        Certificate::from_pem(text.as_bytes()).map(Some).map_err(|error| unreadable(&error))
    }

    /// How the server is known.
    fn tls(&self) -> Result<Tls, String> {
        let parameters = TlsParameters::builder(self.host.clone());
        let parameters = match self.authorities()? {
            // These, and not the system's beside them.
            Some(own) => parameters.certificate_store(CertificateStore::None).add_root_certificate(own),
            None => parameters,
        };
        let parameters = || parameters.build().map_err(|error| format!("tls: {error}"));
        Ok(match self.tls {
            Protection::Tls => Tls::Wrapper(parameters()?),
            Protection::Starttls => Tls::Required(parameters()?),
            Protection::None => Tls::None,
        })
    }
}

#[derive(Debug)]
struct Email {
    builder: AsyncSmtpTransportBuilder,
    /// The connections. None after a call was given up in the midst of a session: what that session still hears would be taken for
    /// the answer to somebody else's mail, so that all are made anew.
    server: Mutex<Option<AsyncSmtpTransport<Tokio1Executor>>>,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    mark_replies: bool,
    return_path: Option<Address>,
    timeout: Duration,
    policy: Policy,
}

pub(super) fn open(config: &Config) -> Result<Box<dyn Transport>, String> {
    let mailbox = |text: &str| {
        let mailbox = text.parse::<Mailbox>().map_err(|error| format!("not a mail address: {error}"))?;
        let email = ascii_address(mailbox.email.as_ref()).ok_or("not a mail address: its domain has no ASCII form")?;
        Ok::<_, String>(Mailbox::new(mailbox.name, email))
    };
    let timeout = Duration::from_secs(config.timeout_seconds);
    let pool = PoolConfig::new().max_size(u32::try_from(CALLS_MAX).unwrap_or(u32::MAX));
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
        .port(config.port)
        .tls(config.tls()?)
        .timeout(Some(connect_timeout(config.timeout_seconds)))
        .pool_config(pool);
    if let (Some(username), Some(password)) = (&config.username, &config.password) {
        builder = builder.credentials(Credentials::new(username.clone(), password.read()?));
    }
    Ok(Box::new(Email {
        builder,
        server: Mutex::default(),
        from: mailbox(&config.from)?,
        reply_to: config.reply_to.as_deref().map(mailbox).transpose()?,
        mark_replies: config.mark_replies,
        return_path: config.return_path.as_deref().and_then(ascii_address),
        timeout,
        policy: Policy::default(),
    }))
}

impl Transport for Email {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(async move {
            let mail = match self.compose(message) {
                Ok(mail) => mail,
                Err(code) => return Answer::unfit(code),
            };
            let mut session = Session { email: self, has_ended: false };
            let answer = tokio::time::timeout(self.timeout, self.server().send(mail)).await;
            session.has_ended = answer.is_ok();
            let answer = match answer {
                // The server's own queue id stands somewhere in its words; our message id is what comes back in bounces.
                Ok(Ok(_)) => Answer::taken(Some(self.message_id(message))),
                Ok(Err(error)) => answer_of(&error),
                Err(_) => Answer::unknown("timeout"),
            };
            self.policy.judge(message, answer, Tick::now())
        })
    }
}

impl Email {
    fn server(&self) -> AsyncSmtpTransport<Tokio1Executor> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.get_or_insert_with(|| self.builder.clone().build()).clone()
    }
}

/// A mail on its way. Dropped before its end, it takes all connections with it.
struct Session<'a> {
    email: &'a Email,
    has_ended: bool,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            *self.email.server.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

fn answer_of(error: &SmtpError) -> Answer {
    match error.status() {
        Some(code) if error.is_permanent() => permanent(&code.to_string(), enhanced(error)),
        Some(code) => Answer::not_taken(format!("smtp_{code}")),
        // Before the first command; the library tells it apart in its words alone (a test watches over them).
        None if error.to_string().starts_with("Connection error") => Answer::not_taken("connection"),
        None if error.is_tls() => Answer::not_taken("tls"),
        // The library's word for a mail that this server cannot carry; its other ones are about login and TLS.
        None if error.is_client() && error.to_string().contains("non-ascii") => Answer::unfit("smtp_client"),
        None if error.is_client() => Answer::not_taken("smtp_client"),
        None => Answer::unknown("connection_broke"),
    }
}

/// A 5xx may be about this mail or about us. What is about us meets every mail: refusals would send everybody the next,
/// dearer message.
fn permanent(code: &str, enhanced: Option<String>) -> Answer {
    let about_us = match enhanced.as_deref() {
        Some("5.3.4") => false,
        Some("5.1.7" | "5.1.8") => true,
        Some(enhanced) => ["5.3.", "5.5.", "5.7."].iter().any(|class| enhanced.starts_with(class)),
        None => code == "554",
    };
    let told = format!("smtp_{}", enhanced.as_deref().unwrap_or(code));
    match enhanced {
        Some(enhanced) if NOBODY_THERE.contains(&&*enhanced) => Answer::nobody_there(told),
        _ if about_us || ABOUT_THE_SESSION.contains(&code) => Answer::not_taken(told),
        _ => Answer::refused(told),
    }
}

/// Login missing, too weak, wrong or unencrypted; commands that the server does not know or expect; a server that takes no mail.
const ABOUT_THE_SESSION: [&str; 8] = ["530", "534", "535", "538", "502", "503", "504", "521"];

/// No such mailbox, no such domain, bad syntax, moved away, null MX, disabled.
pub(crate) const NOBODY_THERE: [&str; 6] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"];

/// The enhanced status code (RFC 2034) at the beginning of the server's words.
fn enhanced(error: &SmtpError) -> Option<String> {
    let words = std::error::Error::source(error)?.to_string();
    let code = words.split_whitespace().next()?;
    let parts: Vec<&str> = code.split('.').collect();
    let is_number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    (parts.len() == 3 && parts.iter().all(is_number)).then(|| code.to_owned())
}

impl Email {
    /// The same for every attempt, so that mail programs and bounces know a repeat.
    fn message_id(&self, message: &Message) -> String {
        format!("<{}@{}>", message.send_id, self.from.email.domain())
    }

    fn compose(&self, message: &Message) -> Result<lettre::Message, &'static str> {
        // The library encodes such characters away; they are refused none the less, because whoever put them there meant to.
        if [&message.address, message.subject.as_ref().unwrap_or(&message.address)]
            .iter()
            .any(|text| breaks_header(text))
        {
            return Err("header_injection");
        }
        let to = ascii_address(&message.address).ok_or("bad_address")?;
        let envelope =
            Envelope::new(Some(self.return_address(message)), vec![to.clone()]).map_err(|_| "bad_address")?;
        let mut builder = lettre::Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .envelope(envelope)
            .message_id(Some(self.message_id(message)))
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(message.now.try_into().unwrap_or(0)))
            .subject(message.subject.clone().unwrap_or_default());
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(self.answered_at(reply_to, message));
        }
        let plain = SinglePart::plain(message.text.clone());
        let composed = match &message.html {
            Some(html) => {
                let page = SinglePart::html(html.clone());
                builder.multipart(MultiPart::alternative().singlepart(plain).singlepart(page))
            }
            None => builder.singlepart(plain),
        };
        let mut mail = composed.map_err(|_| "cannot_compose")?;
        if let Some(url) = &message.unsubscribe {
            one_click(&mut mail, url)?;
        }
        if let Some(token) = &message.receipt_token {
            insert(&mut mail, TOKEN_HEADER, token.clone())?;
        }
        Ok(mail)
    }

    /// Where a bounce of this mail goes.
    fn return_address(&self, message: &Message) -> Address {
        let Some(address) = &self.return_path else { return self.from.email.clone() };
        let marked = message.return_token.as_ref();
        marked.and_then(|mark| behind(address, mark)).unwrap_or_else(|| address.clone())
    }

    /// Where somebody answers this mail.
    fn answered_at(&self, reply_to: &Mailbox, message: &Message) -> Mailbox {
        let mark = message.return_token.as_ref().filter(|_| self.mark_replies);
        let marked = mark.and_then(|mark| behind(&reply_to.email, &format!("{REPLY_MARK}{mark}")));
        Mailbox::new(reply_to.name.clone(), marked.unwrap_or_else(|| reply_to.email.clone()))
    }
}

/// The same address with something behind its local part, which mail servers pass over.
fn behind(address: &Address, detail: &str) -> Option<Address> {
    Address::new(format!("{}+{detail}", address.user()), address.domain()).ok()
}

/// An address whose domain is in ASCII; none for what is no address.
fn ascii_address(text: &str) -> Option<Address> {
    let (user, domain) = text.rsplit_once('@')?;
    // An address in brackets is a network's, not a name.
    if domain.is_ascii() {
        return text.parse().ok();
    }
    Address::new(user, idna::domain_to_ascii(domain).ok()?).ok()
}

/// RFC 8058: both headers, and the relay's DKIM signature must cover them.
fn one_click(mail: &mut lettre::Message, url: &str) -> Result<(), &'static str> {
    if breaks_header(url) {
        return Err("header_injection");
    }
    insert(mail, "List-Unsubscribe", format!("<{url}>"))?;
    insert(mail, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned())
}

/// As it is: an address or token that is folded or encoded in the middle is not recognised.
fn insert(mail: &mut lettre::Message, name: &str, value: String) -> Result<(), &'static str> {
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| "cannot_compose")?;
    mail.headers_mut().insert_raw(HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value));
    Ok(())
}

fn breaks_header(text: &str) -> bool {
    text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
