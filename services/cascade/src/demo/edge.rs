//! How people and providers reach the tracker: by the links and tokens in the message that they got, and by nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::header::USER_AGENT;
use reqwest::{RequestBuilder, StatusCode, redirect};
use serde_json::json;
use stream::clock::machine_now;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracker::signature::Secret;

use super::message::Message;
use super::people::Reaction;

/// Name under which the sandbox's providers post their receipts.
pub const PROVIDER: &str = "sandbox";

/// People who act at the same moment, at most.
const AT_ONCE: usize = 16;

/// What a mail program says that loads pictures for its reader, and what one says that shows them to him.
const PROXY: &str = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
const READER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0";

/// The tracker, from outside.
#[derive(Clone, Debug)]
pub struct Edge {
    http: reqwest::Client,
    tracker: SocketAddr,
    secret: Arc<Secret>,
}

impl Edge {
    /// The tracker at this address, which believes receipts that are signed with this secret.
    pub fn new(tracker: SocketAddr, secret: &str) -> Result<Self> {
        let secret = Secret::parse(secret).map_err(|words| anyhow::anyhow!("the receipts' secret: {words}"))?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()?;
        Ok(Edge { http, tracker, secret: Arc::new(secret) })
    }

    /// Does it all, and gives back how many facts the tracker has taken in: it publishes one record for each. What is done
    /// about one message keeps its order; different people act side by side.
    pub async fn react(&self, reactions: Vec<(Reaction, Message)>) -> Result<u64> {
        let mut people: BTreeMap<String, Vec<(Reaction, RequestBuilder)>> = BTreeMap::new();
        for (reaction, message) in reactions {
            if let Some(request) = self.request(reaction, &message)? {
                people.entry(message.send_id).or_default().push((reaction, request));
            }
        }
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut acts = JoinSet::new();
        for requests in people.into_values() {
            let turns = Arc::clone(&turns);
            acts.spawn(async move {
                let _turn = turns.acquire_owned().await?;
                let mut facts = 0;
                for (reaction, request) in requests {
                    let answer =
                        request.send().await.context("the tracker does not answer; look into its log with --keep")?;
                    ensure!(
                        is_taken(reaction, answer.status()),
                        "the tracker answers {} to {reaction:?}",
                        answer.status()
                    );
                    facts += 1;
                }
                Ok(facts)
            });
        }
        let mut facts = 0;
        while let Some(done) = acts.join_next().await {
            facts += done??;
        }
        Ok(facts)
    }

    /// What somebody asks of the tracker; nothing if the message gives no way to.
    fn request(&self, reaction: Reaction, message: &Message) -> Result<Option<RequestBuilder>> {
        let open = |agent: &str| message.pixel.as_ref().map(|pixel| self.http.get(pixel).header(USER_AGENT, agent));
        let ours = |link: &&String| link.starts_with(&format!("http://{}/c/", self.tracker));
        Ok(match reaction {
            Reaction::Delivered => self.receipt(message, "delivered", None)?,
            Reaction::Failed => self.receipt(message, "failed", Some("unreachable"))?,
            Reaction::Prefetched => open(PROXY),
            Reaction::Opened if message.channel == "email" => open(READER),
            Reaction::Opened => self.receipt(message, "opened", None)?,
            Reaction::Clicked => {
                message.links.iter().find(ours).map(|link| self.http.get(link).header(USER_AGENT, READER))
            }
            Reaction::Unsubscribed => {
                message.unsubscribe.as_ref().map(|url| self.http.post(url).body("List-Unsubscribe=One-Click"))
            }
        })
    }

    /// A signed receipt, as the provider posts it.
    fn receipt(&self, message: &Message, status: &str, code: Option<&str>) -> Result<Option<RequestBuilder>> {
        let body = match (&message.receipt_token, &message.customer_id) {
            (Some(token), _) => json!({"token": token, "status": status, "code": code}),
            (None, Some(customer)) => json!({
                "send_id": message.send_id, "customer_id": customer, "channel": message.channel, "status": status, "code": code,
            }),
            (None, None) => return Ok(None),
        };
        let body = serde_json::to_vec(&body)?;
        let id = format!("{}-{status}", message.send_id);
        let timestamp = (machine_now() / 1000).to_string();
        let signature = self.secret.sign(&id, &timestamp, &body);
        let request = self.http.post(format!("http://{}/receipts/{PROVIDER}", self.tracker));
        Ok(Some(
            request
                .header("webhook-id", id)
                .header("webhook-timestamp", timestamp)
                .header("webhook-signature", signature)
                .header("content-type", "application/json")
                .body(body),
        ))
    }
}

fn is_taken(reaction: Reaction, status: StatusCode) -> bool {
    match reaction {
        Reaction::Clicked => status.is_redirection(),
        _ => status.is_success(),
    }
}
