//! What happens in the shop, and what becomes of messages: one line for each, at the present moment.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::RequestBuilder;
use schemas::{Action, Cart, Consent, Contact, Inactivity, Item, Profile, Record, Registration, Send, Topics, encode};
use serde_json::json;
use sha2::Sha256;
use stream::clock::{Millis, machine_now};

use crate::http::{client, send};
use crate::installation::{DAY, Installation, PROVIDER};
use crate::providers::Handed;
use crate::tail::read;

impl Installation {
    /// A customer with an address and a consent for each of these channels. The address is `<customer>-<channel>`, for mail
    /// with a domain.
    pub fn customer(&self, customer: &str, channels: &[&str]) {
        self.known_before(customer, channels, &[]);
    }

    /// The same, with ids under which the customer was known before.
    pub fn known_before(&self, customer: &str, channels: &[&str], formerly: &[&str]) {
        let contact = |channel: &&str| Contact { channel: (*channel).to_owned(), address: address(customer, channel) };
        let consent = |channel: &&str| Consent {
            channel: (*channel).to_owned(),
            granted: true,
            at: self.now,
            source: "web".to_owned(),
            text_version: "1".to_owned(),
        };
        let profile = Profile {
            event_id: self.event_id(),
            customer_id: customer.to_owned(),
            occurred_at: self.now,
            contacts: channels.iter().map(contact).collect(),
            consents: channels.iter().map(consent).collect(),
            time_zone: Some("Europe/Berlin".to_owned()),
            formerly: formerly.iter().map(|id| (*id).to_owned()).collect(),
            ..Profile::default()
        };
        self.tell(&self.topics.profile(), customer, &profile);
    }

    /// A cart as it stands now; empty if `total_minor` is 0.
    pub fn cart(&self, customer: &str, cart_id: &str, version: i64, total_minor: i64) {
        let item = Item { sku: "4711".to_owned(), quantity: 1, price_minor: total_minor, ..Item::default() };
        let cart = Cart {
            event_id: self.event_id(),
            customer_id: customer.to_owned(),
            occurred_at: self.now,
            cart_id: cart_id.to_owned(),
            version,
            total_minor,
            currency: "USD".to_owned(),
            items: if total_minor == 0 { Vec::new() } else { vec![item] },
            link: Some(format!("https://shop.test/cart/{cart_id}")),
        };
        self.tell(&self.topics.cart(), customer, &cart);
    }

    /// An action, with the business key that it belongs to, and what else is told of it.
    pub fn action(&self, customer: &str, action: &str, key: Option<&str>, attributes: &[(&str, &str)]) {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let action = Action {
            event_id: self.event_id(),
            customer_id: customer.to_owned(),
            occurred_at: self.now,
            action: action.to_owned(),
            key: key.map(str::to_owned),
            attributes: attributes.collect(),
            ..Action::default()
        };
        self.tell(&self.topics.action(), customer, &action);
    }

    /// A purchase.
    pub fn purchase(&self, customer: &str) {
        self.action(customer, "purchase", None, &[]);
    }

    /// A purchase, told into the topics of another prefix.
    pub fn purchase_in(&self, topics: &Topics, customer: &str) {
        let action = Action {
            event_id: self.event_id(),
            customer_id: customer.to_owned(),
            occurred_at: self.now,
            action: "purchase".to_owned(),
            ..Action::default()
        };
        self.tell(&topics.action(), customer, &action);
        self.feed.flush();
    }

    /// A registration.
    pub fn registration(&self, customer: &str) {
        let registration = Registration {
            event_id: self.event_id(),
            customer_id: customer.to_owned(),
            occurred_at: self.now,
            source: "web".to_owned(),
            ..Registration::default()
        };
        self.tell(&self.topics.registration(), customer, &registration);
    }

    /// Nothing was heard of the customer for so many days.
    pub fn inactivity(&self, customer: &str, days: i32) {
        let inactivity = Inactivity {
            event_id: self.event_id(),
            customer_id: customer.to_owned(),
            occurred_at: self.now,
            since: self.now - Millis::from(days) * DAY,
            days,
            ..Inactivity::default()
        };
        self.tell(&self.topics.inactivity(), customer, &inactivity);
    }

    /// Writes a record of the shop. It is there when everything [settles](Self::settle).
    pub fn tell<T: Record>(&self, topic: &str, key: &str, record: &T) {
        self.feed.send(topic, key, &encode(record));
    }

    fn event_id(&self) -> String {
        format!("event-{}", self.event_number())
    }

    /// Every send command that was ever published, in the order of each partition, as `customer: channel campaign/step`.
    pub fn commands(&self) -> Vec<String> {
        let mut sends: Vec<Send> = self.sends();
        sends.sort_by_key(|send| send.decided_at);
        let line = |send: &Send| format!("{}: {} {}/{}", send.customer_id, send.channel, send.campaign, send.step);
        sends.iter().map(line).collect()
    }

    /// Every send command that was ever published.
    pub fn sends(&self) -> Vec<Send> {
        let topics = self.channels.iter().map(|channel| self.topics.send(channel));
        topics.flat_map(|topic| read(self.place.brokers(), &topic)).map(|message| message.decode()).collect()
    }

    /// Every message that a provider has, as `channel to address`.
    pub fn received(&self) -> Vec<String> {
        self.providers.handed().iter().map(|handed| format!("{} to {}", handed.channel, handed.to)).collect()
    }

    /// The last message that a provider has for this customer on this channel.
    #[track_caller]
    pub fn message(&self, customer: &str, channel: &str) -> Handed {
        let to = address(customer, channel);
        let found = self.providers.handed().into_iter().rfind(|handed| handed.channel == channel && handed.to == to);
        found.unwrap_or_else(|| panic!("no message to {to}; there are {:?}", self.received()))
    }

    /// The provider reports about a message, and the tracker has taken the receipt.
    #[track_caller]
    pub fn receipt(&self, handed: &Handed, status: &str) {
        let token = Some(&handed.receipt_token).filter(|token| !token.is_empty());
        let body = json!({"token": token, "status": status, "occurred_at": self.now}).to_string();
        let answered = self.post_receipt(&body);
        assert_eq!(answered, Some(204), "the tracker takes the receipt");
    }

    /// Posts a signed receipt; the status of the answer, none where there is none.
    pub fn post_receipt(&self, body: &str) -> Option<u16> {
        self.post_signed(&format!("/receipts/{PROVIDER}"), body)
    }

    /// Posts something signed to the tracker; the status of the answer, none where there is none.
    pub fn post_signed(&self, path: &str, body: &str) -> Option<u16> {
        send(self.signed(path, body)).map(|(status, _)| status.as_u16())
    }

    /// A request with signed receipts.
    pub fn receipt_request(&self, body: &str) -> RequestBuilder {
        self.signed(&format!("/receipts/{PROVIDER}"), body)
    }

    fn signed(&self, path: &str, body: &str) -> RequestBuilder {
        let (id, timestamp) = (format!("msg-{}", self.event_number()), (machine_now() / 1000).to_string());
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("any length will do");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        let signature = format!("v1,{}", base64(&mac.finalize().into_bytes()));
        client()
            .post(format!("http://{}{path}", self.tracker_address()))
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .header("content-type", "application/json")
            .body(body.to_owned())
    }

    /// The customer opens a mail: the pixel is loaded by a browser.
    #[track_caller]
    pub fn open(&self, handed: &Handed) {
        let pixel = handed.html.split("<img src=\"").nth(1).and_then(|rest| rest.split('"').next());
        let url = pixel.unwrap_or_else(|| panic!("no pixel in {}", handed.html));
        self.visit(url, 200);
    }

    /// The customer's mail program unsubscribes by one click.
    #[track_caller]
    pub fn unsubscribe(&self, handed: &Handed) {
        let path = handed.unsubscribe.splitn(4, '/').nth(3).unwrap_or_else(|| panic!("no link in {handed:?}"));
        let url = format!("http://{}/{path}", self.tracker_address());
        let form = [("List-Unsubscribe", "One-Click")];
        let (status, body) = send(client().post(url).form(&form)).expect("the tracker answers");
        assert!(status.is_success(), "{status}: {body}");
    }

    /// Loads a link to the tracker as a browser does, wherever the tracker listens by now.
    #[track_caller]
    pub fn visit(&self, url: &str, expected: u16) -> String {
        let path = url.splitn(4, '/').nth(3).unwrap_or_else(|| panic!("{url} is no link"));
        let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let request = client().get(format!("http://{}/{path}", self.tracker_address())).header("user-agent", browser);
        let (status, body) = send(request).expect("the tracker answers");
        assert_eq!(status.as_u16(), expected, "{url}: {body}");
        body
    }
}

/// The address of a customer on a channel.
pub fn address(customer: &str, channel: &str) -> String {
    match channel {
        "email" => format!("{customer}@example.test"),
        _ => format!("{customer}-{channel}"),
    }
}

/// The same in order.
pub fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort_unstable();
    all
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
