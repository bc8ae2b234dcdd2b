use std::sync::Mutex;

use stream::kafka::partition_of;
use tokio::sync::{mpsc, oneshot};

use super::*;

/// Keeps facts, or fails.
#[derive(Default)]
struct Book {
    facts: Mutex<Vec<Feedback>>,
    replies: Mutex<Vec<Reply>>,
    named: Mutex<Vec<Attempt>>,
    is_down: AtomicBool,
    /// Whoever writes for this partition, of twelve, waits for ever.
    headless: Option<i32>,
    waiting: std::sync::atomic::AtomicUsize,
}

impl Facts for Book {
    fn keep<'a>(&'a self, reply: &'a Reply) -> Writing<'a> {
        self.replies.lock().unwrap().push(reply.clone());
        Box::pin(async { Ok(()) })
    }

    fn name<'a>(&'a self, named: &'a Attempt) -> Writing<'a> {
        self.named.lock().unwrap().push(named.clone());
        Box::pin(async { Ok(()) })
    }

    fn publish<'a>(&'a self, fact: &'a Feedback) -> Writing<'a> {
        Box::pin(async move {
            if self.is_down.load(Ordering::SeqCst) {
                return Err("down".to_owned());
            }
            if self.headless == Some(partition_of(fact.customer_id.as_bytes(), 12)) {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<()>().await;
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
        Bench::with(caught_up, Book::default())
    }

    fn with(caught_up: bool, book: Book) -> Self {
        let (turned, turns) = watch::channel(0);
        let book = Arc::new(book);
        let memory = Arc::new(Mutex::new(Memory::new(100)));
        memory.lock().unwrap().caught_up = caught_up;
        let listener = Listener {
            memory: Arc::clone(&memory),
            turns,
            facts: Arc::clone(&book) as Arc<dyn Facts>,
            clock: Clock::manual(77),
            channel: "sms".to_owned(),
            provider: "centre".to_owned(),
            pseudonyms: Pseudonyms::default(),
            words: Words::new(&prometheus::Registry::new()).unwrap(),
            shares: Shares::of(AT_ONCE, 12),
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
        self.memory.lock().unwrap().insert(&Name::id(provider_id), id, "c1", 0);
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
    assert_eq!(bench.say(by_provider("7"), Status::Delivered).await.await, Ok(Fate::Again), "our record may be late");
    assert_eq!(bench.say(by_provider("7"), Status::Delivered).await.await, Ok(Fate::Useless));
    assert_eq!(bench.say(About::Address("790".to_owned()), Status::Replied).await.await, Ok(Fate::Useless));
    assert_eq!(bench.say(About::Nothing("stranger"), Status::Replied).await.await, Ok(Fate::Useless));
    let bench = Bench::new(false);
    assert_eq!(bench.say(by_provider("7"), Status::Delivered).await.await, Ok(Fate::Again));
}

#[tokio::test]
async fn a_receipt_is_not_lost_where_our_own_record_is_later_than_any_patience() {
    let bench = Bench::new(true);
    // Both came before the first was given up: neither is a repeat of the other.
    let told = [Status::Sent, Status::Delivered].map(|status| bench.say(by_provider("7"), status));
    for told in futures_util::future::join_all(told).await {
        assert_eq!(told.await, Ok(Fate::Again));
    }
    bench.learn("7", id());
    assert_eq!(bench.say(by_provider("7"), Status::Delivered).await.await, Ok(Fate::Kept));
}

#[test]
fn what_was_given_up_is_remembered_within_bounds() {
    let mut memory = Memory::new(1);
    let began = Tick::now();
    for number in 0..20_000 {
        assert!(!memory.was_given_up(&[Name::id(&number.to_string())], began));
    }
    let (first, last) = (Name::id("1"), Name::id("19999"));
    assert!(memory.was_given_up(&[last], Tick::now()) && !memory.was_given_up(&[first], Tick::now()), "forgotten");
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

#[tokio::test]
async fn words_that_wait_for_one_partition_leave_room_for_those_of_others() {
    let home = |customer: &String| partition_of(customer.as_bytes(), 12);
    let bench = Bench::with(true, Book { headless: Some(home(&"c1".to_owned())), ..Book::default() });
    let of = |customer_id: String| About::Send { send_id: id().to_string(), customer_id };
    let mut waiting = Vec::new();
    for _ in 0..AT_ONCE / 4 {
        waiting.push(bench.say(of("c1".to_owned()), Status::Delivered).await);
    }
    while bench.book.waiting.load(Ordering::SeqCst) < AT_ONCE / 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.say(of("c1".to_owned()), Status::Delivered).await.await, Ok(Fate::Again));
    let other = (0..).map(|number| number.to_string()).find(|customer| home(customer) != home(&"c1".to_owned()));
    assert_eq!(bench.say(of(other.unwrap()), Status::Delivered).await.await, Ok(Fate::Kept));
    assert!(waiting.iter_mut().all(|told| told.try_recv().is_err()), "they still wait");
}

#[test]
fn an_id_is_the_same_in_every_way_it_is_written_and_another_one_by_another_route() {
    let written = Name::id;
    assert_eq!((written(" 00A1 "), written("main:00A1")), (Name::Id("a1".into()), Name::Id("main:a1".into())));
    assert_eq!(written("main:A1"), written("main:0a1"));
    assert_ne!(written("0:1"), written("00:1"), "names of routes are no numbers");
    assert_ne!(written("main:1"), written("spare:1"));
}

#[test]
fn only_the_latest_sends_are_remembered() {
    let known = |memory: &Memory| {
        ["1", "2", "3"].map(|provider_id| matches!(memory.find(&[Name::id(provider_id)]), Known::Send(..)))
    };
    let mut memory = Memory::new(2);
    for provider_id in ["1", "2", "1", "3"] {
        memory.insert(&Name::id(provider_id), id(), "c1", 7);
    }
    (0..9).for_each(|code| memory.insert(&Name::to(&code.to_string()), id(), "c1", 9));
    assert_eq!(known(&memory), [true, false, true], "who comes again is new");
    // Another partition is read later, and its records are older.
    memory.insert(&Name::id("2"), id(), "c1", 6);
    assert_eq!(known(&memory), [true, false, true]);
    memory.insert(&Name::id("2"), id(), "c1", 8);
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
    assert_eq!(taken(&record), Some((vec![Name::id("7")], (id(), "c1".to_owned()))));
}

#[tokio::test]
async fn a_receipt_for_a_send_that_is_not_remembered_is_asked_for_again_and_found_meanwhile() {
    let bench = Bench::new(true);
    bench.memory.lock().unwrap().is_a_part();
    for provider_id in ["7", "8"] {
        let told = bench.say(by_provider(provider_id), Status::Delivered).await;
        assert_eq!(told.await, Ok(Fate::Again), "{provider_id}");
    }
    {
        let mut memory = bench.memory.lock().unwrap();
        let wanted = memory.wanted();
        assert_eq!(wanted.into_iter().collect::<Vec<_>>(), ["7", "8"].map(Name::id));
        memory.was_searched(Name::id("7"), Some((id(), "c1".to_owned())));
        memory.was_searched(Name::id("8"), None);
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
    memory.is_a_part();
    for number in 0..20_000 {
        assert!(memory.is_to_be_searched(&[Name::id(&number.to_string())]));
        memory.was_searched(Name::to(&number.to_string()), None);
    }
    assert_eq!(memory.wanted().len(), 16_384);
    assert_eq!((memory.find(&[Name::to("1")]), memory.find(&[Name::to("19999")])), (Known::NotYet, Known::Nothing));
}

/// An outcome as a worker writes it.
fn outcome(send: Id, status: Status, to: &Pseudonyms, address: &str) -> Vec<u8> {
    encode(&Attempt {
        send_id: send.to_string(),
        customer_id: "c1".to_owned(),
        state: AttemptState::Settled,
        status,
        to: Some(to.of("sms", address)),
        ..Attempt::default()
    })
}

impl Bench {
    /// The follower has read a record.
    fn read(&self, record: &[u8], at: Millis) {
        let (names, (id, customer_id)) = taken(record).unwrap();
        names.iter().for_each(|name| self.memory.lock().unwrap().insert(name, id, &customer_id, at));
        self.turned.send_modify(|turn| *turn += 1);
    }

    async fn write_back(&self, from: &str, text: &str, at: Option<Millis>) -> Fate {
        let (word, told) = Word::new(About::Address(from.to_owned()), Status::Replied);
        self.words.send(Word { text: Text::of(text), occurred_at: at, ..word }).await.unwrap();
        told.await.unwrap()
    }
}

#[tokio::test]
async fn a_reply_is_about_the_latest_send_to_its_address_and_its_text_goes_to_people() {
    let codes = Pseudonyms::default();
    let sends = ["a", "b", "c"].map(|name| Id::of_instance(name, "", "", ""));
    let bench = Bench::new(true);
    bench.read(&outcome(sends[1], Status::Unknown, &codes, "+79001234567"), 20);
    // Another partition is read later.
    bench.read(&outcome(sends[0], Status::Accepted, &codes, "79001234567"), 10);
    bench.read(&outcome(sends[2], Status::Accepted, &codes, "79001234568"), 30);
    assert_eq!(bench.write_back("+79001234567", "да", None).await, Fate::Kept);
    assert_eq!(bench.write_back("79009999999", "да", None).await, Fate::Useless, "nobody has written there");
    let (facts, replies) = (bench.book.facts.lock().unwrap(), bench.book.replies.lock().unwrap());
    assert_eq!((facts.len(), facts[0].event_id.as_str()), (1, format!("{}/REPLIED/centre", sends[1]).as_str()));
    assert_eq!((replies.len(), replies[0].text.as_str(), replies[0].customer_id.as_str()), (1, "да", "c1"));
    assert_eq!(replies[0].send_id, facts[0].send_id);
    assert!(!format!("{facts:?} {replies:?}").contains("да"), "the text stands in the record, and nowhere else");
}

#[tokio::test]
async fn a_reply_that_comes_before_the_outcome_of_its_send_waits_for_it() {
    let bench = Bench::new(true);
    let late = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        bench.read(&outcome(id(), Status::Accepted, &Pseudonyms::default(), "7"), 10);
    };
    assert_eq!(tokio::join!(bench.write_back("+7", "да", None), late).0, Fate::Kept);
}

#[tokio::test]
async fn a_reply_that_is_said_again_has_the_same_ids_and_another_one_has_another() {
    let bench = Bench::new(true);
    bench.read(&outcome(id(), Status::Accepted, &Pseudonyms::default(), "7"), 10);
    bench.book.is_down.store(true, Ordering::SeqCst);
    assert_eq!(bench.write_back("7", "да", Some(50)).await, Fate::Again, "the text is kept, the fact is not");
    bench.book.is_down.store(false, Ordering::SeqCst);
    for (text, at) in [("да", 50), ("да", 60), ("нет", 50)] {
        assert_eq!(bench.write_back("7", text, Some(at)).await, Fate::Kept);
    }
    let replies = bench.book.replies.lock().unwrap();
    let ids: Vec<&str> = replies.iter().map(|reply| reply.event_id.as_str()).collect();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    assert_eq!(replies.iter().map(|reply| reply.occurred_at).collect::<Vec<_>>(), [50, 50, 60, 50]);
    let facts = bench.book.facts.lock().unwrap();
    assert!(
        facts.iter().all(|fact| fact.event_id == facts[0].event_id),
        "one answer or more: the customer has replied"
    );
}

#[test]
fn a_provider_s_clock_is_believed_near_ours() {
    const DAY: Millis = 86_400_000;
    let now = 1_000 * DAY;
    for (told, counts) in
        [(now - 14 * DAY, true), (now - 14 * DAY - 1, false), (now + 300_000, true), (now + 300_001, false)]
    {
        assert_eq!(believed(Some(told), now) == told, counts, "{told}");
    }
    assert_eq!(believed(None, now), now);
}

#[test]
fn what_certainly_did_not_go_out_is_answered_by_nobody() {
    let intended = Attempt {
        state: AttemptState::Intended,
        to: Some("x".to_owned()),
        send_id: id().to_string(),
        ..Attempt::default()
    };
    assert_eq!(taken(&encode(&intended)), None);
}
