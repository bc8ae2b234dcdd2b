//! What templates may use beside a command's fields: settings, and what they open to.

use std::collections::BTreeMap;

use reqwest::Url;
use schemas::{Id, Send};
use serde::Deserialize;
use tokio::runtime::Handle;

use super::blocks::{self, Blocks};
use super::codes::Codes;
use crate::metrics::ChannelMetrics;
use crate::transport::Secret;

/// `[channel.<name>.content]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What `deep_link(path)` begins with: `https://shop.example/`, or an app's own `shop://`. None: there is no such function.
    pub deep_link: Option<String>,
    /// Parameters of all deep links. `{campaign}`, `{template}`, `{channel}`, `{locale}`, `{customer_id}`, `{send_id}` and
    /// `{fields.NAME}` stand for what the command says.
    pub deep_link_query: BTreeMap<String, String>,
    /// Secret of the promo codes; none: there is no `promo_code()`.
    pub code_secret: Option<Secret>,
    /// Characters of a promo code without the dashes: 15, 20 or 25.
    pub code_characters: usize,
    /// Blocks that are fetched when a message is made, by the name that templates have for them.
    pub blocks: BTreeMap<String, blocks::Config>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            deep_link: None,
            deep_link_query: BTreeMap::new(),
            code_secret: None,
            code_characters: 20,
            blocks: BTreeMap::new(),
        }
    }
}

/// A shorter secret could be found by trying.
const SECRET_MIN: usize = 16;

impl Config {
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        problems.extend(self.codes().err());
        problems.extend(self.deep_links().err());
        problems.extend(self.blocks.iter().flat_map(|(name, block)| block.problems(name)));
        problems
    }

    fn codes(&self) -> Result<Option<Codes>, String> {
        if ![15, 20, 25].contains(&self.code_characters) {
            return Err("content.code_characters must be 15, 20 or 25".to_owned());
        }
        let Some(secret) = &self.code_secret else { return Ok(None) };
        let secret = secret.read().map_err(|error| format!("content.code_secret: {error}"))?;
        match secret.len() {
            ..SECRET_MIN => Err(format!("content.code_secret must have at least {SECRET_MIN} bytes")),
            _ => Ok(Some(Codes::new(&secret, self.code_characters))),
        }
    }

    fn deep_links(&self) -> Result<Option<DeepLinks>, String> {
        let Some(base) = &self.deep_link else { return Ok(None) };
        let fits = base.ends_with('/') && base.contains("://") && Url::parse(&format!("{base}x")).is_ok();
        match fits {
            true => Ok(Some(DeepLinks { base: base.clone(), query: self.deep_link_query.clone() })),
            false => {
                Err("content.deep_link must be like https://shop.example/ or shop://, with a slash at its end"
                    .to_owned())
            }
        }
    }
}

/// What templates may use.
#[derive(Clone, Debug, Default)]
pub struct Content {
    pub(super) codes: Option<Codes>,
    pub(super) deep_links: Option<DeepLinks>,
    pub(super) blocks: Option<Blocks>,
}

impl Content {
    /// Reads the secrets, and opens clients whose calls run in `runtime`.
    ///
    /// # Errors
    /// One sentence for each setting that cannot be used.
    pub fn open(config: &Config, runtime: &Handle) -> Result<Self, Vec<String>> {
        Content::counted(config, runtime, None)
    }

    pub(crate) fn counted(
        config: &Config,
        runtime: &Handle,
        metrics: Option<ChannelMetrics>,
    ) -> Result<Self, Vec<String>> {
        let one = |problem: String| vec![problem];
        Ok(Content {
            codes: config.codes().map_err(one)?,
            deep_links: config.deep_links().map_err(one)?,
            blocks: match config.blocks.is_empty() {
                true => None,
                false => Some(Blocks::open(&config.blocks, runtime, metrics).map_err(one)?),
            },
        })
    }

    /// The same for previews: what is not configured, or whose secret is not at hand, is stood in for.
    ///
    /// # Errors
    /// If a block cannot be opened.
    pub fn stand_in(config: &Config, runtime: &Handle) -> Result<Self, Vec<String>> {
        let blocks = Config { blocks: config.blocks.clone(), ..Config::default() };
        let base = DeepLinks { base: "https://shop.example/".to_owned(), query: config.deep_link_query.clone() };
        let codes = Codes::new("nobody redeems codes by this", config.code_characters);
        Ok(Content {
            codes: config.codes().ok().flatten().or(Some(codes)),
            deep_links: config.deep_links().ok().flatten().or(Some(base)),
            ..Content::open(&blocks, runtime)?
        })
    }

    /// Whether something is being fetched.
    pub(crate) fn is_fetching(&self) -> bool {
        self.blocks.as_ref().is_some_and(Blocks::is_fetching)
    }
}

/// Addresses in the shop or its app.
#[derive(Clone, Debug)]
pub(super) struct DeepLinks {
    base: String,
    query: BTreeMap<String, String>,
}

impl DeepLinks {
    /// Begins with the base, whatever is in the path: nothing in it leads to another host.
    pub(super) fn link(&self, path: &str, query: &BTreeMap<String, String>, id: Id, send: &Send) -> String {
        let mut link = format!("{}{}", self.base, escaped(path.trim_start_matches('/'), "/"));
        let fixed = self.query.iter().map(|(name, value)| (name, filled(value, id, send, str::to_owned)));
        let given = query.iter().map(|(name, value)| (name, value.clone()));
        let all: BTreeMap<&String, String> = fixed.chain(given).filter(|(_, value)| !value.is_empty()).collect();
        for (number, (name, value)) in all.iter().enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            link.push_str(&format!("{mark}{}={}", escaped(name, ""), escaped(value, "")));
        }
        link
    }
}

/// Puts in what a command says for `{campaign}` and so on, as `by` writes it. What the command does not say is empty.
pub(super) fn filled(text: &str, id: Id, send: &Send, by: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            rest = after;
            continue;
        };
        let value = match name {
            "campaign" => send.campaign.clone(),
            "template" => send.text().0.to_owned(),
            "channel" => send.channel.clone(),
            "customer_id" => send.customer_id.clone(),
            "locale" => send.locale.clone().unwrap_or_default(),
            "send_id" => id.to_string(),
            name => name.strip_prefix("fields.").and_then(|name| send.fields.get(name)).unwrap_or_default().to_owned(),
        };
        out.push_str(&by(&value));
        rest = after;
    }
    out + rest
}

/// The names that [`filled`] knows.
pub(super) fn is_known(name: &str) -> bool {
    ["campaign", "template", "channel", "customer_id", "locale", "send_id"].contains(&name)
        || name.starts_with("fields.")
}

/// Percent-encodes all but letters, digits and what is plain everywhere (RFC 3986), and what is in `kept`.
pub(super) fn escaped(text: &str, kept: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.as_bytes().contains(&byte);
    let escape = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send() -> Send {
        let fields = [("sku", "a/b?c")].into();
        Send { campaign: "spring & co".to_owned(), channel: "push".to_owned(), fields, ..Send::default() }
    }

    fn id() -> Id {
        Id::of_instance("c1", "", "", "")
    }

    fn links(base: &str) -> DeepLinks {
        let query = BTreeMap::from([
            ("utm_campaign".to_owned(), "{campaign}".to_owned()),
            ("l".to_owned(), "{locale}".to_owned()),
        ]);
        Config { deep_link: Some(base.to_owned()), deep_link_query: query, ..Config::default() }
            .deep_links()
            .unwrap()
            .unwrap()
    }

    #[test]
    fn a_deep_link_stays_where_it_begins() {
        let query = BTreeMap::from([("q".to_owned(), "a&b=c".to_owned())]);
        let link = |base: &str, path: &str| links(base).link(path, &query, id(), &send());
        assert_eq!(link("shop://", "cart/7"), "shop://cart/7?q=a%26b%3Dc&utm_campaign=spring%20%26%20co");
        let link = link("https://shop.example/", "//evil.example/?x#y@z");
        assert_eq!(Url::parse(&link).unwrap().host_str(), Some("shop.example"), "{link}");
    }

    #[test]
    fn what_a_command_does_not_say_is_empty() {
        let fill = |text: &str| filled(text, id(), &send(), |value| escaped(value, ""));
        assert_eq!(fill("/x/{fields.sku}/{locale}/{fields.no}?{campaign}"), "/x/a%2Fb%3Fc//?spring%20%26%20co");
        assert_eq!(fill("{"), "");
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (json, words) in [
            (r#"{"deep_link": "shop"}"#, "content.deep_link must be"),
            (r#"{"deep_link": "https://shop.example"}"#, "content.deep_link must be"),
            (r#"{"code_characters": 7}"#, "content.code_characters must be"),
            (
                r#"{"code_secret": {"env": "CASCADE_NOBODY_SETS_THIS"}}"#,
                "content.code_secret: $CASCADE_NOBODY_SETS_THIS",
            ),
            (r#"{"blocks": {"x": {"url": "https://{customer_id}.example/"}}}"#, "content.blocks.x.url"),
            (r#"{"blocks": {"x": {"url": "http://recs.example/"}}}"#, "content.blocks.x.url"),
            (r#"{"blocks": {"x": {"url": "https://127.0.0.1/"}}}"#, "content.blocks.x.url"),
            (r#"{"blocks": {"x": {"url": "https://a.example/{name}"}}}"#, "content.blocks.x.url"),
            (r#"{"blocks": {"x": {"url": "https://a.example/", "timeout_ms": 0}}}"#, "content.blocks.x.timeout_ms"),
        ] {
            let problems = serde_json::from_str::<Config>(json).unwrap().problems();
            assert!(problems.len() == 1 && problems[0].starts_with(words), "{json}: {problems:?}");
        }
        assert!(Config::default().problems().is_empty());
    }
}
