//! Peers of the transports that keep a session: a mail server and a message centre, which repeat what they were told in all that
//! they say.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::MARK;

/// Listens for as long as the set lives.
async fn serve<S>(session: impl Fn(TcpStream) -> S + Send + 'static) -> (u16, JoinSet<()>)
where
    S: Future<Output = Option<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut sessions = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            sessions.spawn(session(stream));
        }
    });
    (port, tasks)
}

/// What a mail server says: to which command, and what; nothing: it hangs up.
pub type Mail = (&'static str, &'static str);

/// Every moment at which a server can say no, and one at which it does not.
pub const MAILS: [Mail; 11] = [
    ("", ""),
    ("EHLO", "421 4.3.2"),
    ("AUTH", "535 5.7.8"),
    ("MAIL", "550 5.1.8"),
    ("RCPT", "550 5.1.1"),
    ("RCPT", "550 5.7.1"),
    ("RCPT", "452 4.2.2"),
    ("RCPT", ""),
    ("DATA", "554 5.6.0"),
    (".", "550 5.7.1"),
    (".", ""),
];

pub async fn mail((to, says): Mail) -> (u16, JoinSet<()>) {
    serve(move |stream| async move {
        let (input, mut output) = stream.into_split();
        let mut lines = BufReader::new(input).lines();
        output.write_all(b"220 peer\r\n").await.ok()?;
        let mut in_data = false;
        while let Ok(Some(line)) = lines.next_line().await {
            let command = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            if in_data && command != "." {
                continue;
            }
            if command == to {
                let repeated = format!("{says} {MARK} said: {line}\r\n");
                match says {
                    "" => return None,
                    _ => output.write_all(repeated.as_bytes()).await.ok()?,
                }
                in_data = false;
                continue;
            }
            let answer = match command.as_str() {
                "EHLO" => "250-peer\r\n250 AUTH PLAIN\r\n",
                "AUTH" => "235 2.7.0 in\r\n",
                "DATA" => "354 go on\r\n",
                _ => "250 2.0.0 MARKED is well\r\n",
            };
            in_data = command == "DATA";
            output.write_all(answer.as_bytes()).await.ok()?;
        }
        None
    })
    .await
}

/// Statuses of a message centre's answers: taken, and every way not to be; none: it hangs up.
pub const STATUSES: [Option<u32>; 9] =
    [Some(0), Some(0x0b), Some(0x14), Some(0x45), Some(0x58), Some(0x08), Some(0x0d), Some(0x0401), None];

pub async fn centre(status: Option<u32>) -> (u16, JoinSet<()>) {
    serve(move |mut stream| async move {
        loop {
            let mut head = [0; 16];
            stream.read_exact(&mut head).await.ok()?;
            let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
            let mut body = vec![0; usize::try_from(word(0)).ok()?.checked_sub(16)?];
            stream.read_exact(&mut body).await.ok()?;
            let (command, sequence) = (word(4), word(12));
            match (command, status) {
                (9, _) => stream.write_all(&frame(0x8000_0009, 0, sequence, b"peer\0")).await.ok()?,
                (4, None) => return None,
                (4, Some(0)) => {
                    stream.write_all(&frame(0x8000_0004, 0, sequence, b"id7\0")).await.ok()?;
                    let receipt =
                        format!("id:id7 sub:001 dlvrd:000 done date:{MARK} stat:REJECTD err:{MARK} text:{MARK}");
                    for (class, text) in [(4, receipt.as_str()), (4, MARK), (0, MARK), (0, "STOP MARKED")] {
                        stream.write_all(&frame(5, 0, 100, &delivered(class, text))).await.ok()?;
                    }
                }
                (4, Some(status)) => stream.write_all(&frame(0x8000_0004, status, sequence, b"\0")).await.ok()?,
                (command, _) if command < 0x8000_0000 => {
                    stream.write_all(&frame(command | 0x8000_0000, 0, sequence, b"")).await.ok()?;
                }
                _ => {}
            }
        }
    })
    .await
}

fn frame(command: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 16).unwrap();
    let head = [length, command, status, sequence].map(u32::to_be_bytes).concat();
    [head.as_slice(), body].concat()
}

/// What a phone, or the centre about one, says to us.
fn delivered(class: u8, text: &str) -> Vec<u8> {
    let (from, to) = (format!("{MARK}from\0"), b"Shop\0");
    let before = [b"\0\x01\x01".as_slice(), from.as_bytes(), b"\x05\x00", to, &[class, 0, 0], b"\0\0", &[0, 0, 0, 0]];
    let length = u8::try_from(text.len()).unwrap();
    [before.concat().as_slice(), &[length], text.as_bytes()].concat()
}
