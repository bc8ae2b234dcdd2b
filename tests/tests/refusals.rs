//! What cannot be done is said in one sentence, with advice and an exit code that a script can tell from all others.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use schemas::dead_letter::{CODE, OFFSET, OMITTED, PARTITION, TOPIC};
use schemas::{Fact, Input, Journal, Reason};
use system_tests::feed::{Feed, create_topics};
use system_tests::installation::{Installation, Plan, binary, deploy};
use system_tests::place::Place;
use system_tests::process::Process;
use system_tests::tail::{Message, Tail, read};

/// Every service, with what it cannot do without.
const SERVICES: [&str; 4] = ["intake", "operator --state-dir state", "channel sms", "tracker"];

#[test]
fn a_bad_campaign_file_is_refused_with_the_place_and_a_hint() {
    let ground = Ground::new("bad-campaign");
    ground.misspell("cart-left", "steps:", "stpes:");
    let refused = ground.refuse("check cart-left.yaml", 65);
    assert!(refused.contains("unknown key `stpes`"), "{refused}");
    assert!(refused.contains("--> cart-left.yaml:19:1"), "{refused}");
    assert!(refused.contains("did you mean `steps`?"), "{refused}");
    assert!(refused.ends_with("1 problem: correct the definition and try again"), "{refused}");
}

#[test]
fn one_bad_campaign_file_keeps_all_others_out() {
    let ground = Ground::new("all-or-nothing");
    ground.run("topics apply", 0);
    ground.misspell("cart-left", "email", "emial");
    ground.misspell("welcome", "", "");
    let refused = ground.refuse("campaign apply welcome.yaml cart-left.yaml", 65);
    assert!(refused.contains("did you mean `email`?"), "{refused}");
    assert_eq!(read(ground.place.brokers(), &ground.place.topic("campaign")), [], "something was applied");
}

#[test]
fn a_missing_topic_is_named_with_the_command_that_makes_it() {
    let ground = Ground::new("missing-topic");
    for service in SERVICES {
        let refused = ground.refuse_in_one_line(service, 66);
        let topic = if service == "intake" { "missing-topic.input" } else { "missing-topic." };
        assert!(refused.starts_with("missing topics: ") && refused.contains(topic), "{refused}");
        assert!(refused.contains("create them with `cascade topics apply`"), "{refused}");
    }
    let refused = ground.refuse_in_one_line("topics verify", 66);
    assert!(refused.contains("missing-topic.changelog"), "{refused}");
}

#[test]
fn a_wrong_partition_count_is_named_and_never_changed() {
    let ground = Ground::new("wrong-count");
    create_topics(ground.place.brokers(), &[(&ground.place.topic("input"), 3)]);
    for command in ["topics apply", "topics verify"] {
        let refused = ground.run(command, 67);
        assert!(refused.contains("wrong-count.input: 3 partitions, but 2 are needed"), "{refused}");
        assert!(refused.contains("set topics.partitions to 3"), "{refused}");
    }
    // Nothing at all was created: the name is free.
    create_topics(ground.place.brokers(), &[(&ground.place.topic("cart"), 1)]);

    ground.run("topics apply --topics-partitions 3", 0);
    let refused = ground.refuse_in_one_line("operator --state-dir state --topics-partitions 4", 67);
    assert!(refused.contains("3 partitions, but 4 are needed"), "{refused}");
}

#[test]
fn a_broker_that_does_not_answer_is_named() {
    let ground = Ground::new("unreachable");
    let (_taken, nobody) = taken_address();
    for command in ["topics plan", "operator --state-dir state"] {
        let refused = ground.refuse_in_one_line(&format!("{command} --brokers {nobody}"), 69);
        assert!(refused.contains(&format!("no broker answers at {nobody}; check the address")), "{refused}");
    }
}

#[test]
fn a_state_directory_that_cannot_be_used_is_named() {
    let ground = Ground::new("no-state");
    ground.run("topics apply", 0);
    // Whoever runs this may write wherever there are directories, but nobody can make one below a file.
    std::fs::write(ground.place.path("file"), "").unwrap();
    let refused = ground.refuse_in_one_line("operator --state-dir file/state", 73);
    assert!(refused.contains("the state directory file/state cannot be used"), "{refused}");
    assert!(refused.contains("set state.dir to a directory"), "{refused}");

    // The same, found out only when a partition is taken over.
    std::fs::create_dir(ground.place.path("state")).unwrap();
    for partition in 0..2 {
        std::fs::write(ground.place.path(&format!("state/no-state.input-{partition}")), "").unwrap();
    }
    let refused = ground.refuse_in_one_line("operator --state-dir state", 73);
    assert!(refused.contains("cannot use the state directory: state/no-state.input-"), "{refused}");
    assert!(refused.contains("or delete it: the state is restored from the changelog"), "{refused}");
}

#[test]
fn everything_that_is_wrong_with_the_configuration_is_said_at_once() {
    let ground = Ground::new("bad-configuration");
    let settings = "nonsense = 1\n[log]\nformat = \"xml\"\n";
    std::fs::write(ground.place.path("bad.toml"), settings).unwrap();
    let refused = ground.refuse("operator --config bad.toml --state-rows few --topics-partitions 0", 64);
    let problems: Vec<&str> = refused.lines().collect();
    assert_eq!(problems.len(), 4, "one line for each problem:\n{refused}");
    for part in ["nonsense", "log.format `xml`", "state.rows `few`", "topics.partitions `0`"] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part}:\n{refused}");
    }
}

#[test]
fn a_property_that_the_client_does_not_know_is_a_matter_of_configuration() {
    let ground = Ground::new("bad-property");
    let refused = ground.refuse_in_one_line("topics plan --set kafka.nonsense=1", 64);
    assert!(refused.contains("nonsense") && refused.contains("correct the settings under `kafka.`"), "{refused}");
}

#[test]
fn a_secret_never_stands_in_what_is_said_about_it() {
    let ground = Ground::new("secret");
    let refused = ground.refuse("topics plan --set kafka.sasl.password=sesame", 64);
    assert!(refused.contains("kafka.sasl.password is a secret"), "{refused}");
    assert!(!refused.contains("sesame"), "{refused}");
}

#[test]
fn the_last_line_of_a_log_is_the_reason_of_the_end() {
    let ground = Ground::new("last-line");
    let said = ground.run("operator --state-dir state --log-level info", 66);
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("cascade: missing topics: "), "{said}");
    assert_eq!(said.matches("missing topics").count(), 1, "it is said once:\n{said}");
}

#[test]
fn a_customer_of_whom_nothing_is_known_is_told_from_one_with_a_story() {
    let ground = Ground::new("nobody");
    ground.run("topics apply", 0);
    for command in ["journal --customer nobody", "journal --customer nobody --campaign welcome --json"] {
        let refused = ground.refuse_in_one_line(command, 68);
        assert!(refused.starts_with("nothing is known of customer nobody"), "{refused}");
    }
}

#[test]
fn an_explanation_of_settings_with_problems_shows_the_table_and_fails() {
    let ground = Ground::new("explain");
    ground.run("config explain", 0);
    let said = ground.run("config explain --set nonsense=1", 64);
    assert!(
        said.contains("topics.prefix") && said.contains("cascade: --set nonsense: there is no such setting"),
        "{said}"
    );
}

#[test]
fn the_demo_says_what_it_cannot_do_before_anything_is_started() {
    let ground = Ground::new("demo");
    let refused = ground.refuse_in_one_line("demo --deploy nowhere", 74);
    assert!(refused.contains("nowhere is no copy of the directory `deploy`"), "{refused}");
    let days = format!("demo --from 2020-05-01 --to 2020-06-01 --deploy {}", path(&deploy()));
    let refused = ground.refuse_in_one_line(&days, 64);
    assert!(refused.contains("the data cover 2017-01-01 to 2017-12-31"), "{refused}");
    ground.refuse("demo --events 0", 64);
}

#[test]
fn a_record_that_no_dead_letter_can_hold_stops_nobody_behind_it() {
    let plan = Plan { partitions: 1, ..Plan::new("huge", &["come-back"], &["push"]) };
    let mut shop = Installation::prepare(&plan);
    // On its way it is small: blanks compress well.
    let huge = vec![b' '; 12_000_000];
    let producer = Feed::that_compresses(shop.place.brokers());
    producer.send(&shop.topics.action(), "ann", &huge);
    producer.flush();
    shop.action("bea", "visit", None, &[]);
    shop.bring_up(&["intake"]);
    let mut input = Tail::of(shop.place.brokers(), &[&shop.topics.input()]);
    let of = |messages: &[Message], key: &str| messages.iter().find(|message| message.key == key.as_bytes()).cloned();
    let seen = input.until("who comes behind it is heard", |messages| of(messages, "bea").is_some());
    let told = of(seen, "ann").expect("it may have been anything").decode::<Input>();
    assert!(matches!(told.fact, Fact::Unreadable(_)), "{told:?}");

    let letters = shop.read(&shop.topics.dead_letter());
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].key_text(), letters[0].value.as_deref()), ("ann", None));
    assert_eq!((letters[0].header(CODE), letters[0].header(OMITTED)), (Some("too_large"), Some("12000000")));
    let place = (letters[0].header(TOPIC), letters[0].header(PARTITION), letters[0].header(OFFSET));
    assert_eq!(place, (Some(shop.topics.action().as_str()), Some("0"), Some("0")));
    // What is not there is not given back: as a tombstone it would say something else.
    let told = shop.tool(["dlq", "redrive", "--code", "too_large", "--yes"]);
    assert!(told.contains("12000000 bytes stayed") && told.contains("0 dead letters redriven"), "{told}");
}

#[test]
fn a_burst_goes_back_in_its_order_and_its_customers_are_released_together() {
    let mut shop = Installation::prepare(&Plan { partitions: 1, ..Plan::new("burst", &["come-back"], &["push"]) });
    shop.bring_up(&["intake", "operator"]);
    let (cart, profile) = (shop.topics.cart(), shop.topics.profile());
    shop.feed.send(&profile, "ann", b"an old profile");
    for (key, value) in [("ann", "first"), ("ann", "second"), ("bea", "third")] {
        shop.feed.send(&cart, key, value.as_bytes());
    }
    shop.feed.flush();
    shop.customer("ann", &["push"]);
    let mut letters = Tail::of(shop.place.brokers(), &[&shop.topics.dead_letter()]);
    letters.until("four letters lie there", |letters| letters.len() == 4);

    let told = shop.tool(["dlq", "redrive", "--code", "not_framed", "--yes"]);
    assert!(told.contains(&format!("stays: it is not the last word: {profile} has a newer record")), "{told}");
    assert!(told.contains("3 dead letters redriven"), "{told}");
    let carts = shop.read(&cart);
    let again: Vec<&str> = carts.iter().skip(3).map(Message::text).collect();
    assert_eq!(again, ["first", "second", "third"], "in the order in which they came");
    assert_eq!(shop.read(&profile).len(), 2, "nothing was put behind the newer profile");

    let refused = shop.tool_that_fails(["dlq", "release", "--note", "the producer is mended"]);
    assert!(refused.contains("say whom"), "{refused}");
    let release = ["dlq", "release", "--code", "not_framed", "--note", "the producer is mended"];
    // They are refused once more: who has a letter that still waits stays held.
    letters.until("they lie there again", |letters| letters.len() == 7 + 3);
    let told = shop.tool(release);
    assert!(told.contains("with --yes 0 customers are released"), "{told}");
    shop.tool(["dlq", "drop", "--code", "not_framed", "--yes"]);
    let told = shop.tool(release.into_iter().chain(["--limit", "1"]));
    assert!(told.contains("with --yes 2 customers are released"), "{told}");
    let told = shop.tool(release.into_iter().chain(["--yes"]));
    assert!(told.contains("2 customers are released"), "{told}");
    let mut journal = Tail::of(shop.place.brokers(), &[&shop.topics.journal()]);
    journal.until("both are released", |messages| {
        let released = messages.iter().filter(|message| message.decode::<Journal>().reason == Reason::HoldReleased);
        released.map(Message::key_text).collect::<BTreeSet<_>>() == ["ann", "bea"].into()
    });
}

/// A directory to run the program in, and names of topics that no other test uses.
struct Ground {
    place: Place,
}

impl Ground {
    fn new(name: &str) -> Self {
        let ground = Ground { place: Place::new(name) };
        std::fs::write(ground.place.path("key"), "links are signed with this secret").unwrap();
        ground
    }

    /// Copies an example campaign here, with one word in it replaced.
    fn misspell(&self, campaign: &str, right: &str, wrong: &str) {
        let file = format!("{campaign}.yaml");
        let text = std::fs::read_to_string(deploy().join("campaigns").join(&file)).unwrap();
        assert!(text.contains(right), "{file} has no {right}");
        std::fs::write(self.place.path(&file), text.replacen(right, wrong, 1)).unwrap();
    }

    /// Runs the program to its end, and gives back everything that it said.
    #[track_caller]
    fn run(&self, command: &str, code: i32) -> String {
        let settings = [
            ("CASCADE_BROKERS", self.place.brokers()),
            ("CASCADE_TOPICS_PREFIX", &self.place.prefix),
            ("CASCADE_TOPICS_PARTITIONS", "2"),
            ("CASCADE_TRACKER_KEYS", "1:key"),
            ("CASCADE_TEMPLATES_DIR", "."),
            ("CASCADE_CHANNEL__SMS__TRANSPORT__KIND", "http"),
            ("CASCADE_CHANNEL__SMS__TRANSPORT__URL", "http://127.0.0.1:1/"),
            ("CASCADE_OPS_LISTEN", "127.0.0.1:0"),
            ("CASCADE_LOG_LEVEL", "off"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter();
        let variable = |property: &str| format!("CASCADE_KAFKA_{}", property.to_uppercase().replace('.', "_"));
        let properties = self.place.properties().iter().map(|(name, value)| (variable(name), value.clone()));
        let program = binary();
        let inside = ["-C", path(self.place.dir()), path(&program)];
        let log = self.place.path("said");
        drop(std::fs::remove_file(&log));
        let mut process = Process::start(
            Path::new("env"),
            inside.into_iter().chain(command.split(' ')),
            settings.chain(properties),
            &log,
        );
        let ended = process.end();
        let said = process.said();
        assert_eq!(ended.code(), Some(code), "`cascade {command}` said:\n{said}");
        said.trim_end().to_owned()
    }

    /// Runs what is refused with this exit code: nothing is said but why.
    #[track_caller]
    fn refuse(&self, command: &str, code: i32) -> String {
        let said = self.run(command, code);
        let why = said.strip_prefix("cascade: ").unwrap_or_else(|| panic!("`cascade {command}` said:\n{said}"));
        assert!(!why.contains("cascade: "), "one thing is said, once:\n{said}");
        why.to_owned()
    }

    /// The same, and it is said in one line.
    #[track_caller]
    fn refuse_in_one_line(&self, command: &str, code: i32) -> String {
        let why = self.refuse(command, code);
        assert_eq!(why.lines().count(), 1, "{why}");
        why
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

/// An address that nobody listens at, and nobody else can take meanwhile.
fn taken_address() -> (tokio::net::TcpSocket, SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}
