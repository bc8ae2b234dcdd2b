//! What the hooks of all providers are tested by: recorded posts, and whatever else may come.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// What a provider's documents say that it posts.
#[derive(Deserialize)]
pub(in crate::transport) struct Posts {
    sources: Vec<String>,
    date: String,
    posts: Vec<Post>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub(in crate::transport) struct Post {
    /// What is special about it; shown where it is read otherwise.
    #[serde(default, rename = "about")]
    _about: String,
    /// Which hook it is for, where a provider has several.
    #[serde(default)]
    pub(in crate::transport) hook: String,
    body: Value,
    read_as: Vec<String>,
}

impl Post {
    /// The raw body.
    pub(in crate::transport) fn bytes(&self) -> Vec<u8> {
        self.body.as_str().map_or_else(|| self.body.to_string().into_bytes(), |text| text.as_bytes().to_vec())
    }
}

impl Posts {
    /// The recorded posts. `page` is the source of the hook: each word of its table that stands in backticks must be in some post, so
    /// that no row is without one.
    pub(in crate::transport) fn of(json: &str, page: &str) -> Self {
        let posts: Posts = serde_json::from_str(json).expect("recorded posts can be read");
        assert!(posts.sources.iter().all(|source| source.starts_with("https://")) && !posts.sources.is_empty());
        assert_eq!(posts.date.len(), "2026-11-28".len());
        let rows = page.lines().filter_map(|line| line.strip_prefix("//! | ")).skip(1);
        for row in rows {
            let cell = row.split(" | ").next().unwrap_or_default();
            for word in cell.split('`').skip(1).step_by(2) {
                let is_there = posts.posts.iter().any(|post| post.body.to_string().contains(word));
                assert!(is_there || word == "sender", "no recorded post has {word}: {row}");
            }
        }
        posts
    }

    /// Reads each, by the hook that `open` makes for it.
    pub(in crate::transport) fn check(&self, open: impl Fn(&Post) -> Box<dyn Hook>) {
        for post in &self.posts {
            let read: Vec<String> = open(post).read(&post.bytes()).iter().map(told).collect();
            assert_eq!(read, post.read_as, "{post:?}");
        }
    }
}

/// What was read, as the records write it.
fn told(said: &Said) -> String {
    let mut words = vec![said.status.as_str().to_owned()];
    words.extend(said.token.as_ref().map(|token| format!("token={token}")));
    words.extend(said.about.iter().map(|about| match about {
        About::ProviderId(id) => format!("id={id}"),
        About::Address(address) => format!("address={address}"),
        About::Nothing(why) => format!("nothing={why}"),
        other => panic!("a hook does not say {other:?}"),
    }));
    words.extend(said.code.as_ref().map(|code| format!("code={code}")));
    words.extend(said.text.as_ref().map(|text| format!("text={}", text.as_str())));
    words.extend(said.occurred_at.map(|at| format!("at={at}")));
    if said.about.iter().any(|about| matches!(about, About::Nothing(_))) {
        words.remove(0);
    }
    words.join(" ")
}

pub(in crate::transport) fn secrets(words: &[&str]) -> Secrets {
    Secrets(words.iter().map(|word| (*word).to_owned()).collect())
}

/// The HMAC-SHA256 of a body, in hexadecimal digits.
pub(in crate::transport) fn sign(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn config(kind: &str, rest: Value) -> Config {
    let mut config = serde_json::json!({"kind": kind, "secret": {"file": "src/transport/posts/vk.json"}});
    config.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

fn all() -> Vec<Box<dyn Hook>> {
    let meta = |product: &str| {
        let verify = serde_json::json!({"file": "src/transport/posts/vk.json"});
        config(
            "meta",
            serde_json::json!({"product": product, "sender": 106_540_352_242_922_u64, "verify_token": verify}),
        )
    };
    let vk = config("vk", serde_json::json!({"group_id": 1, "confirmation": "e7e13fe2"}));
    let rest = ["viber", "telegram"].map(|kind| config(kind, serde_json::json!({})));
    let gateway = |body: &str| {
        let statuses = serde_json::json!({"read": "opened", "seen": "nothing", "id": "failed"});
        let reply = serde_json::json!({"at": "/messages", "sender": "/id", "text": "/text"});
        config(
            "http",
            serde_json::json!({"post": {"proof": {"header": "x-token"}, "body": body, "id": "/id", "status": "/status",
                "time": "/value", "token": "/text", "statuses": statuses, "reply": reply}}),
        )
    };
    let rest = rest.into_iter().chain(["json", "form"].map(gateway));
    let configs = ["whatsapp", "messenger", "instagram"].map(meta).into_iter().chain([vk]).chain(rest);
    configs.map(|config| config.open().unwrap()).collect()
}

/// The HMAC-SHA256 of RFC 4231, test case 2.
#[test]
fn a_signature_is_an_hmac_of_the_raw_body() {
    let secrets = Secrets(vec!["another".to_owned(), "Jefe".to_owned()]);
    let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert!(secrets.signed(b"what do ya want for nothing?", hex));
    assert!(!secrets.signed(b"what do ya want for nothing!", hex) && !secrets.signed(b"", &hex[..62]));
    assert!(secrets.hold("Jefe") && secrets.hold("another") && !secrets.hold("Jef") && !secrets.hold(""));
}

#[test]
fn a_configuration_says_all_that_its_kind_needs_and_nothing_else() {
    let none = serde_json::json!({});
    assert_eq!(config("viber", none.clone()).problems(), Vec::<String>::new());
    assert_eq!(config("meta", none.clone()).problems().len(), 3);
    assert_eq!(config("vk", none).problems().len(), 2);
    let strange =
        serde_json::json!({"group_id": 1, "receipts_remembered": 0, "other_secret": {"env": "NOBODY_SETS_THIS"}});
    let problems = config("viber", strange).problems();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("hook.group_id") && problems[2].starts_with("hook.other_secret: $NOBODY"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "short").unwrap();
    let short = config("viber", serde_json::json!({"other_secret": {"file": file.path()}})).problems();
    assert_eq!(short, ["hook.other_secret is shorter than 16 bytes: make a longer one"]);
}

#[test]
fn nothing_of_a_person_is_shown() {
    let said = Said::reply(Some("MARKED"), &[], [About::Address("MARKED".to_owned())]);
    let said = Said { token: Some("MARKED".to_owned()), ..said };
    assert!(!format!("{said:?}").contains("MARKED"));
    assert!(!format!("{:?}", secrets(&["MARKED"])).contains("MARKED"));
}

/// Any JSON, of the words that the hooks look for.
fn json() -> impl Strategy<Value = Value> {
    let words = ["statuses", "id", "status", "read", "entry", "changes", "value", "messages", "type", "messaging"];
    let more = ["object", "whatsapp_business_account", "page", "event", "seen", "message", "mids", "delivery", "text"];
    let word = proptest::sample::select([words.as_slice(), more.as_slice()].concat());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((word.clone(), inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_comes_is_read_as_something_that_may_be_shown(value in json(), bytes in any::<Vec<u8>>(), cut in 0_usize..200) {
        let text = value.to_string();
        let cut = &text.as_bytes()[..cut.min(text.len())];
        for hook in all() {
            for body in [text.as_bytes(), bytes.as_slice(), cut] {
                let said = hook.read(body);
                prop_assert!(!said.is_empty(), "not even counted");
                for said in said {
                    prop_assert!(!said.about.is_empty());
                    let is_plain = |code: &str| crate::transport::plain_code(code) == Some(code) && !code.contains(['-', '.']);
                    prop_assert!(said.code.as_deref().is_none_or(is_plain), "{:?}", said.code);
                }
                prop_assert!(!hook.trusts(&HeaderMap::new(), body) && !hook.trusts_path(""));
                hook.answer(body);
            }
        }
    }

    #[test]
    fn a_changed_bit_of_body_or_signature_is_not_believed(body in ".{1,80}", at in 0_usize..144, bit in 0_u8..8) {
        let (secrets, mut body) = (secrets(&["a secret of sixteen"]), body.into_bytes());
        let mut hex = sign("a secret of sixteen", &body).into_bytes();
        prop_assert!(secrets.signed(&body, std::str::from_utf8(&hex).unwrap()));
        match at.checked_sub(64) {
            Some(at) => { let at = at % body.len(); body[at] ^= 1 << bit; }
            None => hex[at] = if hex[at] == b'0' { b'1' } else { b'0' },
        }
        prop_assert!(!secrets.signed(&body, &String::from_utf8_lossy(&hex)));
    }
}
