//! Everybody's mailbox: an SMTP server on loopback that takes every mail and looks into it as a mail program would.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use mail_parser::MessageParser;
use mailin::{Action, Handler, Response, SessionBuilder, response};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::message::{Message, web_addresses};
use super::sandbox::Desk;

/// Longer lines are no SMTP, in bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Takes mail from now on. Gives back where.
pub async fn open(desk: Arc<Desk>, tasks: TaskTracker, end: CancellationToken) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen for mail")?;
    let address = listener.local_addr()?;
    let accepting = tasks.clone();
    accepting.spawn(async move {
        loop {
            let (stream, peer) = tokio::select! {
                () = end.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!("the inbox cannot take a connection: {error}");
                        continue;
                    }
                },
            };
            let (desk, end) = (Arc::clone(&desk), end.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = end.cancelled() => {}
                    talked = talk(stream, peer.ip(), desk) => {
                        if let Err(error) = talked {
                            tracing::debug!("a mail connection broke: {error}");
                        }
                    }
                }
            });
        }
    });
    Ok(address)
}

async fn talk(mut stream: TcpStream, peer: IpAddr, desk: Arc<Desk>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (incoming, mut outgoing) = stream.split();
    let mut lines = BufReader::new(incoming);
    let mut session = SessionBuilder::new("inbox.example.test").build(peer, Mailbox { desk, mail: Vec::new() });
    outgoing.write_all(&answer(&session.greeting())?).await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).await? == 0 || line.len() > LINE_BYTES_MAX {
            return Ok(());
        }
        let response = session.process(&line);
        match response.action {
            Action::NoReply => {}
            Action::Close => return outgoing.write_all(&answer(&response)?).await,
            _ => outgoing.write_all(&answer(&response)?).await?,
        }
    }
}

fn answer(response: &Response) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    response.write_to(&mut bytes)?;
    Ok(bytes)
}

struct Mailbox {
    desk: Arc<Desk>,
    mail: Vec<u8>,
}

impl Handler for Mailbox {
    /// Some mailboxes have been given up; who they are is a rule of `people`.
    fn rcpt(&mut self, to: &str) -> Response {
        match self.desk.takes("email", to) {
            true => response::OK,
            false => Response::custom(550, "5.1.1 Mailbox unavailable".to_owned()),
        }
    }

    fn data_start(&mut self, _domain: &str, _from: &str, _is8bit: bool, _to: &[String]) -> Response {
        self.mail.clear();
        response::OK
    }

    fn data(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.mail.extend_from_slice(line);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        match read(&self.mail) {
            Some(message) => {
                // Its answers never get lost.
                let _ = self.desk.take(message);
                response::OK
            }
            None => response::TRANSACTION_FAILED,
        }
    }
}

/// What a mail program finds in a mail.
fn read(mail: &[u8]) -> Option<Message> {
    let mail = MessageParser::default().parse(mail)?;
    let send_id = mail.message_id()?.split('@').next()?.to_owned();
    let page = mail.body_html(0).unwrap_or_default();
    let pixel = page.split("<img src=\"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
    let mut links = web_addresses(&page);
    links.retain(|link| Some(link) != pixel.as_ref());
    let unsubscribe = mail.header_raw("List-Unsubscribe").map(|value| value.trim().trim_matches(['<', '>']).to_owned());
    let address = mail.to().and_then(|to| to.first()).and_then(|to| to.address());
    let customer_id = address.and_then(|address| address.split('@').next()).map(str::to_owned);
    Some(Message { channel: "email".to_owned(), send_id, customer_id, pixel, links, unsubscribe, receipt_token: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "Message-ID: <0b9f@shop.test>\r\nTo: h1@example.test\r\nMIME-Version: 1.0\r\n\
        List-Unsubscribe: <http://t.test/u/abc>\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
        <p><a href=\"http://t.test/c/xyz\">Cart</a></p><img src=\"http://t.test/o/p.gif\" width=\"1\">\r\n";

    #[test]
    fn a_mail_program_finds_the_send_the_links_the_pixel_and_the_way_out() {
        let found = read(MAIL.as_bytes()).unwrap();
        assert_eq!((found.send_id.as_str(), found.customer_id.as_deref()), ("0b9f", Some("h1")));
        assert_eq!(found.pixel.as_deref(), Some("http://t.test/o/p.gif"));
        assert_eq!(found.links, ["http://t.test/c/xyz"]);
        assert_eq!(found.unsubscribe.as_deref(), Some("http://t.test/u/abc"));
    }

    #[tokio::test]
    async fn mail_that_comes_by_smtp_is_taken_once_however_often_it_comes() {
        use tokio::io::AsyncReadExt;
        let desk = Arc::new(Desk::new(super::super::chance::Chance::seeded(1)));
        let (tasks, end) = (TaskTracker::new(), CancellationToken::new());
        let address = open(Arc::clone(&desk), tasks.clone(), end.clone()).await.unwrap();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mail =
                format!("EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<h1@example.test>\r\nDATA\r\n{MAIL}.\r\nQUIT\r\n");
            stream.write_all(mail.as_bytes()).await.unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            assert!(said.contains("354 ") && said.contains("221 "), "{said}");
        }
        assert_eq!(desk.fresh().len(), 1);
        assert_eq!(desk.counts()["email"].doubled, 1);
        end.cancel();
        tasks.close();
        tasks.wait().await;
    }
}
