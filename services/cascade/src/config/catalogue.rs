//! Every setting: its key, its default and what it means. Flags, environment names, `config explain` and the checks for
//! unknown keys are all made from this list.

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Dotted key, as in the TOML file.
    pub key: &'static str,
    /// What holds when nobody says anything; none where the setting has no default.
    pub default: Option<&'static str>,
    /// What it means, for `--help`.
    pub about: &'static str,
}

const fn setting(key: &'static str, default: Option<&'static str>, about: &'static str) -> Setting {
    Setting { key, default, about }
}

/// All settings of their own. Beside them `kafka.<property>` hands any property to librdkafka, and `channel.<name>.…` is the
/// section of a channel, which the channel workers' crate understands.
pub const SETTINGS: &[Setting] = &[
    setting("brokers", Some("localhost:9092"), "Kafka brokers, host:port, comma separated"),
    setting(
        "instance",
        None,
        "Name of this process, unique among its like and stable over restarts [default: $HOSTNAME]",
    ),
    setting("channels", Some("push,email,telegram,viber,whatsapp,sms"), "Names of the channels, comma separated"),
    setting("topics.prefix", Some(""), "Put before every topic name"),
    setting("topics.partitions", Some("8"), "Partitions of every keyed topic; cannot be changed once there are data"),
    setting("topics.replication", Some("1"), "Copies of every topic that `topics apply` creates"),
    setting("state.dir", Some("state"), "Directory of the operator's local state"),
    setting(
        "state.reserve",
        Some("256"),
        "Megabytes that are left free on its disk: with less, no partition is taken over",
    ),
    setting("state.shards", Some("1"), "Threads of the operator; each owns some of the partitions"),
    setting("state.rows", Some("1000000"), "Customers that each shard keeps in memory"),
    setting(
        "state.standby",
        Some("none"),
        "`all`: each replica follows the partitions of all others, to take over within a second; `none`: it restores them then",
    ),
    setting(
        "sources.wait",
        Some("yes"),
        "`yes`: deadlines wait until intake has read what was in its topics when they fell due; `no`: only for what is in input",
    ),
    setting(
        "suppression.secret",
        None,
        "Secret of the hashes by which intake and operator know who was erased and did not want to be written to, 16 bytes or more; never changed. Without one nothing is kept of that",
    ),
    setting(
        "clock",
        Some("system"),
        "Business time: `system`, or `driven:PATH` for a clock that another process drives",
    ),
    setting(
        "ops.listen",
        Some("127.0.0.1:0"),
        "Address of /metrics, /health, /ready and /progress; port 0 takes a free one",
    ),
    setting("ops.port_file", None, "File that the bound ops address is written to, as host:port"),
    setting(
        "ops.installation",
        None,
        "Name of this installation in metrics, the same in all of its processes: the label `installation` of every series [default: the topics' prefix, or `cascade`]",
    ),
    setting("log.format", Some("text"), "`text` or `json`"),
    setting("log.level", Some("info"), "`error`, `warn`, `info`, `debug`, or directives such as `info,stream=debug`"),
    setting(
        "trace.endpoint",
        None,
        "URL of a collector that takes OTLP over HTTP, as in http://collector:4318: cascades are followed there. None: none is, and it costs nothing. A token goes into OTEL_EXPORTER_OTLP_HEADERS, not here",
    ),
    setting(
        "trace.one_in",
        Some("100"),
        "The operator follows one cascade in so many; 1: each. The trace has the id of its instance",
    ),
    setting("templates.dir", Some("templates"), "Directory of the message templates"),
    setting(
        "registry.url",
        None,
        "Schema registry with Confluent's interface; without one the built-in schema ids are enough",
    ),
    setting("registry.ids", None, "Further schema ids of the registry that source records may have, comma separated"),
    setting("registry.user", None, "User name, or API key, for the schema registry"),
    setting("registry.password", None, "Password, or API secret, for the schema registry"),
    setting("tracker.listen", Some("127.0.0.1:8080"), "Address of the tracker's HTTP edge"),
    setting("tracker.port_file", None, "File that the tracker's bound address is written to, as host:port"),
    setting("tracker.url", None, "Public URL of the tracker; without it messages go out without links to it"),
    setting(
        "tracker.keys",
        None,
        "Keys that sign links, ID:PATH or ID:env:NAME, comma separated; the first signs. For one key set $CASCADE_TRACKER_SECRET_FILE instead",
    ),
    setting(
        "tracker.providers",
        Some(""),
        "Who may post receipts, NAME:PATH or NAME:env:VARIABLE of the secret, comma separated; NAME@CHANNEL+CHANNEL speaks for these channels alone",
    ),
    setting(
        "tracker.linger",
        Some("5"),
        "Seconds for which the tracker still takes requests after the word to stop, while balancers hear that it is not ready",
    ),
    setting("canary.interval", Some("30"), "Seconds from one round of the canary to the next, in each partition"),
    setting("canary.patience", Some("60"), "A round of the canary that takes longer than so many seconds is lost"),
    setting(
        "tracker.producers",
        Some(""),
        "Who may post events of the shop to /events/NAME, NAME:PATH or NAME:env:VARIABLE of the secret, comma separated",
    ),
];

/// Prefix of the keys that are librdkafka's own.
pub const KAFKA: &str = "kafka.";

/// Prefix of the sections of channels.
pub const CHANNEL: &str = "channel.";

/// The setting with this key.
pub fn setting_of(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Whether the value of a key is never shown and never taken from the command line. Sections of channels name their secrets instead of holding them, but for headers.
pub fn is_secret(key: &str) -> bool {
    const TELLING: [&str; 5] = ["password", "secret", "pem", "jaas", "sasl.oauthbearer.config"];
    match key.starts_with(CHANNEL) {
        true => key.contains(".headers."),
        false => TELLING.iter().any(|word| key.contains(word)),
    }
}

/// Name of the environment variable of a key. In sections of channels two underscores stand for a dot, because names of
/// fields have underscores themselves: `CASCADE_CHANNEL__SMS__RATE_PER_SECOND`.
pub fn variable_of(key: &str) -> String {
    let dot = if key.starts_with(CHANNEL) { "__" } else { "_" };
    format!("CASCADE_{}", key.to_uppercase().replace('.', dot).replace('-', "_"))
}

/// Name of the flag of a key, without the dashes.
pub fn flag_of(key: &str) -> String {
    key.replace(['.', '_'], "-")
}
