//! Keeps a connection bound, and messages in flight on it.
//!
//! ```text
//! connect ─> bind ─> bound ── broken, unbound, silent ──> rest ─> connect …
//!    └────── refused ──────────────────────────────────────^
//! ```
//!
//! While it is bound, a message is written as soon as the window has room; what was written and has no answer when the connection
//! ends is lost: nobody knows whether it was taken. The pauses between trials grow to half a minute.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::FutureExt;
use rusmpp::pdus::{BindTransceiver, DataSmResp, DeliverSmResp, SubmitSm};
use rusmpp::types::COctetString;
use rusmpp::values::InterfaceVersion;
use rusmpp::{Command, CommandId, CommandStatus, Pdu};
use stream::clock::Tick;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::rustls::ClientConfig;

use super::inbound::{Inbound, Sent};
use super::link::{Frame, Link};
use super::{Config, status};
use crate::transport::Fate;

/// Pauses between trials, the first and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A connection that lived so long was good: the pauses begin anew.
const GOOD: Duration = Duration::from_secs(60);

/// A hand-over waits so long for a connection that is being made: the look at the withdrawals must not become too old.
const PATIENCE: Duration = Duration::from_millis(500);

/// An answer that comes so late still tells the id of its message.
const LATE: Duration = Duration::from_secs(600);

/// What of the configuration is secret or read from files.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) password: String,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// What came of a `submit_sm`.
#[derive(Debug)]
pub(super) enum Reply {
    /// The provider's answer, with its id of the message.
    Answered(CommandStatus, Option<String>),
    /// It was never written; why.
    NotSent(String),
    /// The connection ended before an answer.
    Lost,
    /// There was no answer in time.
    Silent,
    /// The answer does not say whether it was taken.
    Unclear,
}

struct Request {
    submission: SubmitSm,
    of: Sent,
    reply: oneshot::Sender<Reply>,
    /// It must not be written later.
    until: Tick,
    /// Set by who comes first: the keeper when it is about to write it, or the asker when it gives up.
    settled: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
enum State {
    Connecting,
    Bound,
    /// Why there is no connection.
    Down(String),
}

/// The session of a worker.
#[derive(Debug)]
pub(super) struct Session {
    requests: mpsc::Sender<Request>,
    state: watch::Receiver<State>,
    keeper: JoinSet<()>,
}

impl Session {
    /// Starts to connect. To be called inside a tokio runtime.
    pub(super) fn start(config: Config, login: Login, inbound: Inbound) -> Self {
        let (requests, asked) = mpsc::channel(config.window);
        let (told, state) = watch::channel(State::Connecting);
        let mut keeper = JoinSet::new();
        keeper.spawn(Keeper { config, login, inbound, asked, told }.keep());
        Session { requests, state, keeper }
    }

    /// Hands one over and waits for the answer, `until` then at most.
    pub(super) async fn submit(&self, submission: SubmitSm, of: Sent, until: Tick) -> Reply {
        let mut state = self.state.clone();
        let patience = PATIENCE.min(until.remaining());
        let connection = match timeout(patience, state.wait_for(|state| !matches!(state, State::Connecting))).await {
            Ok(Ok(state)) => state.clone(),
            Ok(Err(_)) | Err(_) => State::Down("connection".to_owned()),
        };
        if let State::Down(code) = connection {
            return Reply::NotSent(code);
        }
        let (reply, answer) = oneshot::channel();
        let asker = Asker(Arc::default());
        let settled = Arc::clone(&asker.0);
        match self.requests.try_send(Request { submission, of, reply, until, settled }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Reply::NotSent("window".to_owned()),
            Err(TrySendError::Closed(_)) => return Reply::NotSent("session".to_owned()),
        }
        match (timeout(until.remaining(), answer).await, asker.gives_up()) {
            (Ok(Ok(reply)), _) => reply,
            // What was dropped with the session is in doubt if it was written, and only then.
            (Ok(Err(_)), Written::Maybe) => Reply::Lost,
            (Ok(Err(_)), Written::Never) => Reply::NotSent("session".to_owned()),
            (Err(_), Written::Maybe) => Reply::Silent,
            (Err(_), Written::Never) => Reply::NotSent("queue".to_owned()),
        }
    }
}

/// Who waits for the answer to a request. Given up, also by being dropped in the midst of its call, it leaves nothing behind that could be
/// written later.
struct Asker(Arc<AtomicBool>);

/// Whether a request that nobody waits for any more was written.
#[derive(Clone, Copy)]
enum Written {
    /// It was about to be.
    Maybe,
    /// And it never will be.
    Never,
}

impl Asker {
    fn gives_up(&self) -> Written {
        if self.0.swap(true, Ordering::SeqCst) { Written::Maybe } else { Written::Never }
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.gives_up();
    }
}

impl Drop for Session {
    /// The keeper notices that nobody asks any more, says so to the other side and ends.
    fn drop(&mut self) {
        self.keeper.detach_all();
    }
}

/// Keeps the connection.
struct Keeper {
    config: Config,
    login: Login,
    inbound: Inbound,
    asked: mpsc::Receiver<Request>,
    told: watch::Sender<State>,
}

impl Keeper {
    async fn keep(mut self) {
        let mut pauses = pauses();
        loop {
            self.told.send_replace(State::Connecting);
            let began = Tick::now();
            let Some(code) = survived(self.connect()).await else { return };
            tracing::warn!(code, "there is no session with the message centre; it will be tried again");
            self.told.send_replace(State::Down(code.clone()));
            if began.elapsed() > GOOD {
                pauses = self::pauses();
            }
            let rest = sleep(pauses.next().unwrap_or(PAUSE.1));
            tokio::pin!(rest);
            loop {
                tokio::select! {
                    () = &mut rest => break,
                    request = self.asked.recv() => match request {
                        Some(Request { reply, .. }) => drop(reply.send(Reply::NotSent(code.clone()))),
                        None => return,
                    },
                }
            }
        }
    }

    /// Binds, and serves until that ends. Returns why it did; none if nobody wants it any more.
    async fn connect(&mut self) -> Option<String> {
        match timeout(Duration::from_secs(self.config.timeout_seconds), self.bind()).await {
            Ok(Ok(link)) => {
                tracing::info!("the message centre has bound us");
                self.told.send_replace(State::Bound);
                Bound::new(link, self).serve().await
            }
            Ok(Err(code)) => Some(code),
            Err(_) => Some("bind_timeout".to_owned()),
        }
    }

    /// # Errors
    /// The code of what went wrong.
    async fn bind(&self) -> Result<Link, String> {
        let broken = |_| "connection".to_owned();
        let mut link = Link::open(&self.config, self.login.tls.clone()).await.map_err(broken)?;
        let request = BindTransceiver::builder()
            .system_id(COctetString::from_str(&self.config.system_id).map_err(|_| "configuration")?)
            .password(COctetString::from_str(&self.login.password).map_err(|_| "configuration")?)
            .system_type(COctetString::from_str(&self.config.system_type).map_err(|_| "configuration")?)
            .interface_version(InterfaceVersion::Smpp3_4)
            .build();
        link.write(&Command::new(CommandStatus::EsmeRok, 1, request)).await.map_err(broken)?;
        loop {
            match link.read().await.map_err(broken)?.ok_or("connection")? {
                Frame::Whole(answer)
                    if matches!(answer.id(), CommandId::BindTransceiverResp | CommandId::GenericNack) =>
                {
                    return match answer.status() {
                        CommandStatus::EsmeRok if answer.id() == CommandId::BindTransceiverResp => Ok(link),
                        refused => Err(format!("bind_{}", status::code(refused))),
                    };
                }
                Frame::Unreadable(CommandId::BindTransceiverResp, ..) => return Err("bind_unreadable".to_owned()),
                // Whatever else comes before the answer has to be said again.
                Frame::Whole(_) | Frame::Unreadable(..) => {}
            }
        }
    }
}

/// What a session comes to, also if what the centre says makes it panic: the next one may fare better.
async fn survived(session: impl Future<Output = Option<String>>) -> Option<String> {
    AssertUnwindSafe(session).catch_unwind().await.unwrap_or_else(|_| Some("panicked".to_owned()))
}

fn is_ok(status: CommandStatus) -> bool {
    status == CommandStatus::EsmeRok
}

fn pauses() -> ExponentialBackoff {
    let builder = ExponentialBuilder::default().with_min_delay(PAUSE.0).with_max_delay(PAUSE.1);
    builder.with_jitter().without_max_times().build()
}

/// A connection while it is bound.
struct Bound<'a> {
    link: Link,
    keeper: &'a mut Keeper,
    pending: HashMap<u32, (oneshot::Sender<Reply>, Sent)>,
    /// Those that had no answer in time, and since when.
    late: HashMap<u32, (Sent, Tick)>,
    /// Words of the provider whose fate is not known yet.
    fates: JoinSet<(u32, CommandId, Fate)>,
    sequence: u32,
    /// When something came last.
    heard: Tick,
    /// When we asked whether it lives, and it has not said so yet.
    asked: Option<Tick>,
}

impl<'a> Bound<'a> {
    fn new(link: Link, keeper: &'a mut Keeper) -> Self {
        let (pending, late, fates) = (HashMap::new(), HashMap::new(), JoinSet::new());
        Bound { link, keeper, pending, late, fates, sequence: 1, heard: Tick::now(), asked: None }
    }

    /// Returns why it ended; none if nobody wants it any more.
    async fn serve(mut self) -> Option<String> {
        let ended = self.run().await;
        for (_, (reply, _)) in self.pending.drain() {
            drop(reply.send(Reply::Lost));
        }
        match ended {
            Err(code) => Some(code),
            Ok(()) => {
                let unbind = self.next_command(Pdu::Unbind);
                drop(timeout(PAUSE.0, self.link.write(&unbind)).await);
                None
            }
        }
    }

    async fn run(&mut self) -> Result<(), String> {
        let mut beat = interval(Duration::from_secs(1));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                frame = self.link.read() => match frame {
                    Ok(Some(frame)) => self.take(frame).await?,
                    Ok(None) | Err(_) => return Err("connection".to_owned()),
                },
                request = self.keeper.asked.recv(), if self.pending.len() < self.keeper.config.window => match request {
                    Some(request) => self.submit(request).await?,
                    None => return Ok(()),
                },
                Some(ended) = self.fates.join_next() => {
                    if let Ok((sequence, id, fate)) = ended {
                        self.acknowledge(sequence, id, fate).await?;
                    }
                }
                _ = beat.tick() => self.beat().await?,
            }
        }
    }

    fn next_command(&mut self, pdu: impl Into<Pdu>) -> Command {
        // The standard's range; the bind was the first.
        self.sequence = if self.sequence >= 0x7fff_ffff { 1 } else { self.sequence + 1 };
        Command::new(CommandStatus::EsmeRok, self.sequence, pdu)
    }

    async fn write(&mut self, command: &Command) -> Result<(), String> {
        let patience = Duration::from_secs(self.keeper.config.timeout_seconds);
        match timeout(patience, self.link.write(command)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err("connection".to_owned()),
        }
    }

    async fn submit(&mut self, request: Request) -> Result<(), String> {
        // Whoever has given up counts it as not taken already: it must not go out behind that.
        if request.settled.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        // A process that stood still wakes up here, too, and its asker may come later.
        if request.until.remaining().is_zero() {
            drop(request.reply.send(Reply::NotSent("queue".to_owned())));
            return Ok(());
        }
        let command = self.next_command(request.submission);
        self.pending.insert(self.sequence, (request.reply, request.of));
        self.write(&command).await
    }

    /// Asks whether the other side lives, and gives up where it does not say so.
    async fn beat(&mut self) -> Result<(), String> {
        let given_up = self.pending.extract_if(|_, (reply, _)| reply.is_closed());
        self.late.extend(given_up.map(|(sequence, (_, of))| (sequence, (of, Tick::now()))));
        self.late.retain(|_, (_, since)| since.elapsed() < LATE);
        let config = &self.keeper.config;
        if self.asked.is_some_and(|asked| asked.elapsed() > Duration::from_secs(config.timeout_seconds)) {
            return Err("silent".to_owned());
        }
        if self.asked.is_none() && self.heard.elapsed() >= Duration::from_secs(config.enquire_link_seconds) {
            self.asked = Some(Tick::now());
            let enquiry = self.next_command(Pdu::EnquireLink);
            self.write(&enquiry).await?;
        }
        Ok(())
    }

    async fn take(&mut self, frame: Frame) -> Result<(), String> {
        (self.heard, self.asked) = (Tick::now(), None);
        let command = match frame {
            Frame::Whole(command) => *command,
            Frame::Unreadable(CommandId::SubmitSmResp, status, sequence) => {
                // An error is said in the header, whatever stands behind it; that it was taken needs an id that can be read.
                self.reply(sequence, if is_ok(status) { Reply::Unclear } else { Reply::Answered(status, None) });
                return Ok(());
            }
            Frame::Unreadable(id, _, sequence) => {
                tracing::warn!(?id, "the message centre says what cannot be read");
                return match id {
                    CommandId::DeliverSm | CommandId::DataSm => self.acknowledge(sequence, id, Fate::Useless).await,
                    _ => Ok(()),
                };
            }
        };
        let (sequence, status) = (command.sequence_number(), command.status());
        match command.pdu() {
            Some(Pdu::SubmitSmResp(response)) => {
                let id = Some(response.message_id().as_str().to_owned()).filter(|id| !id.is_empty());
                self.reply(sequence, Reply::Answered(status, id));
            }
            Some(Pdu::DeliverSm(_) | Pdu::DataSm(_)) => self.hear(&command),
            Some(Pdu::EnquireLink) => self.answer(sequence, CommandStatus::EsmeRok, Pdu::EnquireLinkResp).await?,
            Some(Pdu::Unbind) => {
                self.answer(sequence, CommandStatus::EsmeRok, Pdu::UnbindResp).await?;
                return Err("unbound".to_owned());
            }
            // An error needs no body, so the codec tells it by its name alone.
            _ if matches!(command.id(), CommandId::SubmitSmResp | CommandId::GenericNack) => {
                let nothing = command.id() == CommandId::GenericNack && is_ok(status);
                self.reply(sequence, if nothing { Reply::Unclear } else { Reply::Answered(status, None) });
            }
            _ if u32::from(command.id()) & 0x8000_0000 != 0 => {}
            _ => self.answer(sequence, CommandStatus::EsmeRinvcmdid, Pdu::GenericNack).await?,
        }
        Ok(())
    }

    fn reply(&mut self, sequence: u32, reply: Reply) {
        let pending = self.pending.remove(&sequence);
        let (reply, of) = match pending {
            Some((asked, of)) => match asked.send(reply) {
                Ok(()) => return,
                Err(reply) => (reply, Some(of)),
            },
            None => (reply, self.late.remove(&sequence).map(|(of, _)| of)),
        };
        tracing::info!("an answer of the message centre came too late, or twice");
        // The outcome is told already, but receipts will name this id.
        if let (Reply::Answered(status, Some(id)), Some(of)) = (reply, of)
            && is_ok(status)
        {
            self.keeper.inbound.named(id, of);
        }
    }

    async fn answer(&mut self, sequence: u32, status: CommandStatus, pdu: impl Into<Pdu>) -> Result<(), String> {
        self.write(&Command::new(status, sequence, pdu)).await
    }

    /// A receipt or a reply. It is acknowledged once its fate is known, and the connection goes on meanwhile.
    fn hear(&mut self, command: &Command) {
        let (sequence, id) = (command.sequence_number(), command.id());
        let fate = self.keeper.inbound.hear(command);
        self.fates.spawn(async move { (sequence, id, fate.await) });
    }

    async fn acknowledge(&mut self, sequence: u32, id: CommandId, fate: Fate) -> Result<(), String> {
        let status = match fate {
            Fate::Kept | Fate::Useless => CommandStatus::EsmeRok,
            Fate::Again => CommandStatus::EsmeRxTAppn,
        };
        match id {
            CommandId::DataSm => self.answer(sequence, status, DataSmResp::default()).await,
            _ => self.answer(sequence, status, DeliverSmResp::default()).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::smpp::submission;
    use crate::transport::smpp::tests::{config, message};

    /// A session whose keeper is the test.
    fn bound() -> (Session, mpsc::Receiver<Request>) {
        let (requests, asked) = mpsc::channel(2);
        let (_, state) = watch::channel(State::Bound);
        (Session { requests, state, keeper: JoinSet::new() }, asked)
    }

    async fn submit(session: &Session) -> Reply {
        let one = submission::of(&message("a"), &config(1)).unwrap().remove(0);
        session.submit(one, ("send".to_owned(), "c1".to_owned()), Tick::now().after(Duration::from_millis(100))).await
    }

    /// What comes of a request that the keeper takes up so.
    async fn taken_up(by: impl AsyncFnOnce(Request)) -> Reply {
        let (session, mut asked) = bound();
        let keeper = async {
            by(asked.recv().await.unwrap()).await;
        };
        tokio::join!(submit(&session), keeper).0
    }

    #[tokio::test]
    async fn what_goes_with_the_session_is_in_doubt_if_it_was_written_and_only_then() {
        assert!(matches!(taken_up(async |request| drop(request)).await, Reply::NotSent(code) if code == "session"));
        let written = async |request: Request| assert!(!request.settled.swap(true, Ordering::SeqCst));
        assert!(matches!(taken_up(written).await, Reply::Lost));
        let (session, asked) = bound();
        drop(asked);
        assert!(matches!(submit(&session).await, Reply::NotSent(code) if code == "session"));
    }

    #[tokio::test]
    async fn what_waits_too_long_is_in_doubt_if_it_was_written_and_is_not_written_later() {
        let late = Duration::from_millis(300);
        let kept = async |request: Request| {
            sleep(late).await;
            assert!(request.settled.swap(true, Ordering::SeqCst), "it must not be written any more");
        };
        assert!(matches!(taken_up(kept).await, Reply::NotSent(code) if code == "queue"));
        let written = async |request: Request| {
            request.settled.store(true, Ordering::SeqCst);
            sleep(late).await;
        };
        assert!(matches!(taken_up(written).await, Reply::Silent));
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_while_it_waits_for_the_window_is_never_written() {
        let (session, mut asked) = bound();
        assert!(timeout(Duration::from_millis(20), submit(&session)).await.is_err(), "the lease has ended");
        let request = asked.recv().await.unwrap();
        assert!(request.settled.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_session_that_panics_is_one_that_ended() {
        async fn panics() -> Option<String> {
            panic!("a frame that nobody thought of")
        }
        assert_eq!(survived(panics()).await.as_deref(), Some("panicked"));
        assert_eq!(survived(async { None }).await, None);
    }
}
