//! Against a double that keeps updates as the Bot API does: those from `offset` on, until a higher one is asked for.

use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;
use crate::transport::double::{Asked, Double, Saying, recorded};
use crate::transport::{call, replies};

const QUICK: Rests = Rests {
    trouble: (Duration::from_millis(20), Duration::from_millis(60)),
    turn: (Duration::from_millis(300), Duration::from_millis(300)),
};

/// Updates that are not confirmed.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Value>>>);

impl Kept {
    fn new(ids: impl IntoIterator<Item = i64>) -> Self {
        let update = |id: i64| {
            let (chat, from) = (json!({"id": 12345, "type": "private"}), json!({"id": 12345, "is_bot": false}));
            json!({"update_id": id, "message": {"chat": chat, "from": from, "date": 1_700_000_000 + id, "text": format!("text {id}")}})
        };
        Kept(Arc::new(Mutex::new(ids.into_iter().map(update).collect())))
    }

    fn answer(&self, asked: &Asked) -> Saying {
        let (question, mut kept) = (asked.json(), self.0.lock().unwrap());
        let offset = question["offset"].as_i64().unwrap_or(i64::MIN);
        kept.retain(|update| update["update_id"].as_i64().unwrap() >= offset);
        let told: Vec<Value> =
            kept.iter().take(usize::try_from(question["limit"].as_u64().unwrap()).unwrap()).cloned().collect();
        Saying::of(200, json!({"ok": true, "result": told}))
    }

    fn ids(&self) -> Vec<i64> {
        self.0.lock().unwrap().iter().map(|update| update["update_id"].as_i64().unwrap()).collect()
    }
}

struct Bench {
    double: Double,
    words: mpsc::Receiver<Word>,
    _tasks: JoinSet<()>,
}

impl Bench {
    async fn new(script: impl Fn(&Asked) -> Saying + Send + Sync + 'static) -> Self {
        let double = Double::start(script).await;
        let url = call::url("url", &double.url()).unwrap();
        let (words, heard) = mpsc::channel(256);
        let client = call::client(&url, 2).build().unwrap();
        let stop_words = replies::default_stop_words();
        let mut tasks = JoinSet::new();
        tasks.spawn(Poller { client, method: Hidden(url), stop_words, words, rests: QUICK }.poll());
        Bench { double, words: heard, _tasks: tasks }
    }

    async fn word(&mut self) -> Word {
        timeout(Duration::from_secs(10), self.words.recv()).await.expect("a word in time").expect("it asks")
    }

    /// The next words, in the form `text 7`, each with this fate.
    async fn hear(&mut self, fates: &[(&str, Fate)]) {
        for (text, fate) in fates {
            let word = self.word().await;
            assert_eq!(word.text.as_ref().map(replies::Text::as_str), Some(*text));
            word.fate.send(*fate).unwrap();
        }
    }

    async fn until(&self, what: impl Fn(&Self) -> bool) {
        timeout(Duration::from_secs(10), async {
            while !what(self) {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("in time");
    }
}

#[tokio::test]
async fn an_update_is_confirmed_once_its_fate_is_known_and_not_before() {
    let kept = Kept::new([7, 8]);
    let mut bench = Bench::new({
        let kept = kept.clone();
        move |asked| kept.answer(asked)
    })
    .await;
    let (first, second) = (bench.word().await, bench.word().await);
    assert_eq!((first.about.clone(), first.status), (About::Address("12345".to_owned()), Status::Replied));
    assert_eq!(first.occurred_at, Some(1_700_000_007_000));
    sleep(Duration::from_millis(100)).await;
    assert_eq!((bench.double.asked().len(), kept.ids()), (1, vec![7, 8]), "it waits for what becomes of them");
    first.fate.send(Fate::Kept).unwrap();
    second.fate.send(Fate::Useless).unwrap();
    bench.until(|_| kept.ids().is_empty()).await;
    let question = bench.double.asked()[0].json();
    assert_eq!((&question["timeout"], &question["offset"]), (&json!(25), &Value::Null));
    assert_eq!(question["allowed_updates"], json!(["message", "my_chat_member"]));
}

#[tokio::test]
async fn what_has_to_be_said_again_is_asked_for_again_after_a_rest_and_alone() {
    let kept = Kept::new([7, 8, 9]);
    let mut bench = Bench::new({
        let kept = kept.clone();
        move |asked| kept.answer(asked)
    })
    .await;
    bench.hear(&[("text 7", Fate::Kept), ("text 8", Fate::Again), ("text 9", Fate::Kept)]).await;
    let began = Tick::now();
    bench.hear(&[("text 8", Fate::Again)]).await;
    assert!(began.elapsed() >= QUICK.trouble.0, "not at once");
    assert_eq!(kept.ids(), [8, 9], "what stands behind it is not confirmed");
    // Whoever was to tell is gone: the same.
    drop(bench.word().await);
    bench.hear(&[("text 8", Fate::Kept)]).await;
    bench.until(|_| kept.ids().is_empty()).await;
    assert!(bench.words.try_recv().is_err(), "9 was not told twice");
}

#[tokio::test]
async fn whoever_is_told_that_another_one_asks_rests_long_and_asks_again() {
    let kept = Kept::new([7]);
    let turns = Arc::new(Mutex::new(0));
    let mut bench = Bench::new({
        let turns = Arc::clone(&turns);
        move |asked| {
            let mut turns = turns.lock().unwrap();
            *turns += 1;
            let conflict =
                "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
            if *turns == 1 {
                Saying::of(409, json!({"ok": false, "error_code": 409, "description": conflict}))
            } else {
                kept.answer(asked)
            }
        }
    })
    .await;
    assert_eq!(bench.word().await.about, About::Nothing("conflict"), "it is counted");
    let began = Tick::now();
    bench.hear(&[("text 7", Fate::Kept)]).await;
    assert!(began.elapsed() >= QUICK.turn.0 / 2);
}

#[tokio::test]
async fn every_documented_silence_is_a_rest_of_the_length_that_is_asked_for() {
    for saying in recorded(include_str!("../../answers/telegram_silence.json"), include_str!("../poll.rs")) {
        let (expected, at_once) = (saying.read_as.clone(), saying.clone());
        let double = Double::start(move |_| at_once.clone()).await;
        let url = call::url("url", &double.url()).unwrap();
        let (words, _heard) = mpsc::channel(8);
        let client = call::client(&url, 2).build().unwrap();
        let poller = Poller { client, method: Hidden(url), stop_words: Vec::new(), words, rests: QUICK };
        let mut place = Place { offset: None, done: BTreeSet::new(), at_once: AT_ONCE };
        let heard = match poller.ask(&mut place).await {
            Ok(told) => format!("told {}", told.len()),
            Err(Silence::Turn(code)) => format!("turn {code}"),
            Err(Silence::Trouble(code, None)) => format!("trouble {code}"),
            Err(Silence::Trouble(code, Some(pause))) => format!("trouble {code} {}", pause.as_secs()),
        };
        assert_eq!(heard, expected, "{saying:?}");
        assert_eq!(place.at_once == 1, heard == "trouble unreadable", "what cannot be read is asked for one by one");
    }
}

#[tokio::test]
async fn trouble_is_asked_about_more_and_more_slowly_and_a_server_that_hurries_is_not_joined() {
    for saying in
        [Saying::of(502, Value::Null), Saying::of(0, Value::Null), Saying::of(200, json!({"ok": true, "result": []}))]
    {
        let bench = Bench::new({
            let saying = saying.clone();
            move |_| saying.clone()
        })
        .await;
        sleep(Duration::from_millis(400)).await;
        let asked = bench.double.asked().len();
        assert!((2..=12).contains(&asked), "{asked} questions in 400 ms: {saying:?}");
    }
}

#[tokio::test]
async fn a_batch_without_numbers_is_no_tight_loop() {
    let odd = Saying::of(200, json!({"ok": true, "result": [{"message": {"text": "x"}}]}));
    let mut bench = Bench::new(move |_| odd.clone()).await;
    let began = Tick::now();
    for _ in 0..5 {
        let word = bench.word().await;
        assert_eq!(word.about, About::Nothing("unreadable"));
        word.fate.send(Fate::Useless).unwrap();
    }
    assert!(began.elapsed() >= 3 * QUICK.trouble.0);
}
