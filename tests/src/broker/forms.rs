//! What a test's Kafka is made of.

use std::fmt::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use super::node::Plan;
use super::toxiproxy::Way;

/// Brokers to be started, and how they are reached.
pub struct Form {
    pub nodes: Vec<Plan>,
    /// None for what the only one writes down.
    pub address: Option<String>,
    /// None for the same.
    pub cascade_address: Option<String>,
    /// Without TLS and passwords; none for the same.
    pub plain_address: Option<String>,
    pub properties: Vec<(&'static str, String)>,
    pub proxied: Option<Way>,
}

const USER: &str = "cascade";
const PASSWORD: &str = "a-password-for-tests";

/// Of a lone broker, see `deploy/kafka/server.properties`. Of three, what has to hold when one of them is gone.
const THREE: &str = "\
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
default.replication.factor=3
min.insync.replicas=2
controller.quorum.election.timeout.ms=1000
controller.quorum.fetch.timeout.ms=2000
";

impl Form {
    /// The one of this name.
    pub fn named(dir: &Path, name: &str) -> Self {
        match name {
            "one" => Form::single(dir),
            "three" => Form::three(dir, false),
            "secured" => Form::three(dir, true),
            "proxied" => Form::proxied(dir),
            other => panic!("CASCADE_KAFKA={other}: there are one, three, secured and proxied"),
        }
    }

    fn single(dir: &Path) -> Self {
        let node = Plan { dir: dir.to_owned(), port: None, settings: None, format: None };
        Form {
            nodes: vec![node],
            address: None,
            cascade_address: None,
            plain_address: None,
            properties: Vec::new(),
            proxied: None,
        }
    }

    fn three(dir: &Path, is_secured: bool) -> Self {
        let ids = [1, 2, 3];
        let ports = free_ports();
        let [plain, control, secured]: [[u16; 3]; 3] = [0, 3, 6].map(|from| [0, 1, 2].map(|id| ports[from + id]));
        let voters: Vec<String> = ids.iter().zip(control).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
        let mut properties = Vec::new();
        if is_secured {
            make_certificates(dir);
            properties = vec![
                ("security.protocol", "SASL_SSL".to_owned()),
                ("sasl.mechanism", "SCRAM-SHA-256".to_owned()),
                ("sasl.username", USER.to_owned()),
                ("sasl.password", PASSWORD.to_owned()),
                ("ssl.ca.location", dir.join("ca.pem").display().to_string()),
            ];
        }
        let node = |index: usize| {
            let (id, plain, control, secured) = (ids[index], plain[index], control[index], secured[index]);
            let listener = if is_secured { format!(",SECURED://127.0.0.1:{secured}") } else { String::new() };
            let mut settings = format!(
                "node.id={id}\ncontroller.quorum.voters={}\nlisteners=PLAINTEXT://127.0.0.1:{plain}{listener},CONTROLLER://127.0.0.1:{control}\n\
                 advertised.listeners=PLAINTEXT://127.0.0.1:{plain}{listener}\n{THREE}",
                voters.join(",")
            );
            if is_secured {
                let dir = dir.display();
                let _ = write!(
                    settings,
                    "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL\n\
                     sasl.enabled.mechanisms=SCRAM-SHA-256\n\
                     listener.name.secured.scram-sha-256.sasl.jaas.config=\
                     org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
                     ssl.keystore.type=PEM\nssl.keystore.location={dir}/broker.pem\nssl.truststore.type=PEM\n\
                     ssl.truststore.location={dir}/ca.pem\n"
                );
            }
            let scram = format!("--add-scram SCRAM-SHA-256=[name={USER},password={PASSWORD}]");
            Plan {
                dir: dir.join(format!("node-{id}")),
                port: Some(plain),
                settings: Some(settings),
                format: Some(if is_secured { scram } else { " ".to_owned() }),
            }
        };
        let reached = |ports: [u16; 3]| ports.map(|port| format!("127.0.0.1:{port}")).join(",");
        Form {
            nodes: (0..3).map(node).collect(),
            address: Some(reached(if is_secured { secured } else { plain })),
            cascade_address: None,
            plain_address: Some(reached(plain)),
            properties,
            proxied: None,
        }
    }

    fn proxied(dir: &Path) -> Self {
        let [plain, behind, proxy, control, api, ..] = free_ports();
        let settings = format!(
            "listeners=PLAINTEXT://127.0.0.1:{plain},PROXIED://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{control}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{plain},PROXIED://127.0.0.1:{proxy}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
        );
        let node = Plan { dir: dir.to_owned(), port: Some(plain), settings: Some(settings), format: None };
        Form {
            nodes: vec![node],
            address: Some(format!("127.0.0.1:{plain}")),
            cascade_address: Some(format!("127.0.0.1:{proxy}")),
            plain_address: None,
            properties: Vec::new(),
            proxied: Some(Way { from: proxy, to: behind, api }),
        }
    }
}

/// Ports that nobody has now. Brokers that know each other have to know their ports before.
fn free_ports() -> [u16; 9] {
    let bound = [(); 9].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    bound.map(|listener| listener.local_addr().expect("it is bound").port())
}

/// An authority, and what the brokers show: key, certificate and authority in one file.
fn make_certificates(dir: &Path) {
    let made = Command::new("bash").args(["-euc", CERTIFICATES]).current_dir(dir).output().expect("bash is there");
    assert!(made.status.success(), "openssl made no certificates: {}", String::from_utf8_lossy(&made.stderr));
}

const CERTIFICATES: &str = r#"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj "/CN=tests"
openssl req -newkey rsa:2048 -nodes -keyout broker.key -out broker.csr -subj "/CN=127.0.0.1"
printf 'subjectAltName=IP:127.0.0.1,DNS:localhost' >san
openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out broker.crt -days 2 -extfile san
openssl pkcs8 -topk8 -nocrypt -in broker.key >broker.pem
cat broker.crt ca.pem >>broker.pem
"#;
