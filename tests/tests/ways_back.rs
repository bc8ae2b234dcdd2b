//! What comes back on ways of its own: receipts and replies over an SMPP session, and bounced mails.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use schemas::token::Keyring;
use schemas::{Attempt, Consent, Contact, Feedback, Id, Profile, Reply, Status};
use serde_json::{Value, json};
use system_tests::installation::{Installation, Plan};
use system_tests::wait::{until, until_some};

/// The message centre of the transport's own tests, on smpplib's codec.
struct Centre {
    child: Child,
    lines: BufReader<ChildStdout>,
    orders: ChildStdin,
    port: u16,
}

impl Centre {
    fn start() -> Self {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/channels/tests/providers/peers");
        let kept = std::env::var("HOME").expect("a home") + "/.cache/cascade/venv";
        let venv = PathBuf::from(std::env::var("CASCADE_VENV").unwrap_or(kept));
        let installed = Command::new("bash").arg(peers.join("install.sh")).arg(&venv).status().expect("bash runs");
        assert!(installed.success(), "the libraries of the peers cannot be installed");
        let mut child = Command::new(venv.join("bin/python"))
            .arg(peers.join("smsc.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the message centre starts");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        let orders = child.stdin.take().expect("its input");
        let mut centre = Centre { child, lines, orders, port: 0 };
        centre.port = u16::try_from(centre.told()["port"].as_u64().expect("a port")).expect("a port");
        centre
    }

    fn told(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.lines.read_line(&mut line).expect("its output") > 0, "it lives");
        serde_json::from_str(&line).expect("JSON")
    }

    fn event(&mut self, kind: &str) -> Value {
        loop {
            let told = self.told();
            if told["event"] == kind {
                return told;
            }
        }
    }

    /// Lets somebody write back.
    fn reply(&mut self, from: &str, text: &str) {
        let text: String = text.encode_utf16().map(|unit| format!("{unit:04x}")).collect();
        let order = json!({ "do": "say", "from": from, "text": text, "coding": 8 });
        writeln!(self.orders, "{order}").expect("it listens");
        assert_eq!(self.event("deliver_sm_resp")["status"], 0);
    }

    /// Lets it send a receipt.
    fn receipt(&mut self, message_id: &str, state: &str) {
        let text: String =
            format!("id:{message_id} stat:{state} err:000").bytes().map(|byte| format!("{byte:02x}")).collect();
        let order = json!({ "do": "say", "from": "79000007004", "text": text, "esm_class": 4 });
        writeln!(self.orders, "{order}").expect("it listens");
    }
}

impl Drop for Centre {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// SMS goes to the message centre instead of the sandbox.
fn through(shop: &Installation, centre: &Centre) {
    let (settings, password) = (shop.place.path("cascade.toml"), shop.place.path("smpp-password"));
    std::fs::write(&password, "secret").expect("it can be written");
    let mut text: toml::Table =
        std::fs::read_to_string(&settings).expect("settings").parse().expect("settings are TOML");
    let transport = json!({
        "kind": "smpp", "host": "127.0.0.1", "port": centre.port, "system_id": "cascade", "source": "Shop",
        "password": { "file": password }, "timeout_seconds": 3,
    });
    text["channel"]["sms"]["transport"] = toml::Value::try_from(transport).expect("settings are TOML");
    std::fs::write(&settings, text.to_string()).expect("it can be written");
}

/// Somebody with this number alone.
fn customer(shop: &Installation, customer: &str, number: &str) {
    let consent = Consent {
        channel: "sms".to_owned(),
        granted: true,
        at: shop.now(),
        source: "web".to_owned(),
        text_version: "1".to_owned(),
    };
    let profile = Profile {
        event_id: format!("profile-{customer}"),
        customer_id: customer.to_owned(),
        occurred_at: shop.now(),
        contacts: vec![Contact { channel: "sms".to_owned(), address: number.to_owned() }],
        consents: vec![consent],
        time_zone: Some("Europe/Berlin".to_owned()),
        ..Profile::default()
    };
    shop.tell(&shop.topics.profile(), customer, &profile);
}

fn told(shop: &Installation, customer: &str) -> Vec<Feedback> {
    let all = shop.read(&shop.topics.feedback());
    let all = all.iter().map(|record| record.decode::<Feedback>());
    all.filter(|feedback| feedback.customer_id == customer).collect()
}

fn statuses(shop: &Installation, customer: &str) -> Vec<Status> {
    told(shop, customer).into_iter().map(|feedback| feedback.status).collect()
}

#[test]
fn a_receipt_finds_its_send_also_after_a_crash_and_a_bounce_its_customer() {
    let mut centre = Centre::start();
    let mut shop = Installation::prepare(&Plan::new("ways-back", &["bonus-expiring"], &["push", "sms"]));
    through(&shop, &centre);
    shop.bring_up(&["tracker", "intake", "operator", "channel push", "channel sms"]);
    shop.settle();
    customer(&shop, "ann", "+79000000000");
    customer(&shop, "bea", "+79000007004");
    shop.settle();
    for name in ["ann", "bea"] {
        shop.action(name, "bonus_expiring", Some("a"), &[("points", "5")]);
    }
    // One is told of at once, the other only after the worker has died.
    until("the first receipt is a fact", || statuses(&shop, "ann").contains(&Status::Delivered));
    assert_eq!(centre.event("deliver_sm_resp")["status"], 0);
    let taken = until_some("the second message was taken", || {
        told(&shop, "bea").into_iter().find(|feedback| feedback.status == Status::Accepted)
    });
    let provider_id = taken.provider_id.clone().expect("the centre's id");
    shop.kill("channel sms");
    centre.event("closed");
    shop.restart("channel sms");
    centre.event("bind");
    centre.receipt("FFFFFF", "DELIVRD");
    centre.receipt(&provider_id.to_lowercase(), "DELIVRD");
    until("the second receipt is a fact", || statuses(&shop, "bea").contains(&Status::Delivered));
    let delivered = told(&shop, "bea").into_iter().find(|feedback| feedback.status == Status::Delivered);
    assert_eq!(delivered.expect("it was found").send_id, taken.send_id);
    let mut acknowledged = [(); 2].map(|()| centre.event("deliver_sm_resp")["status"].as_u64());
    acknowledged.sort_unstable();
    assert_eq!(acknowledged, [Some(0), Some(0x64)], "the one that nothing is known of has to be said again");
    centre.receipt("FFFFFF", "DELIVRD");
    assert_eq!(centre.event("deliver_sm_resp")["status"], 0, "and then it is no other");
    let worker = shop.service("channel sms");
    let words = |outcome: &str| worker.metric_with("cascade_provider_words_total", &format!("outcome=\"{outcome}\""));
    assert_eq!((words("delivered"), words("unknown_send")), (1.0, 1.0));
    replies(&shop, &mut centre, &taken);
    bounces(&shop, &taken);
}

/// Written to a worker that was not there when the send went out: the text is kept, and the fact has none.
fn replies(shop: &Installation, centre: &mut Centre, taken: &Feedback) {
    centre.reply("79000007004", "Заберу завтра");
    centre.reply("79000009999", "Кто это?");
    let said = until_some("the reply is a fact", || {
        told(shop, "bea").into_iter().find(|feedback| feedback.status == Status::Replied)
    });
    assert_eq!(said.send_id, taken.send_id);
    let kept: Vec<Reply> = shop.read(&shop.topics.reply()).iter().map(|record| record.decode()).collect();
    let kept: Vec<_> =
        kept.iter().map(|reply| (reply.customer_id.as_str(), reply.text.as_str(), &reply.send_id)).collect();
    assert_eq!(kept, [("bea", "Заберу завтра", &taken.send_id)], "a stranger's is nobody's");
    // What the worker remembers of the number is none.
    let attempts = shop.read(&shop.topics.attempt("sms"));
    let values: Vec<&[u8]> = attempts.iter().filter_map(|record| record.value.as_deref()).collect();
    assert!(values.iter().all(|value| !value.windows(11).any(|part| part == b"79000007004")));
    let attempts: Vec<Attempt> =
        attempts.iter().filter(|record| record.value.is_some()).map(|record| record.decode()).collect();
    assert!(attempts.iter().any(|attempt| attempt.to.is_some()));
}

/// One mail that encloses what names its customer, one that does not, one that is no report.
fn bounces(shop: &Installation, taken: &Feedback) {
    let keys = Keyring::new(vec![(1, b"links are signed with this secret".to_vec())]).expect("the installation's key");
    let send = taken.send_id.as_deref().and_then(Id::parse).expect("an id");
    let report = format!(
        "To: bounces+{}@cascade.test\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
         Action: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n",
        keys.sign_send(send)
    );
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/channels/src/bounce/samples");
    let maildir = shop.place.path("maildir");
    for part in ["new", "cur"] {
        std::fs::create_dir_all(maildir.join(part)).expect("the test's directory can be written to");
    }
    std::fs::copy(samples.join("postfix-4.2.2.eml"), maildir.join("new/1")).expect("copied");
    std::fs::write(maildir.join("new/2"), report).expect("written");
    std::fs::write(maildir.join("new/3"), "Subject: away\r\n\r\nUntil Monday.\r\n").expect("written");
    let reply = format!("To: help+r{}@cascade.test\r\n\r\nThank you!\r\n", keys.sign_send(send));
    std::fs::write(maildir.join("new/4"), &reply).expect("written");
    std::fs::write(maildir.join("new/5"), format!("Auto-Submitted: auto-replied\r\n{reply}")).expect("written");
    let arguments = ["bounces", "--channel", "sms", "--maildir"].map(std::ffi::OsString::from);
    let said = shop.tool(arguments.into_iter().chain([maildir.clone().into_os_string()]));
    assert_eq!(said, "1 automatic\n1 bounced_hard\n1 failed\n1 no_report\n1 replied\n");
    assert_eq!(statuses(shop, "customer-1"), [Status::Failed]);
    let bounced = told(shop, "bea").into_iter().find(|feedback| feedback.status == Status::BouncedHard);
    assert_eq!(bounced.expect("its customer was looked up").code.as_deref(), Some("dsn_5.1.1"));
    let replies = shop.read(&shop.topics.reply());
    let replies = replies.iter().map(|record| record.decode::<Reply>());
    let written: Vec<String> = replies.filter(|reply| reply.provider == "bounces").map(|reply| reply.text).collect();
    assert_eq!(written, ["Thank you!"]);
    let left = |part: &str| std::fs::read_dir(maildir.join(part)).expect("a directory").count();
    assert_eq!((left("new"), left("cur")), (0, 5), "what is done is out of the way");
}
