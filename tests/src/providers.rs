//! The providers' side: a gateway that takes JSON by HTTP, and a mail server. They write down everything they get.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use mail_parser::MessageParser;
use serde::Deserialize;
use serde_json::json;

use crate::http::runtime;

/// A message that a provider was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handed {
    /// The channel.
    pub channel: String,
    /// The command's id: the idempotency key, or the local part of a mail's message id.
    pub send_id: String,
    /// Where to.
    pub to: String,
    /// Subject or title.
    pub title: String,
    /// The text.
    pub text: String,
    /// The page of a mail.
    pub html: String,
    /// Header `List-Unsubscribe`, without the brackets.
    pub unsubscribe: String,
    /// What receipts about it carry.
    pub receipt_token: String,
}

/// How a provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Takes it.
    Take,
    /// Says that it never will.
    Refuse,
    /// Says that it cannot now.
    Busy,
    /// Says nothing, as long as it is so; a mail server does not even greet.
    Silence,
}

/// All providers of an installation.
#[derive(Clone, Debug)]
pub struct Providers {
    /// The gateway's address.
    pub gateway: SocketAddr,
    /// The mail server's address.
    pub mail: SocketAddr,
    desk: Arc<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    handed: Mutex<Vec<Handed>>,
    answers: Mutex<BTreeMap<String, Answer>>,
    /// Connections that were not greeted yet.
    ungreeted: AtomicUsize,
}

impl Providers {
    /// Opens both.
    pub fn open() -> Self {
        let desk = Arc::new(Desk::default());
        Providers { gateway: gateway(Arc::clone(&desk)), mail: mail(Arc::clone(&desk)), desk }
    }

    /// Everything that was taken, in the order in which it came.
    pub fn handed(&self) -> Vec<Handed> {
        self.desk.handed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connections to the mail server that it has not greeted yet.
    pub fn ungreeted(&self) -> usize {
        self.desk.ungreeted.load(Ordering::SeqCst)
    }

    /// From now on this channel's provider answers so.
    pub fn answer(&self, channel: &str, answer: Answer) {
        self.desk.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.to_owned(), answer);
    }
}

impl Desk {
    fn answer(&self, channel: &str) -> Answer {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(channel).copied().unwrap_or(Answer::Take)
    }

    fn take(&self, handed: Handed) {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner).push(handed);
    }
}

/// Who is silent looks so often whether that is over.
const GLANCE: Duration = Duration::from_millis(1);

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

#[derive(Deserialize)]
struct Body {
    send_id: String,
    to: String,
    text: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    receipt_token: String,
}

fn gateway(desk: Arc<Desk>) -> SocketAddr {
    let (listener, address) = listen();
    listener.set_nonblocking(true).expect("it is a socket");
    let routes = Router::new().route("/{channel}", post(take)).with_state(desk);
    let _inside = runtime().enter();
    let listener = tokio::net::TcpListener::from_std(listener).expect("it does not block");
    drop(runtime().spawn(async move { axum::serve(listener, routes).await }));
    address
}

async fn take(State(desk): State<Arc<Desk>>, Path(channel): Path<String>, Json(body): Json<Body>) -> Response {
    while desk.answer(&channel) == Answer::Silence {
        tokio::time::sleep(GLANCE).await;
    }
    match desk.answer(&channel) {
        Answer::Take | Answer::Silence => {}
        Answer::Refuse => return (StatusCode::BAD_REQUEST, Json(json!({"code": "no_such_number"}))).into_response(),
        Answer::Busy => return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response(),
    }
    let provider_id = format!("{channel}-{}", body.send_id);
    let Body { send_id, to, text, title, receipt_token } = body;
    desk.take(Handed { channel, send_id, to, title, text, receipt_token, ..Handed::default() });
    Json(json!({"provider_id": provider_id})).into_response()
}

fn mail(desk: Arc<Desk>) -> SocketAddr {
    let (listener, address) = listen();
    let serve = move || {
        for stream in listener.incoming().flatten() {
            let session = Session { desk: Arc::clone(&desk), to: String::new(), data: Vec::new() };
            // A connection that breaks is the client's affair.
            let talk = move || drop(serve_mail(stream, session));
            stream::thread::spawn("mail", talk).expect("there is a thread left");
        }
    };
    stream::thread::spawn("mail server", serve).expect("there is a thread left");
    address
}

fn serve_mail(stream: std::net::TcpStream, session: Session) -> std::io::Result<()> {
    use std::io::{BufRead, BufReader, Write};
    let peer = stream.peer_addr()?.ip();
    session.desk.ungreeted.fetch_add(1, Ordering::SeqCst);
    while session.desk.answer("email") == Answer::Silence {
        std::thread::park_timeout(GLANCE);
    }
    session.desk.ungreeted.fetch_sub(1, Ordering::SeqCst);
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    let mut session = mailin::SessionBuilder::new("inbox.test").build(peer, session);
    session.greeting().write_to(&mut out)?;
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let response = session.process(&line);
        line.clear();
        match response.action {
            mailin::Action::NoReply => {}
            mailin::Action::Close => return response.write_to(&mut out),
            mailin::Action::Reply | mailin::Action::UpgradeTls => response.write_to(&mut out)?,
        }
        out.flush()?;
    }
    Ok(())
}

/// One mail being taken.
struct Session {
    desk: Arc<Desk>,
    to: String,
    data: Vec<u8>,
}

impl mailin::Handler for Session {
    fn rcpt(&mut self, to: &str) -> mailin::Response {
        self.to = to.to_owned();
        match self.desk.answer("email") {
            Answer::Take | Answer::Silence => mailin::response::OK,
            Answer::Refuse => mailin::response::NO_MAILBOX,
            Answer::Busy => mailin::Response::custom(450, "later".to_owned()),
        }
    }

    fn data(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.data.extend_from_slice(line);
        Ok(())
    }

    fn data_end(&mut self) -> mailin::Response {
        let data = std::mem::take(&mut self.data);
        self.desk.take(read_mail(&self.to, &data));
        mailin::response::OK
    }
}

fn read_mail(to: &str, data: &[u8]) -> Handed {
    let mail = MessageParser::default().parse(data).expect("a mail that can be read");
    let id = mail.message_id().unwrap_or_default();
    let unsubscribe = mail.header_raw("List-Unsubscribe").unwrap_or_default().trim();
    Handed {
        channel: "email".to_owned(),
        send_id: id.split('@').next().unwrap_or_default().to_owned(),
        to: to.to_owned(),
        title: mail.subject().unwrap_or_default().to_owned(),
        text: mail.body_text(0).unwrap_or_default().into_owned(),
        html: mail.body_html(0).unwrap_or_default().into_owned(),
        unsubscribe: unsubscribe.trim_matches(['<', '>']).to_owned(),
        receipt_token: String::new(),
    }
}
