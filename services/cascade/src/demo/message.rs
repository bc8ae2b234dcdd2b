//! What reached the providers' side: the demo's proof that a message really went out.

/// A message that a provider has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Name of the channel.
    pub channel: String,
    /// The send, as text.
    pub send_id: String,
    /// Whom it was for, where the provider was given no token to report with: the relay's own address book says so.
    pub customer_id: Option<String>,
    /// Loaded when the mail is shown.
    pub pixel: Option<String>,
    /// Web links in the message, in their order.
    pub links: Vec<String>,
    /// One-click unsubscribe.
    pub unsubscribe: Option<String>,
    /// What the provider hands back with each receipt.
    pub receipt_token: Option<String>,
}

/// The web addresses in a text, in their order.
pub fn web_addresses(text: &str) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ')');
    let starts = text.match_indices("http").map(|(at, _)| &text[at..]);
    let addresses = starts.filter(|rest| rest.starts_with("http://") || rest.starts_with("https://"));
    addresses.map(|rest| rest.split(ends).next().unwrap_or(rest).trim_end_matches(['.', ',', ';']).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_text_and_in_pages() {
        let text = "See https://a.test/x?y=1. Or <a href=\"http://b.test/\">http</a> (https://c.test)";
        assert_eq!(web_addresses(text), ["https://a.test/x?y=1", "http://b.test/", "https://c.test"]);
    }
}
