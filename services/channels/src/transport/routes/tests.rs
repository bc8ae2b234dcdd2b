use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use schemas::Status;

use super::super::double;
use super::*;

/// Says what it is told to say, and counts.
#[derive(Debug)]
struct Provider {
    says: Mutex<Answer>,
    asked: AtomicUsize,
    ear: Mutex<Option<Ear>>,
}

impl Provider {
    fn new(says: Answer) -> Arc<Self> {
        Arc::new(Provider { says: Mutex::new(says), asked: AtomicUsize::new(0), ear: Mutex::new(None) })
    }

    fn now_says(&self, answer: Answer) {
        *self.says.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Way(Arc<Provider>);

impl Transport for Way {
    fn hand_over<'a>(&'a self, _: &'a Message) -> Call<'a> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.0.says.lock().unwrap().clone();
        Box::pin(async move { answer })
    }

    fn ear(&self) -> Option<Ear> {
        self.0.ear.lock().unwrap().take()
    }
}

fn taken(id: &str) -> Answer {
    Answer::taken(Some(id.to_owned()))
}

fn routes(main: &Arc<Provider>, spare: &Arc<Provider>) -> Routes {
    let route = |name: &str, provider: &Arc<Provider>| Route {
        name: name.to_owned(),
        transport: Box::new(Way(Arc::clone(provider))),
    };
    Routes::over(vec![route("main", main), route("spare", spare)])
}

async fn say(routes: &Routes, name: &str) -> Answer {
    routes.hand_over(&Message { send_id: name.to_owned(), ..double::message("+7900") }).await
}

#[tokio::test]
async fn the_next_route_takes_what_the_first_has_certainly_not_taken() {
    let (main, spare) = (Provider::new(Answer::not_taken("throttled")), Provider::new(taken("0A1")));
    let routes = routes(&main, &spare);
    assert_eq!(say(&routes, "a").await, Answer::Elsewhere { code: "main:throttled".to_owned() });
    assert_eq!(spare.asked(), 0, "it has a turn of its own");
    assert_eq!(say(&routes, "a").await, taken("spare:0A1"));
    assert_eq!((main.asked(), spare.asked()), (1, 1));
}

#[tokio::test]
async fn a_route_that_does_not_permit_us_loses_no_message_and_is_named_with_its_reason() {
    let (main, spare) = (Provider::new(Answer::not_taken("http_401")), Provider::new(taken("1")));
    let routes = routes(&main, &spare);
    for number in 0..20 {
        let name = number.to_string();
        match say(&routes, &name).await {
            Answer::Elsewhere { code } => {
                assert_eq!(code, "main:http_401");
                assert_eq!(say(&routes, &name).await, taken("spare:1"), "its next turn");
            }
            answer => assert_eq!(answer, taken("spare:1")),
        }
    }
    assert_eq!(routes.routes(), [("main", true), ("spare", false)]);
    assert_eq!(spare.asked(), 20, "each was taken, once");
    // None permits us: nothing is refused, so nothing dearer follows, and all waits until somebody has mended it.
    spare.now_says(Answer::not_taken("http_403"));
    let mut said = say(&routes, "20").await;
    for _ in 0..20 {
        assert!(matches!(said, Answer::NotTaken { .. } | Answer::Elsewhere { .. }), "{said:?}");
        said = say(&routes, "20").await;
    }
    routes.state().breakers.iter_mut().for_each(|breaker| *breaker = due());
    main.now_says(taken("2"));
    assert_eq!(say(&routes, "20").await, taken("main:2"));
    assert_eq!(routes.routes(), [("main", false), ("spare", true)]);
}

#[tokio::test]
async fn what_may_have_been_taken_goes_to_no_other_route() {
    for answer in [Answer::unknown("timeout"), Answer::refused("blocked"), Answer::nobody_there("gone")] {
        let (main, spare) = (Provider::new(answer.clone()), Provider::new(taken("1")));
        let routes = routes(&main, &spare);
        assert_eq!(say(&routes, "a").await, answer);
        assert_eq!(spare.asked(), 0);
    }
}

#[tokio::test]
async fn a_route_that_is_out_is_left_alone() {
    let (main, spare) = (Provider::new(Answer::not_taken("connection")), Provider::new(taken("1")));
    let routes = routes(&main, &spare);
    for number in 0..20 {
        let name = number.to_string();
        if !matches!(say(&routes, &name).await, Answer::Accepted { .. }) {
            assert_eq!(say(&routes, &name).await, taken("spare:1"));
        }
    }
    assert_eq!((main.asked(), spare.asked()), (5, 20));
}

#[tokio::test]
async fn while_all_are_out_nobody_is_called_and_commands_wait() {
    let (main, spare) = (Provider::new(Answer::not_taken("connection")), Provider::new(Answer::not_taken("login")));
    let routes = routes(&main, &spare);
    for number in 0..20 {
        let name = number.to_string();
        let mut answer = say(&routes, &name).await;
        if matches!(answer, Answer::Elsewhere { .. }) {
            answer = say(&routes, &name).await;
        }
        assert!(matches!(answer, Answer::NotTaken { .. }), "{answer:?}");
    }
    assert_eq!((main.asked(), spare.asked()), (5, 5));
    assert_eq!(routes.state().not_taken.len(), 0, "who has asked all begins anew");
    main.now_says(taken("1"));
    assert_eq!(say(&routes, "b").await, Answer::NotTaken { code: "no_route".to_owned(), retry_after: Some(RETRY) });
}

#[tokio::test]
async fn who_was_passed_over_by_the_first_route_goes_by_it_when_it_is_well_and_the_others_are_not() {
    let (main, spare) = (Provider::new(Answer::not_taken("throttled")), Provider::new(Answer::not_taken("connection")));
    let routes = routes(&main, &spare);
    assert!(matches!(say(&routes, "a").await, Answer::Elsewhere { .. }));
    (0..5).for_each(|_| routes.state().breakers[1].failed(None, Tick::now()));
    main.now_says(taken("1"));
    assert_eq!(say(&routes, "a").await, Answer::NotTaken { code: "no_route".to_owned(), retry_after: Some(RETRY) });
    assert_eq!(say(&routes, "a").await, taken("main:1"));
}

#[tokio::test]
async fn what_is_said_of_a_message_finds_the_route_by_which_it_went() {
    let (main, spare) = (Provider::new(taken("1")), Provider::new(taken("1")));
    let mut said = Vec::new();
    for provider in [&main, &spare] {
        let (words, heard) = mpsc::channel(8);
        *provider.ear.lock().unwrap() = Some(Ear { words: heard, memory: 7 });
        said.push(words);
    }
    let mut ear = routes(&main, &spare).ear().unwrap();
    assert_eq!(ear.memory, 7);
    for (words, wanted) in said.iter().zip(["main:00A1", "spare:00A1"]) {
        let about = About::ProviderId("00A1".to_owned());
        words.send(Word::new(about, Status::Delivered).0).await.unwrap();
        assert_eq!(ear.words.recv().await.unwrap().about, About::ProviderId(wanted.to_owned()));
    }
    said.clear();
    assert!(ear.words.recv().await.is_none(), "it ends with the routes");
}

#[tokio::test]
async fn an_outage_of_one_route_is_none_of_the_channel() {
    let (main, spare) = (Provider::new(Answer::unknown("timeout")), Provider::new(taken("1")));
    let routes = routes(&main, &spare);
    assert!(!routes.is_one_provider());
    for number in 0..9 {
        say(&routes, &number.to_string()).await;
        assert_eq!(routes.left_alone(), None);
    }
    assert_eq!((main.asked(), spare.asked()), (5, 4));
    spare.now_says(Answer::not_taken("connection"));
    for number in 9..14 {
        assert_eq!(routes.left_alone(), None);
        say(&routes, &number.to_string()).await;
    }
    assert_eq!(routes.left_alone(), Some(0), "both are out, and neither may be tried yet");
    routes.state().breakers.iter_mut().for_each(|breaker| *breaker = due());
    assert_eq!(routes.left_alone(), Some(2), "each may be tried once");
    spare.now_says(taken("2"));
    routes.state().breakers[0] = Breaker::default();
    assert_eq!(routes.left_alone(), None);
}

/// A breaker whose pause is over.
fn due() -> Breaker {
    let mut breaker = Breaker::default();
    breaker.failed(Some(Duration::ZERO), Tick::now());
    breaker
}

/// Never answers.
#[derive(Debug)]
struct Mute;

impl Transport for Mute {
    fn hand_over<'a>(&'a self, _: &'a Message) -> Call<'a> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_call_is_counted_out_and_learned_from_once_however_it_ends() {
    let main = Provider::new(Answer::not_taken("connection"));
    let transports: [Box<dyn Transport>; 2] = [Box::new(Way(Arc::clone(&main))), Box::new(Mute)];
    let names = ["main", "mute"].map(str::to_owned).into_iter();
    let routes = Routes::over(names.zip(transports).map(|(name, transport)| Route { name, transport }).collect());
    for number in 0..5 {
        let name = number.to_string();
        assert_eq!(say(&routes, &name).await, Answer::Elsewhere { code: "main:connection".to_owned() });
        // The other one is asked and given up.
        let state = |number: usize| routes.state().breakers[number].is_open();
        assert_eq!((state(0), state(1)), (number == 4, false), "after {number}");
        let asked = tokio::time::timeout(Duration::from_millis(1), say(&routes, &name)).await;
        assert!(asked.is_err());
        let out = routes.state().out.clone();
        assert_eq!((out, state(1)), (vec![0, 0], number == 4));
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut state = State { breakers: vec![Breaker::default()], out: vec![0], ..State::default() };
    for number in 0..REMEMBERED + 9 {
        state.pass_over(&number.to_string(), 0);
    }
    assert_eq!((state.not_taken.len(), state.order.len()), (REMEMBERED, REMEMBERED));
}

#[test]
fn routes_are_configured_in_an_order() {
    let http = serde_json::json!({"kind": "http", "url": "https://sms.example/"});
    let problems = |order: &[&str], routes: serde_json::Value| {
        let config = serde_json::json!({"kind": "routes", "order": order, "routes": routes});
        serde_json::from_value::<super::super::Config>(config).unwrap().problems()
    };
    assert!(problems(&["b", "a"], serde_json::json!({"a": http, "b": http})).is_empty());
    for order in [&["a"][..], &["a", "a"], &["a", "c"], &["a", "b", "b"]] {
        assert_eq!(problems(order, serde_json::json!({"a": http, "b": http})).len(), 1, "{order:?}");
    }
    let nested = serde_json::json!({"kind": "routes", "order": ["a", "b"], "routes": {}});
    assert_eq!(
        problems(&["a", "b"], serde_json::json!({"a": http, "b": nested})),
        ["transport.routes.b: routes cannot have routes"]
    );
    let bad = serde_json::json!({"kind": "http", "url": "x"});
    assert!(problems(&["a", "b"], serde_json::json!({"a": http, "b": bad}))[0].starts_with("route b: transport.url "));
}

#[tokio::test]
async fn a_route_that_has_no_more_for_now_is_passed_over_and_where_none_has_the_message_waits() {
    let (main, spare) = (Provider::new(taken("1")), Provider::new(taken("2")));
    let routes = routes(&main, &spare);
    routes.state().limits = vec![Some(Limit::new(4, 4)), Some(Limit::new(2, 2))];
    let none = Answer::NotTaken { code: "no_route".to_owned(), retry_after: Some(RETRY) };
    assert_eq!(say(&routes, "0").await, none, "before it is known what share is ours");
    routes.divide(1, 2);
    for (name, wanted) in [("1", taken("main:1")), ("2", taken("main:1")), ("3", taken("spare:2")), ("4", none.clone())]
    {
        assert_eq!(say(&routes, name).await, wanted, "{name}");
    }
    assert_eq!((main.asked(), spare.asked()), (2, 1));
    assert_eq!(routes.left_alone(), None, "nobody is out");
    // Another share: it brings nothing anew of what was used up.
    routes.divide(2, 2);
    assert_eq!(say(&routes, "4").await, none);
}

#[test]
fn a_rate_is_one_of_a_route() {
    let transport = |rates: serde_json::Value| {
        let config = serde_json::json!({"kind": "routes", "order": ["a", "b"], "rates": rates,
            "routes": {"a": {"kind": "nowhere"}, "b": {"kind": "nowhere"}}});
        serde_json::from_value::<super::super::Config>(config).unwrap().problems()
    };
    assert_eq!(transport(serde_json::json!({"a": 20})), [""; 0]);
    for wrong in [serde_json::json!({"c": 20}), serde_json::json!({"a": 0})] {
        assert_eq!(transport(wrong).len(), 1);
    }
}
