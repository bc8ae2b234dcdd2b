use std::sync::Mutex;

use tokio::sync::{mpsc, oneshot};

use super::*;

/// Keeps facts, or fails.
#[derive(Default)]
struct Book {
    facts: Mutex<Vec<Feedback>>,
    named: Mutex<Vec<Attempt>>,
    is_down: AtomicBool,
}

impl Facts for Book {
    fn name<'a>(&'a self, named: &'a Attempt) -> Writing<'a> {
        self.named.lock().unwrap().push(named.clone());
        Box::pin(async { Ok(()) })
    }

    fn publish<'a>(&'a self, fact: &'a Feedback) -> Writing<'a> {
        Box::pin(async move {
            if self.is_down.load(Ordering::SeqCst) {
                return Err("down".to_owned());
            }
            self.facts.lock().unwrap().push(fact.clone());
            Ok(())
        })
    }
}

struct Bench {
    book: Arc<Book>,
    memory: Arc<Mutex<Memory>>,
    turned: watch::Sender<u64>,
    words: mpsc::Sender<Word>,
    _tasks: JoinSet<()>,
}

impl Bench {
    fn new(caught_up: bool) -> Self {
        let (turned, turns) = watch::channel(0);
        let book = Arc::new(Book::default());
        let memory = Arc::new(Mutex::new(Memory::new(100)));
        memory.lock().unwrap().caught_up = caught_up;
        let listener = Listener {
            memory: Arc::clone(&memory),
            turns,
            facts: Arc::clone(&book) as Arc<dyn Facts>,
            clock: Clock::manual(77),
            channel: "sms".to_owned(),
            provider: "centre".to_owned(),
            words: Words::new(&prometheus::Registry::new()).unwrap(),
            patience: (Duration::from_secs(1), Duration::from_millis(50)),
        };
        let (words, heard) = mpsc::channel(8);
        let mut tasks = JoinSet::new();
        tasks.spawn(listener.listen(heard));
        Bench { book, memory, turned, words, _tasks: tasks }
    }

    async fn say(&self, about: About, status: Status) -> oneshot::Receiver<Fate> {
        let (word, told) = Word::new(about, status);
        self.words.send(word).await.unwrap();
        told
    }

    fn learn(&self, provider_id: &str, id: Id) {
        self.memory.lock().unwrap().insert(provider_id, id, "c1".to_owned(), 0);
        self.turned.send_modify(|turn| *turn += 1);
    }
}

fn id() -> Id {
    Id::of_instance("c1", "", "", "")
}

fn by_provider(provider_id: &str) -> About {
    About::ProviderId(provider_id.to_owned())
}

#[tokio::test]
async fn a_receipt_becomes_a_fact_about_its_send_however_the_id_is_written() {
    let bench = Bench::new(true);
    bench.learn("000A1", id());
    for provider_id in ["a1", "A1", "00a1"] {
        assert_eq!(bench.say(by_provider(provider_id), Status::Delivered).await.await, Ok(Fate::Kept), "{provider_id}");
    }
    let facts = bench.book.facts.lock().unwrap();
    assert_eq!(facts[0].event_id, format!("{}/DELIVERED/centre", id()));
    assert_eq!(facts[0].event_id, facts[2].event_id, "the same fact has the same id");
    assert_eq!((facts[0].customer_id.as_str(), facts[0].occurred_at, facts[0].channel.as_str()), ("c1", 77, "sms"));
}

#[tokio::test]
async fn a_receipt_that_is_faster_than_our_own_record_waits_for_it() {
    let bench = Bench::new(true);
    let told = bench.say(by_provider("7"), Status::Delivered).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    bench.learn("8", Id::of_instance("c2", "", "", ""));
    assert!(bench.book.facts.lock().unwrap().is_empty());
    bench.learn("7", id());
    assert_eq!(told.await, Ok(Fate::Kept));
}

#[tokio::test]
async fn what_nothing_is_known_for_is_told_as_useless_and_only_once_the_memory_is_whole() {
    let bench = Bench::new(true);
    assert_eq!(bench.say(by_provider("7"), Status::Delivered).await.await, Ok(Fate::Useless));
    assert_eq!(bench.say(About::Nothing("stranger"), Status::Replied).await.await, Ok(Fate::Useless));
    let bench = Bench::new(false);
    assert_eq!(bench.say(by_provider("7"), Status::Delivered).await.await, Ok(Fate::Again));
}

#[tokio::test]
async fn a_word_is_ours_only_once_it_is_published() {
    let bench = Bench::new(true);
    bench.book.is_down.store(true, Ordering::SeqCst);
    let about = About::Send { send_id: id().to_string(), customer_id: "c1".to_owned() };
    assert_eq!(bench.say(about.clone(), Status::Replied).await.await, Ok(Fate::Again));
    bench.book.is_down.store(false, Ordering::SeqCst);
    assert_eq!(bench.say(about, Status::Replied).await.await, Ok(Fate::Kept));
    assert_eq!(bench.book.facts.lock().unwrap().len(), 1);
}

#[test]
fn an_id_is_the_same_in_every_way_it_is_written_and_another_one_by_another_route() {
    let written = |id: &str| super::memory::normal(id);
    assert_eq!((written(" 00A1 "), written("main:00A1")), ("a1".to_owned(), "main:a1".to_owned()));
    assert_eq!(written("main:A1"), written("main:0a1"));
    assert_ne!(written("0:1"), written("00:1"), "names of routes are no numbers");
    assert_ne!(written("main:1"), written("spare:1"));
}

#[test]
fn only_the_latest_sends_are_remembered() {
    let known =
        |memory: &Memory| ["1", "2", "3"].map(|provider_id| matches!(memory.find(provider_id), Known::Send(..)));
    let mut memory = Memory::new(2);
    for provider_id in ["1", "2", "1", "3"] {
        memory.insert(provider_id, id(), "c1".to_owned(), 7);
    }
    assert_eq!(known(&memory), [true, false, true], "who comes again is new");
    // Another partition is read later, and its records are older.
    memory.insert("2", id(), "c1".to_owned(), 6);
    assert_eq!(known(&memory), [true, false, true]);
    memory.insert("2", id(), "c1".to_owned(), 8);
    assert_eq!(known(&memory), [false, true, true]);
}

#[test]
fn all_partitions_together_are_read_back_as_far_as_the_memory_holds() {
    assert_eq!((look_back(600, 1), look_back(600, 6), look_back(1, 6)), (2_400, 400, 4));
}

#[tokio::test]
async fn an_id_that_is_told_late_finds_its_send() {
    let bench = Bench::new(true);
    let named = About::Named { provider_id: "7".to_owned(), send_id: id().to_string(), customer_id: "c1".to_owned() };
    drop(bench.say(named, Status::Unspecified).await);
    assert_eq!(bench.say(by_provider("7"), Status::Delivered).await.await, Ok(Fate::Kept));
    // Another replica, or this one after a restart, reads the record.
    while bench.book.named.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let record = encode(&bench.book.named.lock().unwrap()[0]);
    assert_eq!(taken(&record), Some(("7".to_owned(), id(), "c1".to_owned())));
}

#[tokio::test]
async fn a_receipt_for_a_send_that_is_not_remembered_is_asked_for_again_and_found_meanwhile() {
    let bench = Bench::new(true);
    bench.memory.lock().unwrap().is_whole = false;
    for provider_id in ["7", "8"] {
        let told = bench.say(by_provider(provider_id), Status::Delivered).await;
        assert_eq!(told.await, Ok(Fate::Again), "{provider_id}");
    }
    {
        let mut memory = bench.memory.lock().unwrap();
        let wanted = memory.wanted();
        assert_eq!(wanted.into_iter().collect::<Vec<_>>(), ["7", "8"]);
        memory.was_searched("7".to_owned(), Some((id(), "c1".to_owned())));
        memory.was_searched("8".to_owned(), None);
    }
    assert_eq!(bench.say(by_provider("007"), Status::Delivered).await.await, Ok(Fate::Kept));
    assert_eq!(bench.say(by_provider("8"), Status::Delivered).await.await, Ok(Fate::Useless));
}

#[tokio::test]
async fn statuses_come_in_any_order_and_twice_and_are_the_same_facts() {
    let bench = Bench::new(true);
    bench.learn("7", id());
    for status in [Status::Opened, Status::Delivered, Status::Opened, Status::Delivered] {
        assert_eq!(bench.say(by_provider("7"), status).await.await, Ok(Fate::Kept));
    }
    let facts = bench.book.facts.lock().unwrap();
    let ids: std::collections::BTreeSet<&str> = facts.iter().map(|fact| fact.event_id.as_str()).collect();
    assert_eq!((facts.len(), ids.len()), (4, 2));
}

#[test]
fn what_is_searched_for_and_what_was_found_is_bounded() {
    let mut memory = Memory::new(1);
    memory.is_whole = false;
    for number in 0..20_000 {
        assert!(memory.is_to_be_searched(&number.to_string()));
        memory.was_searched(format!("x{number}"), None);
    }
    assert_eq!(memory.wanted().len(), 16_384);
    assert_eq!((memory.find("x1"), memory.find("x19999")), (Known::NotYet, Known::Nothing));
}
