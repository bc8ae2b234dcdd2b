//! Layers and problems, on surroundings that are only a map.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::*;

#[derive(Default)]
struct Fake {
    variables: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
}

impl Fake {
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }
}

impl Surroundings for Fake {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn variables(&self) -> Vec<String> {
        self.variables.keys().cloned().collect()
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        self.files.get(path.to_str().unwrap_or("")).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

fn common(flags: &Flags, fake: &Fake) -> Result<Common, Failure> {
    read(flags, fake, Common::read)
}

fn problems(flags: &Flags, fake: &Fake) -> Vec<String> {
    let failure = common(flags, fake).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    failure.sentence.lines().map(str::to_owned).collect()
}

#[test]
fn without_any_word_the_defaults_hold() {
    let common = common(&Flags::default(), &Fake::default()).unwrap();
    assert_eq!(common.kafka.brokers, "localhost:9092");
    assert_eq!((common.partitions, common.topics.input().as_str()), (8, "input"));
    assert_eq!(common.channels, ["push", "email", "telegram", "viber", "whatsapp", "sms"]);
    assert_eq!(common.time, Time::System);
    assert_eq!(common.traces, None, "no cascade is followed");
}

#[test]
fn cascades_are_followed_where_a_collector_is_named() {
    let to = |url: &str| Fake::default().variable("CASCADE_TRACE_ENDPOINT", url);
    let followed = common(&Flags::default(), &to("http://collector:4318")).unwrap().traces.unwrap();
    assert_eq!(followed, traces::Settings::of("http://collector:4318", 100).unwrap());
    assert_eq!(common(&Flags::default(), &to("")).unwrap().traces, None);
    let refused = problems(&Flags::default(), &to("http://me:hushhush@collector:4318"));
    assert!(refused[0].contains("must be the URL of a collector") && !refused[0].contains("hushhush"), "{refused:?}");
    let each = to("http://collector:4318").variable("CASCADE_TRACE_ONE_IN", "0");
    assert!(problems(&Flags::default(), &each)[0].contains("trace.one_in"));
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_the_file() {
    let file = "brokers = 'file:1'\nchannels = ['push', 'sms']\n[topics]\nprefix = 'file'\npartitions = 3\n";
    let fake = Fake::default()
        .file("c.toml", file)
        .variable("CASCADE_TOPICS_PREFIX", "env")
        .variable("CASCADE_BROKERS", "env:1");
    let common = common(&Flags::of(&[("brokers", "flag:1")], Some("c.toml")), &fake).unwrap();
    assert_eq!(common.kafka.brokers, "flag:1");
    assert_eq!(common.topics.input(), "env.input");
    assert_eq!(common.partitions, 3);
    assert_eq!(common.channels, ["push", "sms"]);
}

#[test]
fn all_problems_come_out_at_once_and_name_where_they_come_from() {
    let fake = Fake::default()
        .file("c.toml", "clock = 'sundial'\nbroker = 'x'\n")
        .variable("CASCADE_TOPICS_PARTITIONS", "many")
        .variable("CASCADE_LOG_FORMAT", "xml");
    let problems = problems(&Flags::of(&[("channels", "E-Mail"), ("brokers", "")], Some("c.toml")), &fake);
    let expect = [
        "c.toml: there is no setting `broker`",
        "channels `E-Mail` (from the command line)",
        "topics.partitions `many` (from $CASCADE_TOPICS_PARTITIONS) must be a whole number from 1 to 4096",
        "clock `sundial` (from c.toml) must be `system` or `driven:PATH`",
        "log.format `xml` (from $CASCADE_LOG_FORMAT) must be `text` or `json`",
        "brokers is not set",
    ];
    for sentence in expect {
        assert!(problems.iter().any(|problem| problem.contains(sentence)), "{sentence} is missing in {problems:#?}");
    }
}

#[test]
fn any_property_of_librdkafka_can_be_set_in_any_layer() {
    let fake = Fake::default()
        .file("c.toml", "[kafka]\n\"security.protocol\" = 'SASL_SSL'\nsasl.mechanisms = 'SCRAM-SHA-512'\n")
        .file("/run/secret", "hush\n")
        .variable("CASCADE_KAFKA_SASL_PASSWORD_FILE", "/run/secret")
        .variable("CASCADE_KAFKA_SERVICE_HOST", "10.0.0.1")
        .variable("CASCADE_KAFKA_PORT_9092_TCP", "tcp://10.0.0.1:9092");
    let common = common(&Flags::of(&[("kafka.linger.ms", "1")], Some("c.toml")), &fake).unwrap();
    let expected = [
        ("linger.ms", "1"),
        ("sasl.mechanisms", "SCRAM-SHA-512"),
        ("sasl.password", "hush"),
        ("security.protocol", "SASL_SSL"),
    ];
    let found: Vec<(&str, &str)> =
        common.kafka.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn any_value_may_stand_in_a_file_that_a_variable_names() {
    let fake = Fake::default()
        .file("/run/user", "cascade-operator\n")
        .file("/run/partitions", "24\n")
        .variable("CASCADE_KAFKA_SASL_USERNAME_FILE", "/run/user")
        .variable("CASCADE_TOPICS_PARTITIONS_FILE", "/run/partitions")
        .variable("CASCADE_KAFKA_SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE", "/run/key");
    let found = common(&Flags::of(&[], None), &fake).unwrap();
    assert_eq!(found.partitions, 24);
    let property = |name: &str| found.kafka.properties.get(name).map(String::as_str);
    assert_eq!(property("sasl.username"), Some("cascade-operator"));
    // A path of librdkafka's own stays one.
    assert_eq!(property("sasl.oauthbearer.assertion.private.key.file"), Some("/run/key"));
    let twice = fake.variable("CASCADE_TOPICS_PARTITIONS", "12");
    assert!(problems(&Flags::default(), &twice)[0].contains("CASCADE_TOPICS_PARTITIONS_FILE are both set"));
}

#[test]
fn no_setting_is_named_like_the_file_of_another() {
    let names: Vec<String> = catalogue::SETTINGS.iter().map(|setting| catalogue::variable_of(setting.key)).collect();
    for name in &names {
        assert!(!names.contains(&format!("{name}_FILE")), "{name}_FILE would be two things");
    }
}

#[test]
fn secrets_are_neither_taken_from_the_command_line_nor_shown() {
    let given = problems(&Flags::of(&[("kafka.sasl.password", "hush")], None), &Fake::default());
    assert!(given[0].contains("must not stand on the command line"), "{given:?}");
    let fake = Fake::default().variable("CASCADE_KAFKA_SASL_PASSWORD", "hush").variable("CASCADE_BROKERS", "here:1");
    let table = explain(&Flags::default(), &fake, &mut Vec::new()).unwrap();
    assert!(table.contains("(hidden)") && !table.contains("hush"), "{table}");
    assert!(table.contains("here:1") && table.contains("$CASCADE_BROKERS"), "{table}");
}

#[test]
fn a_secret_given_twice_or_in_a_missing_file_is_a_problem() {
    let twice = Fake::default()
        .file("/run/secret", "a")
        .variable("CASCADE_KAFKA_SASL_PASSWORD", "b")
        .variable("CASCADE_KAFKA_SASL_PASSWORD_FILE", "/run/secret");
    assert!(problems(&Flags::default(), &twice)[0].contains("are both set"));
    let missing = Fake::default().variable("CASCADE_KAFKA_SASL_PASSWORD_FILE", "/nowhere");
    assert!(problems(&Flags::default(), &missing)[0].contains("/nowhere"));
}

#[test]
fn a_broken_file_is_named_with_its_line() {
    let fake = Fake::default().file("c.toml", "brokers = 'a'\nclock = \n").variable("CASCADE_CONFIG", "c.toml");
    let problems = problems(&Flags::default(), &fake);
    assert!(problems[0].starts_with("c.toml, line 2"), "{problems:?}");
}

fn section(flags: &Flags, fake: &Fake) -> Result<channels::Config, Failure> {
    let read_both = |reader: &mut Reader<'_>| {
        let common = Common { channels: vec!["sms".to_owned()], ..Common::read(reader) };
        channel("sms", &common, reader)
    };
    read(flags, fake, read_both).map(|channel| channel.expect("a section without problems is read"))
}

#[test]
fn a_channels_section_is_completed_by_the_environment_and_by_what_holds_for_all() {
    let file = "channels = ['sms']\n[channel.sms]\nprovider = 'acme'\nrate_per_second = 5\n\
                [channel.sms.transport]\nkind = 'http'\nurl = 'http://old.test'\n";
    let fake = Fake::default()
        .file("c.toml", file)
        .variable("CASCADE_CHANNEL__SMS__TRANSPORT__URL", "http://new.test")
        .variable("CASCADE_TEMPLATES_DIR", "src");
    let config = section(&Flags::of(&[("channel.sms.rate_per_second", "20")], Some("c.toml")), &fake).unwrap();
    assert_eq!((config.channel.as_str(), config.provider.as_str(), config.rate_per_second), ("sms", "acme", 20));
    assert_eq!(config.templates, Path::new("src"));
    let channels::transport::Config::Http(transport) = config.transport else { panic!("the kind is http") };
    assert_eq!(transport.url, "http://new.test");
    assert!(config.tracking.is_none());
}

#[test]
fn a_section_may_be_written_flat_as_programs_write() {
    let text = "\"channel.sms.transport.kind\" = \"http\"\n\"channel.sms.transport.url\" = \"https://sms.example/send\"\n\
                \"channel.sms.rate_per_second\" = 20\n\"channel.sms.rates\" = { \"+79\" = 5 }\n";
    let fake = Fake::default().file("c.toml", text).variable("CASCADE_TEMPLATES_DIR", "src");
    let config = section(&Flags::of(&[], Some("c.toml")), &fake).unwrap();
    assert_eq!((config.rate_per_second, config.rates.into_values().collect()), (20, vec![5]));
}

#[test]
fn lists_tables_and_texts_of_digits_can_be_said_in_every_layer() {
    const SPARE: &str = "spare = { kind = 'http', url = 'https://sms.example/send' }";
    let said = |fake: Fake, flags: &[(&str, &str)]| {
        let fake = fake.variable("CASCADE_TEMPLATES_DIR", "src");
        section(&Flags::of(flags, Some("c.toml")), &fake).unwrap_err().sentence
    };
    let page = |source: &str| {
        let main = format!(
            "kind = 'smpp', host = 'smsc.test', port = 2775, system_id = 'shop', source = {source}, \
             password = {{ env = 'NOBODY_SETS_THIS' }}"
        );
        let transport = "channel.sms.transport";
        Fake::default().file(
            "c.toml",
            &format!("'{transport}.kind' = 'routes'\n'{transport}.order' = ['main', 'spare']\n'{transport}.routes' = {{ main = {{ {main} }}, {SPARE} }}\n"),
        )
    };
    let main = |field: &str| format!("CASCADE_CHANNEL__SMS__TRANSPORT__ROUTES__MAIN__{field}");
    let variables = Fake::default()
        .file("c.toml", "")
        .variable("CASCADE_CHANNEL__SMS__TRANSPORT__KIND", "routes")
        .variable("CASCADE_CHANNEL__SMS__TRANSPORT__ORDER", "['main', 'spare']")
        .variable(
            "CASCADE_CHANNEL__SMS__TRANSPORT__ROUTES",
            &format!("{{ main = {{ kind = 'smpp', host = 'smsc.test', port = 2775 }}, {SPARE} }}"),
        )
        .variable(&main("SYSTEM_ID"), "shop")
        .variable(&main("SOURCE"), "\"12345\"")
        .variable(&main("PASSWORD"), "{ env = 'NOBODY_SETS_THIS' }");
    let flags = [
        ("channel.sms.transport.routes.main.source", "\"12345\""),
        ("channel.sms.transport.order", "['main', 'spare']"),
    ];
    for sentence in [said(page("'12345'"), &[]), said(variables, &[]), said(page("'Shop'"), &flags)] {
        assert!(
            sentence.contains("NOBODY_SETS_THIS") && sentence.lines().count() == 1,
            "all but the secret is there: {sentence}"
        );
    }
    assert!(said(page("12345"), &[]).contains("correct the section"), "a number is no sender of SMPP");
    // What only looks like a table stays a text.
    let text = Fake::default()
        .variable("CASCADE_CHANNEL__SMS__TRANSPORT__KIND", "http")
        .variable("CASCADE_CHANNEL__SMS__TRANSPORT__URL", "https://sms.example/send")
        .variable("CASCADE_CHANNEL__SMS__PROVIDER", "{campaign}")
        .variable("CASCADE_TEMPLATES_DIR", "src");
    assert_eq!(section(&Flags::default(), &text).unwrap().provider, "{campaign}");
}

#[test]
fn a_call_that_may_outlast_its_lease_stops_the_start() {
    let fake = Fake::default()
        .variable("CASCADE_CHANNEL__SMS__TRANSPORT__KIND", "http")
        .variable("CASCADE_CHANNEL__SMS__TRANSPORT__URL", "https://sms.example/send")
        .variable("CASCADE_CHANNELS", "sms")
        .variable("CASCADE_TEMPLATES_DIR", "src");
    assert!(section(&Flags::default(), &fake).is_ok());
    let sentence = section(&Flags::of(&[("kafka.session.timeout.ms", "6000")], None), &fake).unwrap_err().sentence;
    assert!(sentence.contains("timeout_seconds is 10, but a call may go on for 3 s at most"), "{sentence}");
}

#[test]
fn a_section_with_an_unknown_field_or_none_at_all_says_what_to_do() {
    let unknown = Fake::default().variable("CASCADE_CHANNEL__SMS__SPEED", "9");
    let sentence = section(&Flags::default(), &unknown).unwrap_err().sentence;
    assert!(sentence.contains("channel.sms") && sentence.contains("speed"), "{sentence}");
    let sentence = section(&Flags::default(), &Fake::default()).unwrap_err().sentence;
    assert!(sentence.contains("[channel.sms.transport]"), "{sentence}");
    assert!(sentence.contains("kinds are email, http, fcm, apns, web_push,"), "{sentence}");
}

#[test]
fn the_environment_can_hold_a_whole_transport() {
    let fake = Fake::default()
        .variable("CASCADE_CHANNEL__SMS__TRANSPORT__KIND", "exolve")
        .variable("CASCADE_CHANNEL__SMS__TRANSPORT__SENDER", "79001234567")
        .variable("CASCADE_CHANNEL__SMS__TRANSPORT__TOKEN__FILE", "/run/secrets/exolve")
        .variable("CASCADE_TEMPLATES_DIR", "/nowhere");
    let sentence = section(&Flags::default(), &fake).unwrap_err().sentence;
    assert!(sentence.contains("transport.token: /run/secrets/exolve: "), "all but the secret is there: {sentence}");
    assert!(!sentence.contains("correct the section"), "{sentence}");
}

#[test]
fn a_directory_of_templates_that_is_none_is_named_with_its_setting() {
    let fake = Fake::default()
        .variable("CASCADE_CHANNEL__SMS__TRANSPORT__KIND", "http")
        .variable("CASCADE_CHANNEL__SMS__TRANSPORT__URL", "http://gateway.test")
        .variable("CASCADE_TEMPLATES_DIR", "/nowhere");
    let sentence = section(&Flags::default(), &fake).unwrap_err().sentence;
    assert!(sentence.contains("/nowhere is no directory of templates: correct templates.dir"), "{sentence}");
}

#[test]
fn signing_keys_are_named_and_a_single_one_may_stand_in_the_environment() {
    let keys = |fake: &Fake| read(&Flags::default(), fake, |reader| reader.keys("tracker.keys", "tracker.secret"));
    let several = Fake::default().variable("CASCADE_TRACKER_KEYS", "2:/run/new, 1:env:OLD");
    let found = keys(&several).unwrap();
    assert_eq!((found[0]["id"].as_integer(), found[0]["secret_file"].as_str()), (Some(2), Some("/run/new")));
    assert_eq!((found[1]["id"].as_integer(), found[1]["secret_env"].as_str()), (Some(1), Some("OLD")));
    let single = Fake::default().variable("CASCADE_TRACKER_SECRET", "sixteen bytes or more");
    assert_eq!(keys(&single).unwrap()[0]["secret_env"].as_str(), Some("CASCADE_TRACKER_SECRET"));
    assert!(keys(&Fake::default()).unwrap_err().sentence.contains("CASCADE_TRACKER_SECRET_FILE"));
    let wrong = Fake::default().variable("CASCADE_TRACKER_KEYS", "new:/run/new");
    assert!(keys(&wrong).unwrap_err().sentence.contains("must be ID:PATH"));
}

#[test]
fn a_provider_may_have_several_secrets_and_speaks_for_the_channels_behind_its_name() {
    let providers = |text: &str| {
        let fake = Fake::default().variable("CASCADE_TRACKER_PROVIDERS", text);
        read(&Flags::default(), &fake, |reader| super::tracker::signers(reader, "tracker.providers"))
    };
    let found = providers("crm@call+sms:/run/a, crm@call+sms:env:OLD, gateway:/run/b").unwrap();
    let texts = |index: usize, key: &str| -> Vec<String> {
        found[index][key].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (texts(0, "channels"), texts(0, "secret_files")),
        (vec!["call".into(), "sms".into()], vec!["/run/a".into()])
    );
    assert_eq!((texts(0, "secret_envs"), found[0]["name"].as_str()), (vec!["OLD".into()], Some("crm")));
    assert_eq!((texts(1, "channels"), found[1]["name"].as_str()), (vec![], Some("gateway")));
    let wrong = providers("crm@call:/run/a,crm:/run/b").unwrap_err().sentence;
    assert!(wrong.contains("the same channels each time"), "{wrong}");
}

#[test]
fn the_hooks_of_the_channels_are_the_trackers() {
    let page = "channels = 'viber,whatsapp,sms'\n[channel.viber]\nprovider = 'bot'\n[channel.viber.hook]\nkind = 'viber'\nsecret = { file = \
                '/run/secrets/viber' }\n[channel.sms.transport]\nkind = 'nowhere'\n";
    let fake = Fake::default()
        .file("/c.toml", page)
        .variable("CASCADE_CONFIG", "/c.toml")
        .variable("CASCADE_TRACKER_KEYS", "1:env:NOBODY_SETS_THIS")
        .variable("CASCADE_CHANNEL__WHATSAPP__HOOK__KIND", "meta")
        .variable("CASCADE_CHANNEL__WHATSAPP__HOOK__SECRET__FILE", "/run/secrets/meta");
    let sentence = read(&Flags::default(), &fake, tracker).unwrap_err().sentence;
    for problem in [
        "channel viber: hook.secret: /run/secrets/viber: ",
        "channel whatsapp: hook.product (whatsapp, messenger or instagram) is missing",
    ] {
        assert!(sentence.contains(&format!("tracker: {problem}")), "{sentence}");
    }
    assert!(!sentence.contains("sms"), "it has no hook: {sentence}");
}

#[test]
fn every_setting_has_its_own_environment_name_and_a_sentence() {
    let names: std::collections::BTreeSet<String> =
        catalogue::SETTINGS.iter().map(|setting| catalogue::variable_of(setting.key)).collect();
    assert_eq!(names.len(), catalogue::SETTINGS.len());
    assert!(catalogue::SETTINGS.iter().all(|setting| !setting.about.is_empty()));
}
