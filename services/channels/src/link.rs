//! Links that come back to the tracker: signed, for one send each.

use std::sync::Arc;

use reqwest::Url;
use schemas::token::{Key, Keyring, Kind, Token};
use schemas::{Id, Millis, Send};
use serde::Deserialize;

/// How links to the tracker are made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the tracker is reached from outside, without a slash at the end.
    pub base_url: String,
    /// The first signs. The tracker has the same.
    pub keys: Vec<Key>,
    /// After this many days of business time links do not work any more.
    #[serde(default = "default_lifetime")]
    pub lifetime_days: u16,
}

/// Default of [`Config::lifetime_days`]: newsletters are found again months later.
fn default_lifetime() -> u16 {
    90
}

const DAY: Millis = 86_400_000;

impl Config {
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Keyring::load(&self.keys).err().unwrap_or_default();
        if !is_web(&self.base_url) || self.base_url.ends_with('/') || self.base_url.contains(char::is_whitespace) {
            problems.push("tracking.base_url must begin with http:// or https:// and end without a slash".to_owned());
        }
        problems
    }
}

/// Makes the links of all sends of a channel.
#[derive(Clone, Debug)]
pub struct Linker {
    base_url: Arc<str>,
    keys: Arc<Keyring>,
    lifetime: Millis,
}

impl Linker {
    /// A linker with the secrets that `config` names.
    ///
    /// # Errors
    /// One sentence for each secret that cannot be read.
    pub fn new(config: &Config) -> Result<Self, Vec<String>> {
        let keys = Arc::new(Keyring::load(&config.keys)?);
        let lifetime = Millis::from(config.lifetime_days) * DAY;
        Ok(Linker { base_url: config.base_url.as_str().into(), keys, lifetime })
    }

    /// A linker whose links are as long as real ones and open nowhere: for previews. The keyring reads them.
    ///
    /// # Errors
    /// Never: its key is good.
    pub fn stand_in(base_url: &str) -> Result<(Self, Keyring), String> {
        let keyring = Keyring::new(vec![(1, b"nobody knows links by this".to_vec())])?;
        let keys = Arc::new(keyring.clone());
        Ok((Linker { base_url: base_url.into(), keys, lifetime: Millis::from(default_lifetime()) * DAY }, keyring))
    }

    /// The keys that sign.
    pub(crate) fn keys(&self) -> Arc<Keyring> {
        Arc::clone(&self.keys)
    }

    /// The links of one send. `now` is business time.
    pub fn links(&self, id: Id, send: &Send, now: Millis) -> Links {
        let blank = Token {
            kind: Kind::Open,
            send_id: id,
            customer_id: send.customer_id.clone(),
            channel: send.channel.clone(),
            expires_at: now.saturating_add(self.lifetime),
            target: String::new(),
        };
        Links { linker: self.clone(), blank }
    }
}

/// The links of one send.
#[derive(Clone, Debug)]
pub struct Links {
    linker: Linker,
    blank: Token,
}

impl Links {
    /// A link to `target` that tells of the click; none where it cannot be made (not a web address, or too long).
    pub fn click(&self, target: &str) -> Option<String> {
        let own = target.strip_prefix(&*self.linker.base_url).is_some_and(|rest| rest.starts_with('/'));
        let target = landing(target).filter(|_| !own)?;
        let token = self.token(Kind::Click, &target)?;
        Some(format!("{}/c/{token}", self.linker.base_url))
    }

    /// The pixel that tells of an open.
    pub fn pixel(&self) -> Option<String> {
        Some(format!("{}/o/{}.gif", self.linker.base_url, self.token(Kind::Open, "")?))
    }

    /// The page and the address for one click (RFC 8058) to unsubscribe.
    pub fn unsubscribe(&self) -> Option<String> {
        Some(format!("{}/u/{}", self.linker.base_url, self.token(Kind::Unsubscribe, "")?))
    }

    /// What a provider hands back with each receipt.
    pub fn receipt(&self) -> Option<String> {
        self.token(Kind::Receipt, "")
    }

    /// What comes back in the address of a bounce.
    pub fn bounce(&self) -> String {
        self.linker.keys.sign_send(self.blank.send_id)
    }

    fn token(&self, kind: Kind, target: &str) -> Option<String> {
        self.linker.keys.sign(&Token { kind, target: target.to_owned(), ..self.blank.clone() })
    }

    /// Leads every web link (`href` of `a`) of a page through the tracker.
    pub fn rewrite(&self, html: &str) -> String {
        let mut out = String::with_capacity(html.len() * 2);
        let mut rest = html;
        while let Some(at) = find_anchor(rest) {
            let (before, tag_and_more) = rest.split_at(at);
            let end = tag_and_more.find('>').unwrap_or(tag_and_more.len());
            let (tag, after) = tag_and_more.split_at(end);
            out.push_str(before);
            match href(tag) {
                Some((start, end)) => {
                    let (target, link) = (&tag[start..end], self.click(&unescape(&tag[start..end])));
                    out.push_str(&tag[..start]);
                    out.push_str(link.as_deref().unwrap_or(target));
                    out.push_str(&tag[end..]);
                }
                None => out.push_str(tag),
            }
            rest = after;
        }
        out + rest
    }
}

/// Where a click may lead, as a header can say it: a web address, in ASCII, written as browsers read it. None for whatever else.
pub fn landing(target: &str) -> Option<String> {
    // A parser passes over some of these, and then leads elsewhere than was written.
    if target.chars().any(char::is_control) {
        return None;
    }
    let url = Url::parse(target).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    Some(url.into())
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// Where the next `<a ` begins.
fn find_anchor(html: &str) -> Option<usize> {
    let bytes = html.as_bytes();
    (0..bytes.len().saturating_sub(2)).find(|at| {
        bytes[*at] == b'<' && bytes[at + 1].eq_ignore_ascii_case(&b'a') && bytes[at + 2].is_ascii_whitespace()
    })
}

/// Where the value of the tag's `href` stands, without its quotes.
fn href(tag: &str) -> Option<(usize, usize)> {
    let lower = tag.to_ascii_lowercase();
    let name =
        lower.match_indices("href").map(|(at, _)| at).find(|at| lower.as_bytes()[at - 1].is_ascii_whitespace())?;
    let after = name + 4 + tag[name + 4..].find(|c: char| !c.is_ascii_whitespace())?;
    let value = tag[after..].strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let start = tag.len() - value.len() + 1;
    Some((start, start + tag[start..].find(quote)?))
}

/// The character references that template engines write.
fn unescape(text: &str) -> String {
    let pairs = [
        ("&#x2f;", "/"),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&lt;", "<"),
        ("&gt;", ">"),
    ];
    pairs
        .iter()
        .fold(text.to_owned(), |text, (reference, character)| text.replace(reference, character))
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> (Links, Keyring) {
        let keys = Keyring::new(vec![(1, b"a secret of sixteen".to_vec())]).unwrap();
        let linker = Linker { base_url: "https://t.example".into(), keys: Arc::new(keys.clone()), lifetime: 1_000 };
        let send = Send { customer_id: "c1".to_owned(), channel: "email".to_owned(), ..Send::default() };
        (linker.links(Id::of_instance("c1", "", "", ""), &send, 5), keys)
    }

    fn target(keys: &Keyring, link: &str) -> String {
        keys.verify(link.strip_prefix("https://t.example/c/").unwrap(), Kind::Click, 5).unwrap().target
    }

    #[test]
    fn every_web_link_of_a_page_goes_through_the_tracker_and_nothing_else_changes() {
        let (links, keys) = links();
        let page = "<p>Привет</p><a class='x' href=\"https:&#x2f;&#x2f;shop.example&#x2f;cart?a=1&amp;b=2\">Cart</a> <a HREF='http://b.example/'>b</a>\
                    <a href=\"mailto:x@y.example\">m</a><abbr title=\"href='https://no'\">";
        let out = links.rewrite(page);
        let found: Vec<_> = out
            .match_indices("https://t.example/c/")
            .map(|(at, _)| out[at..].split(['"', '\'']).next().unwrap())
            .collect();
        assert_eq!(
            found.iter().map(|link| target(&keys, link)).collect::<Vec<_>>(),
            ["https://shop.example/cart?a=1&b=2", "http://b.example/"]
        );
        let undone = out
            .replace(found[0], "https:&#x2f;&#x2f;shop.example&#x2f;cart?a=1&amp;b=2")
            .replace(found[1], "http://b.example/");
        assert_eq!(undone, page);
    }

    #[test]
    fn only_web_addresses_are_signed_and_none_twice() {
        let (links, _) = links();
        assert_eq!(links.click("javascript:alert(1)"), None);
        assert_eq!(links.click("//other.example"), None);
        let link = links.click("https://shop.example/").unwrap();
        assert_eq!(links.click(&link), None);
    }

    #[test]
    fn a_click_leads_to_a_web_address_that_a_header_can_hold() {
        for (target, leads) in [
            ("https://shop.example/cart?a=1&b=%D0%B0#x", Some("https://shop.example/cart?a=1&b=%D0%B0#x")),
            (
                "https://магазин.рф/корзина?b=а",
                Some("https://xn--80aairftm.xn--p1ai/%D0%BA%D0%BE%D1%80%D0%B7%D0%B8%D0%BD%D0%B0?b=%D0%B0"),
            ),
            ("http://shop.example\\@other.example", Some("http://shop.example/@other.example")),
            ("HTTPS://Shop.Example", Some("https://shop.example/")),
            ("https://shop.example/\r\nSet-Cookie: a=b", None),
            ("https://shop.example/\t", None),
            ("javascript:alert(1)", None),
            ("ftp://shop.example/", None),
            ("//other.example", None),
            ("https://", None),
            ("", None),
        ] {
            assert_eq!(landing(target).as_deref(), leads, "{target}");
        }
        let (links, keys) = links();
        let link = links.click("https://shop.example/корзина").unwrap();
        assert_eq!(target(&keys, &link), "https://shop.example/%D0%BA%D0%BE%D1%80%D0%B7%D0%B8%D0%BD%D0%B0");
    }

    #[test]
    fn broken_pages_pass_as_they_are() {
        let (links, _) = links();
        for page in [
            "<a",
            "<a ",
            "<a href",
            "<a href=",
            "<a href=\"https://x",
            "<a\nhref = \"",
            "</a><a href=https://x>",
            "ёё<a ё",
        ] {
            assert_eq!(links.rewrite(page), page);
        }
    }
}
