//! What providers post on their own protocols: `POST /hooks/<channel>`, and `GET` where one asks before it posts. A gateway that signs
//! nothing posts to `/hooks/<channel>/<secret>`.
//!
//! How each of them is believed and read stands with its transport (`channels::transport::hook`). What is read goes the way of all that
//! providers say (`channels::echo`): by our token, by the provider's id, or by the address, it finds its send in `attempt.<channel>`,
//! and becomes a fact; what a customer wrote goes into `reply`.
//!
//! | answer | means |
//! |---|---|
//! | 200 | Kafka has everything that says something; the rest is counted (`cascade_provider_words_total`), and would be no other if it came again |
//! | 401 | it is not believed |
//! | 403, to a GET | who asks does not know what was agreed |
//! | 404 | the channel has no hook |
//! | 413 | too large |
//! | 503, with `retry-after` | not all is in Kafka, or the sends are not read yet: to be posted again as it is |

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use channels::transport::hook::{Hook, REPLAY, Said};
use channels::transport::{About, Fate, Word};
use schemas::token::Kind;
use schemas::{Millis, Status};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::room::later;
use crate::server::Edge;

/// So long the facts of one post may take: whoever waits longer is told to come again before the whole request is given up.
const PATIENCE: Duration = Duration::from_secs(12);

/// A channel whose provider posts.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) hook: Box<dyn Hook>,
    /// Where words become facts.
    pub(crate) words: mpsc::Sender<Word>,
}

/// A provider asks whether somebody listens here.
pub(crate) async fn ask(
    State(edge): State<Edge>,
    Path(channel): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let Some(listening) = edge.hooks.get(&channel) else { return StatusCode::NOT_FOUND.into_response() };
    match listening.hook.challenge(&query) {
        Some(challenge) => ([(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], challenge).into_response(),
        None => StatusCode::FORBIDDEN.into_response(),
    }
}

/// A provider says something.
pub(crate) async fn post(
    State(edge): State<Edge>,
    Path(channel): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(listening) = edge.hooks.get(&channel) else { return StatusCode::NOT_FOUND.into_response() };
    let is_believed = listening.hook.trusts(&headers, &body);
    take(&edge, &channel, listening, is_believed, &body).await
}

/// The same of one whose proof stands in the path.
pub(crate) async fn post_by_path(
    State(edge): State<Edge>,
    Path((channel, word)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let Some(listening) = edge.hooks.get(&channel) else { return StatusCode::NOT_FOUND.into_response() };
    let is_believed = listening.hook.trusts_path(&word);
    take(&edge, &channel, listening, is_believed, &body).await
}

async fn take(edge: &Edge, channel: &str, listening: &Listening, is_believed: bool, body: &[u8]) -> Response {
    if !is_believed {
        tracing::warn!(channel, "what was posted is not believed");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let said = listening.hook.read(body);
    let Some(mut places) = edge.room.take(said.len()) else { return later() };
    let oldest = stream::clock::machine_now().saturating_sub(i64::try_from(REPLAY.as_millis()).unwrap_or(i64::MAX));
    let mut told = JoinSet::new();
    for said in said {
        let (place, about) = (places.split(1), about(edge, channel, &said, oldest));
        let telling = tell(listening.words.clone(), about, said);
        told.spawn(async move {
            let kept = telling.await;
            drop(place);
            kept
        });
    }
    let all = async {
        let mut kept = true;
        while let Some(one) = told.join_next().await {
            kept &= one.unwrap_or(false);
        }
        kept
    };
    match timeout(PATIENCE, all).await {
        Ok(true) => listening.hook.answer(body).into_response(),
        Ok(false) | Err(_) => {
            tracing::warn!(channel, "not all that was posted is in Kafka");
            later()
        }
    }
}

/// What a word is about, the surest first.
fn about(edge: &Edge, channel: &str, said: &Said, oldest: Millis) -> Vec<About> {
    if said.occurred_at.is_some_and(|moment| moment < oldest) {
        return vec![About::Nothing("replayed")];
    }
    let token = said.token.as_ref().and_then(|token| edge.keys.verify(token, Kind::Receipt, Millis::MIN).ok());
    // Who posts for one channel says nothing of another.
    match token.filter(|token| token.channel == channel) {
        Some(token) => vec![About::Send { send_id: token.send_id.to_string(), customer_id: token.customer_id }],
        None => said.about.clone(),
    }
}

/// Whether it need not be said again.
async fn tell(words: mpsc::Sender<Word>, about: Vec<About>, said: Said) -> bool {
    for about in about {
        let is_nothing = matches!(about, About::Nothing(_));
        let (mut word, fate) = Word::new(about, if is_nothing { Status::Unspecified } else { said.status });
        (word.code, word.text, word.occurred_at) = (said.code.clone(), said.text.clone(), said.occurred_at);
        if words.send(word).await.is_err() {
            return false;
        }
        match fate.await {
            Ok(Fate::Useless) => {}
            Ok(Fate::Kept) => return true,
            Ok(Fate::Again) | Err(_) => return false,
        }
    }
    true
}
