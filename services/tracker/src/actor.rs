//! Who opened or clicked: the customer, or a machine on his behalf.
//!
//! The error is asymmetric: a machine's open that is taken for the customer's ends a cascade that reached nobody. So known
//! fetchers count as machines, and everybody else as the customer. The list is short on purpose; it is evidence, not proof:
//!
//! | the request | who | source |
//! |---|---|---|
//! | user agent contains `GoogleImageProxy` | Gmail's image proxy | <https://www.scientiamobile.com/what-is-google-image-proxy/> |
//! | user agent contains `YahooMailProxy` | Yahoo Mail's image proxy | <https://github.com/faisalman/ua-parser-js/issues/494> |
//! | user agent is exactly `Mozilla/5.0` | Apple's Mail Privacy Protection | <https://github.com/ua-parser/uap-core/issues/509> |
//! | user agent contains `bot`, `crawler`, `spider`, `preview`, `scanner` | crawlers, previews of messengers, link scanners | what they call themselves: <https://developers.google.com/search/docs/crawling-indexing/overview-google-crawlers> |
//! | user agent contains `curl/`, or nothing at all | scripts | no browser and no mail program leaves its name out |
//! | `HEAD` | somebody who asks what is there, and is shown nothing | RFC 9110, 9.3.2 |
//! | `Sec-Purpose` with `prefetch` in it, as in `prefetch;prerender` | a browser, ahead of its user | <https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Purpose> |
//! | `Purpose` with `prefetch` in it | the same, as Chrome says it of `<link rel="prefetch">` | compatibility data on the page before |
//!
//! The last three hold whatever the name is. All of them are answered as everybody else is.
//!
//! Image proxies also fetch when the customer does open. That such an open is not counted is the price; who needs it asks for
//! a click. A link scanner that poses as a browser is not recognised. Who really follows a link that was fetched ahead is not told apart
//! where the browser uses what it has; we forbid it to keep that.

use axum::http::{HeaderMap, Method, header::USER_AGENT};
use schemas::Actor;

/// Parts of the user agents of machines, in lower case.
const MACHINES: [&str; 8] =
    ["googleimageproxy", "yahoomailproxy", "bot", "crawler", "spider", "preview", "scanner", "curl/"];

/// Headers in which a browser says that nobody looks at what it fetches.
const PURPOSES: [&str; 2] = ["sec-purpose", "purpose"];

/// Who made a request.
pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Actor {
    if method == Method::HEAD || is_ahead(headers) {
        return Actor::Machine;
    }
    let agent =
        headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default().trim().to_ascii_lowercase();
    let machine = agent.is_empty() || agent == "mozilla/5.0" || MACHINES.iter().any(|part| agent.contains(part));
    if machine { Actor::Machine } else { Actor::Human }
}

/// Whether it is fetched ahead, as in `prefetch;prerender`.
fn is_ahead(headers: &HeaderMap) -> bool {
    let values = PURPOSES.iter().flat_map(|name| headers.get_all(*name)).filter_map(|value| value.to_str().ok());
    values.into_iter().any(|value| value.to_ascii_lowercase().contains("prefetch"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(agent: &str) -> Actor {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, agent.parse().unwrap());
        of(&Method::GET, &headers)
    }

    #[test]
    fn machines_are_known_by_their_names() {
        let proxy = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
        for agent in [proxy, "YahooMailProxy; https://help.yahoo.com", "Mozilla/5.0", "", "Googlebot/2.1"] {
            assert_eq!(actor(agent), Actor::Machine, "{agent}");
        }
        assert_eq!(of(&Method::GET, &HeaderMap::new()), Actor::Machine);
    }

    #[test]
    fn browsers_and_mail_programs_are_the_customer() {
        let iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148";
        for agent in [iphone, "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Thunderbird/115.0"] {
            assert_eq!(actor(agent), Actor::Human, "{agent}");
        }
    }
}
