//! Whether the registry takes our schemas: asked, not registered.

use std::time::Duration;

use schemas::{Action, Cart, Feedback, Inactivity, Profile, Record, Registration, Topics};
use serde::Deserialize;
use serde_json::json;

use super::finding::Finding;
use crate::registry::Settings;

#[derive(Deserialize)]
struct Verdict {
    is_compatible: bool,
}

/// One finding for each subject that would refuse us, or one for a registry that does not answer.
pub async fn examine(registry: &Settings, topics: &Topics) -> Vec<Finding> {
    let ours = [
        (topics.cart(), Cart::SCHEMA),
        (topics.registration(), Registration::SCHEMA),
        (topics.inactivity(), Inactivity::SCHEMA),
        (topics.action(), Action::SCHEMA),
        (topics.profile(), Profile::SCHEMA),
        (topics.feedback(), Feedback::SCHEMA),
    ];
    let mut findings = Vec::new();
    for (topic, schema) in ours {
        match fits(registry, &topic, schema).await {
            Ok(true) => {}
            Ok(false) => findings.push(Finding::threat(
                format!("subject {topic}-value"),
                "what is registered there does not go with our schema: intake will not start, or dead letters pile up",
                "compare it with schemas/*.avsc; a subject of other records needs another topics.prefix",
            )),
            Err(error) => {
                let what = format!("the registry gives no answer ({})", error.without_url());
                return vec![Finding::threat(
                    "registry.url",
                    what,
                    "check the address, and as whom it is asked (registry.user)",
                )];
            }
        }
    }
    findings
}

/// A subject that nobody has registered yet takes anything.
async fn fits(registry: &Settings, topic: &str, schema: &str) -> reqwest::Result<bool> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let address =
        format!("{}/compatibility/subjects/{topic}-value/versions/latest", registry.url().trim_end_matches('/'));
    let request = client.post(address).json(&json!({"schema": schema}));
    let request = match registry.login() {
        Some(login) => request.basic_auth(&login.name, Some(&login.password)),
        None => request,
    };
    let asked = request.send().await?;
    match asked.status().as_u16() {
        404 => Ok(true),
        _ => Ok(asked.error_for_status()?.json::<Verdict>().await?.is_compatible),
    }
}
