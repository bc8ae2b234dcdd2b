//! No call of ours reaches what is not public: a subscription or a webhook's address that somebody else wrote must not open a door
//! into the network that the worker runs in (server-side request forgery).
//!
//! A name is resolved here, what it resolves to is checked, and the connection goes to what was checked: a name that points
//! elsewhere a moment later (DNS rebinding) changes nothing. Addresses that are written as numbers are checked when the call is
//! made. Proxies of the environment are not used, since they would resolve the name again. Redirects are never followed.
//!
//! Whoever leads calls through a proxy that guards them (or tests on loopback) lifts all this by `allow_private_hosts`.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{ClientBuilder, Url};

use super::call;

/// A client whose connections all end in public.
pub(crate) fn client(example: Option<&Url>, timeout_seconds: u64, allow_private: bool) -> ClientBuilder {
    let builder = call::client_like(example, timeout_seconds);
    if allow_private { builder } else { builder.no_proxy().dns_resolver(PublicOnly) }
}

/// Why an address is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Not https, or with a login in it.
    Scheme,
    /// A number that is not public.
    Private,
}

/// What can be seen of an address before its name is resolved.
pub(crate) fn check(url: &Url, allow_private: bool) -> Result<(), Unfit> {
    if allow_private {
        return Ok(());
    }
    let is_plain = url.username().is_empty() && url.password().is_none() && url.has_host();
    if url.scheme() != "https" || !is_plain {
        return Err(Unfit::Scheme);
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse::<IpAddr>() {
        Ok(address) if !is_public(address) => Err(Unfit::Private),
        _ => Ok(()),
    }
}

/// Whether a call failed because the name resolves to nothing public.
pub(super) fn forbade(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[derive(Debug)]
struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name resolves to nothing public")
    }
}

impl Error for NotPublic {}

struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(public_of(found)?)
        })
    }
}

/// One that is not public makes the name suspicious, whatever else it resolves to.
fn public_of(found: Vec<SocketAddr>) -> Result<Addrs, NotPublic> {
    if found.is_empty() || found.iter().any(|address| !is_public(address.ip())) {
        return Err(NotPublic);
    }
    Ok(Box::new(found.into_iter()))
}

/// Whether an address belongs to the world (IANA's registries of special-purpose addresses).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_special
}

/// Global unicast, less what carries another address inside: such a one may be private.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_global = a & 0xe000 == 0x2000;
    let is_special = matches!((a, b), (0x2001, 0..=0x01ff | 0x0db8) | (0x2002, _) | (0x3fff, 0..=0x0fff));
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_the_world_is_not_public() {
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::a00:1",
            "100::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:a00:1::",
            "3fff::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in
            ["8.8.8.8", "100.63.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "2a00:1450::1", "2001:4860::8888"]
        {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn an_address_is_judged_before_it_is_called() {
        let judged = |text: &str| check(&Url::parse(text).unwrap(), false);
        for (text, expected) in [
            ("https://push.example/x", Ok(())),
            ("https://8.8.8.8/x", Ok(())),
            ("http://push.example/x", Err(Unfit::Scheme)),
            ("https://user:word@push.example/x", Err(Unfit::Scheme)),
            ("ftp://push.example/x", Err(Unfit::Scheme)),
            ("https://127.0.0.1/x", Err(Unfit::Private)),
            ("https://[::1]/x", Err(Unfit::Private)),
            // Other ways to write 127.0.0.1, which the parser knows.
            ("https://2130706433/x", Err(Unfit::Private)),
            ("https://0x7f.1/x", Err(Unfit::Private)),
            ("https://169.254.169.254/latest/meta-data", Err(Unfit::Private)),
        ] {
            assert_eq!(judged(text), expected, "{text}");
        }
        assert_eq!(check(&Url::parse("http://127.0.0.1/x").unwrap(), true), Ok(()));
    }

    #[test]
    fn one_private_address_makes_a_name_unfit() {
        let at = |text: &str| format!("{text}:0").parse::<SocketAddr>().unwrap();
        assert!(public_of(vec![at("8.8.8.8"), at("10.0.0.1")]).is_err());
        assert!(public_of(vec![]).is_err());
        assert_eq!(public_of(vec![at("8.8.8.8")]).ok().map(Iterator::count), Some(1));
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_called() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let client = client(None, 5, false).build().unwrap();
        let error = client.get(&url).send().await.unwrap_err();
        assert!(forbade(&error), "{error:?}");
        let missed = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
        assert!(missed.is_err(), "nobody has connected");
    }
}
