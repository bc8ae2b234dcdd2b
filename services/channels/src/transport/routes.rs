//! Several ways to the same phone, say: when the first is out, the next takes over.
//!
//! ```toml
//! [channel.sms.transport]
//! kind = "routes"
//! order = ["main", "spare"]
//! [channel.sms.transport.routes.main]
//! kind = "smpp"
//! ```
//!
//! A message goes to the first route of `order` that is not left alone. What its provider says is read as on its own page, and then:
//!
//! | the route says | what follows |
//! |---|---|
//! | taken | that is all; the route's name stands before the provider's id, `main:42`: two routes may give the same |
//! | this message is refused, nobody is there | so it is: another route would be told the same, and it would cost again |
//! | not taken for now (an outage, throttling, a login or path of ours) | the next route, in the message's next turn |
//! | unknown | nobody knows, and no other route is tried: the message may be on its way |
//!
//! *Never both.* A message goes to another route only where the one before has certainly not taken it. So `on_unknown` must be
//! `skip`: after a crash nobody knows by which route a message may have gone.
//!
//! *A route that is out.* Five failures in a row, or a pause that the provider asks for, and a route is left alone for a while, as
//! the provider of a channel is (`breaker.rs`); then one message tries it. A call that was given up counts as a failure. The channel
//! itself never pauses for a route: only while all are left alone, its commands wait, and nobody is called but for such trials.
//!
//! *Rates.* `rates` may say how many messages a second a route takes, from all workers of the channel together. One that has no more for now
//! is passed over, and the next takes its messages; where none has, they wait, as after an outage: for longer each time, so a burst may not
//! use the last of its rates. `rate_per_second` of the channel counts beside them.
//!
//! *Who sees it.* While others carry its messages, nobody else notices a route that takes nothing, as when its login is no longer valid
//! or a sender is not permitted there. So each message that a route does not take is counted with the route and its reason
//! (`cascade_calls_not_taken_total`), each new reason is logged, a gauge tells which routes are left alone (`cascade_route_paused`), and an
//! alert speaks of both. The message loses nothing by it: it was not taken, and its turns go on until its validity ends.
//!
//! *The next turn* is a new one for all: withdrawals are read again before it, so the residual window is no longer with two routes
//! than with one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use stream::clock::Tick;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{About, Answer, Call, Ear, Message, Transport, Word};
use crate::breaker::Breaker;
use crate::limit::Limit;

/// More routes are a mistake.
const ROUTES_MAX: usize = 8;

/// Messages of which is remembered which routes have not taken them.
const REMEMBERED: usize = 10_000;

/// Words of all routes that may wait.
const WORDS: usize = 256;

/// Several routes, and their order.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Names of the routes, the preferred one first.
    pub order: Vec<String>,
    /// The routes, each as the transport of a channel.
    pub routes: BTreeMap<String, super::Config>,
    /// Messages per second that single routes take from all workers of the channel together.
    #[serde(default)]
    pub rates: BTreeMap<String, u32>,
}

impl Config {
    /// The longest of all routes: a message takes one in a turn.
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.routes.values().map(super::Config::timeout_seconds).max().unwrap_or_default()
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let named = |name: &String| self.order.iter().filter(|other| *other == name).count() == 1;
        let fits = (2..=ROUTES_MAX).contains(&self.order.len()) && self.order.len() == self.routes.len();
        if !fits || !self.routes.keys().all(named) {
            problems.push(format!("transport.order must name each of transport.routes once, from 2 to {ROUTES_MAX}"));
        }
        for (name, rate) in &self.rates {
            if !self.routes.contains_key(name) || *rate == 0 {
                problems.push(format!("transport.rates.{name}: must be the name of a route, with at least 1"));
            }
        }
        for (name, route) in &self.routes {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || !name.chars().all(plain) {
                problems.push(format!("transport.routes.{name}: a name has lower-case letters, digits and dashes"));
            }
            if matches!(route, super::Config::Routes(_)) {
                problems.push(format!("transport.routes.{name}: routes cannot have routes"));
            } else {
                problems.extend(route.problems().into_iter().map(|words| format!("route {name}: {words}")));
            }
        }
        problems
    }
}

struct Routes {
    routes: Vec<Route>,
    state: Mutex<State>,
    /// Where words are passed on.
    runtime: Handle,
}

struct Route {
    name: String,
    transport: Box<dyn Transport>,
}

#[derive(Default)]
struct State {
    breakers: Vec<Breaker>,
    /// The rates of those that have one.
    limits: Vec<Option<Limit>>,
    out: Vec<usize>,
    /// Which routes certainly have not taken a message, a bit for each.
    not_taken: HashMap<String, u64>,
    order: VecDeque<String>,
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|route| &route.name)).finish()
    }
}

pub(super) fn open(config: &Config) -> Result<Box<dyn Transport>, String> {
    let opened = |name: &String| {
        let route = config.routes.get(name).ok_or_else(|| format!("transport.order: there is no route {name}"))?;
        Ok(Route { name: name.clone(), transport: route.open()? })
    };
    let routes: Vec<Route> = config.order.iter().map(opened).collect::<Result<_, String>>()?;
    let limit = |name: &String| config.rates.get(name).map(|rate| Limit::new(*rate, *rate));
    let routes = Routes::over(routes);
    routes.state().limits = config.order.iter().map(limit).collect();
    Ok(Box::new(routes))
}

impl Routes {
    fn over(routes: Vec<Route>) -> Self {
        let breakers = routes.iter().map(|_| Breaker::default()).collect();
        let limits = routes.iter().map(|_| None).collect();
        let state = State { breakers, limits, out: vec![0; routes.len()], ..State::default() };
        Routes { routes, state: Mutex::new(state), runtime: Handle::current() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn through(&self, message: &Message) -> Answer {
        let Some(chosen) = self.state().choose(&message.send_id, Tick::now()) else {
            // Whoever has passed it over may be well again before the others are.
            self.state().forget(&message.send_id);
            return Answer::NotTaken { code: "no_route".to_owned(), retry_after: Some(RETRY) };
        };
        let mut out = Out { routes: self, route: chosen, said: Answer::unknown("given_up") };
        let route = &self.routes[chosen];
        let answer = route.transport.hand_over(message).await;
        out.said.clone_from(&answer);
        drop(out);
        let mut state = self.state();
        match answer {
            Answer::Accepted { provider_id, code } => {
                state.forget(&message.send_id);
                Answer::Accepted { provider_id: provider_id.map(|id| named(&route.name, &id)), code }
            }
            Answer::NotTaken { code, .. } => {
                state.pass_over(&message.send_id, chosen);
                let code = named(&route.name, &code);
                match state.has_another(&message.send_id, Tick::now()) {
                    true => Answer::Elsewhere { code },
                    false => {
                        // All have been asked: from the first again, after a while.
                        state.forget(&message.send_id);
                        // The last one's own pause is kept by its breaker: the others need not wait for it.
                        Answer::NotTaken { code, retry_after: None }
                    }
                }
            }
            answer => {
                state.forget(&message.send_id);
                answer
            }
        }
    }
}

/// A call under way. When it is over, also by being given up, it is counted out and learned from: once, and in one step.
struct Out<'a> {
    routes: &'a Routes,
    route: usize,
    said: Answer,
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        let (Route { name, transport }, mut state) = (&self.routes.routes[self.route], self.routes.state());
        state.out[self.route] = state.out[self.route].saturating_sub(1);
        let was_open = state.breakers[self.route].is_open();
        if transport.is_one_provider() {
            state.breakers[self.route].learn(&self.said, Tick::now());
        }
        match (was_open, state.breakers[self.route].is_open()) {
            (false, true) => {
                let code = match &self.said {
                    Answer::NotTaken { code, .. } | Answer::Unknown { code } => code.as_str(),
                    _ => "",
                };
                tracing::warn!(route = name, code, "a route takes nothing: it is left alone for a while");
            }
            (true, false) => tracing::info!(route = name, "the route takes messages again"),
            _ => {}
        }
    }
}

/// While all routes are left alone, or have no permit, commands come again after this time.
const RETRY: Duration = Duration::from_secs(1);

impl State {
    /// The route for a message, whose call counts as begun. One that has no permit is passed over for this time.
    fn choose(&mut self, send_id: &str, now: Tick) -> Option<usize> {
        let mut open = self.open_to(send_id, now);
        let chosen = open.find(|route| self.limits[*route].as_ref().is_none_or(Limit::permits))?;
        drop(open);
        self.out[chosen] += 1;
        Some(chosen)
    }

    /// Whether a route is there for another turn of the message.
    fn has_another(&self, send_id: &str, now: Tick) -> bool {
        self.open_to(send_id, now).next().is_some()
    }

    /// Routes that are not left alone and have not passed the message over, the preferred one first.
    fn open_to(&self, send_id: &str, now: Tick) -> impl Iterator<Item = usize> {
        let passed = self.not_taken.get(send_id).copied().unwrap_or(0);
        (0..self.breakers.len()).filter(move |route| {
            passed >> route & 1 == 0 && self.breakers[*route].admits(self.out[*route], usize::MAX, now) > 0
        })
    }

    fn pass_over(&mut self, send_id: &str, route: usize) {
        let order = &mut self.order;
        *self.not_taken.entry(send_id.to_owned()).or_insert_with(|| {
            order.push_back(send_id.to_owned());
            0
        }) |= 1 << route;
        while self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.not_taken.remove(&oldest);
        }
    }

    fn forget(&mut self, send_id: &str) {
        if self.not_taken.remove(send_id).is_some() {
            self.order.retain(|known| known != send_id);
        }
    }
}

/// Two providers may give the same id, or say the same. No route's name has a colon, so no two become one.
fn named(route: &str, word: &str) -> String {
    format!("{route}:{word}")
}

impl Transport for Routes {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(self.through(message))
    }

    fn calls_max(&self) -> Option<usize> {
        self.routes.iter().filter_map(|route| route.transport.calls_max()).min()
    }

    /// What one route says is none of the channel's.
    fn is_one_provider(&self) -> bool {
        false
    }

    fn left_alone(&self) -> Option<usize> {
        let (state, now) = (self.state(), Tick::now());
        let trials = |(breaker, out): (&Breaker, &usize)| breaker.admits(*out, 1, now);
        let all = state.breakers.iter().all(Breaker::is_open);
        all.then(|| state.breakers.iter().zip(&state.out).map(trials).sum())
    }

    fn routes(&self) -> Vec<(&str, bool)> {
        let state = self.state();
        let names = self.routes.iter().map(|route| route.name.as_str());
        names.zip(state.breakers.iter().map(Breaker::is_open)).collect()
    }

    fn divide(&self, owned: u32, all: u32) {
        self.state().limits.iter_mut().flatten().for_each(|limit| limit.divide(owned, all));
    }

    fn is_answered(&self) -> bool {
        self.routes.iter().any(|route| route.transport.is_answered())
    }

    fn ear(&self) -> Option<Ear> {
        let heard: Vec<(String, Ear)> =
            self.routes.iter().filter_map(|route| Some((route.name.clone(), route.transport.ear()?))).collect();
        if heard.is_empty() {
            return None;
        }
        let memory = heard.iter().map(|(_, ear)| ear.memory).max().unwrap_or_default();
        let (all, words) = mpsc::channel(WORDS);
        let mut tasks = JoinSet::new();
        for (name, mut ear) in heard {
            let all = all.clone();
            let passing = async move {
                while let Some(word) = ear.words.recv().await {
                    if all.send(by_route(&name, word)).await.is_err() {
                        return;
                    }
                }
            };
            tasks.spawn_on(passing, &self.runtime);
        }
        // They end with their routes, or with whoever listens.
        tasks.detach_all();
        Some(Ear { words, memory })
    }
}

fn by_route(route: &str, word: Word) -> Word {
    let about = match word.about {
        About::ProviderId(id) => About::ProviderId(named(route, &id)),
        About::Named { provider_id, send_id, customer_id } => {
            About::Named { provider_id: named(route, &provider_id), send_id, customer_id }
        }
        about => about,
    };
    Word { about, ..word }
}

#[cfg(test)]
mod tests;
