//! Providers that take everything, each message after a pause, and count: by SMTP and by SMPP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use system_tests::http::runtime;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Commands of SMPP 3.4; an answer has the highest bit, too.
pub const BIND_TRANSCEIVER: u32 = 0x0000_0009;
pub const SUBMIT: u32 = 0x0000_0004;
pub const ANSWER: u32 = 0x8000_0000;

/// Length, command, status, number.
pub const HEAD: usize = 16;

/// Such a provider.
#[derive(Debug)]
pub struct Double {
    pub address: SocketAddr,
    taken: Arc<AtomicUsize>,
}

impl Double {
    /// A mail server.
    pub fn smtp(pause: Duration) -> Self {
        Self::open(move |stream, taken| async move {
            _ = mail(stream, pause, &taken).await;
        })
    }

    /// A message centre.
    pub fn smpp(pause: Duration) -> Self {
        Self::open(move |stream, taken| async move {
            _ = centre(stream, pause, &taken).await;
        })
    }

    fn open<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(TcpStream, Arc<AtomicUsize>) -> F + Send + 'static,
    ) -> Self {
        let taken = Arc::<AtomicUsize>::default();
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let counted = Arc::clone(&taken);
        drop(runtime().spawn(async move {
            let mut served = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                _ = stream.set_nodelay(true);
                served.spawn(serve(stream, Arc::clone(&counted)));
            }
        }));
        Double { address, taken }
    }

    /// Messages that were taken and answered.
    pub fn answered(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

async fn mail(stream: TcpStream, pause: Duration, taken: &AtomicUsize) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 double ESMTP\r\n").await?;
    let mut is_data = false;
    while let Some(line) = lines.next_line().await? {
        let word = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
        let answer: &[u8] = match (is_data, word.as_str()) {
            (true, ".") => {
                is_data = false;
                tokio::time::sleep(pause).await;
                taken.fetch_add(1, Ordering::SeqCst);
                b"250 2.0.0 taken\r\n"
            }
            (true, _) => continue,
            (false, "EHLO") => b"250-double\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n",
            (false, "DATA") => {
                is_data = true;
                b"354 go on\r\n"
            }
            (false, "QUIT") => b"221 2.0.0 bye\r\n",
            (false, _) => b"250 2.0.0 well\r\n",
        };
        write.write_all(answer).await?;
    }
    Ok(())
}

async fn centre(stream: TcpStream, pause: Duration, taken: &Arc<AtomicUsize>) -> std::io::Result<()> {
    let (mut read, mut write) = stream.into_split();
    let (say, mut said) = mpsc::unbounded_channel::<Vec<u8>>();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Some(bytes) = said.recv().await {
            if write.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    loop {
        while tasks.try_join_next().is_some() {}
        let (command, number, _) = unit(&mut read).await?;
        match command {
            SUBMIT => {
                let (say, taken) = (say.clone(), Arc::clone(taken));
                tasks.spawn(async move {
                    tokio::time::sleep(pause).await;
                    taken.fetch_add(1, Ordering::SeqCst);
                    _ = say.send(packed(SUBMIT | ANSWER, number, format!("{number:x}\0").as_bytes()));
                });
            }
            command if command & ANSWER == 0 => {
                let body: &[u8] = if command == BIND_TRANSCEIVER { b"double\0" } else { b"" };
                _ = say.send(packed(command | ANSWER, number, body));
            }
            _ => {}
        }
    }
}

/// A unit of SMPP, with the status that all is well.
pub fn packed(command: u32, number: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEAD + body.len()).expect("it is short");
    let head = [length, command, 0, number].map(u32::to_be_bytes).concat();
    [&head, body].concat()
}

/// The next one: command, number, body.
pub async fn unit(read: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<(u32, u32, Vec<u8>)> {
    let (length, command) = (read.read_u32().await?, read.read_u32().await?);
    let (_, number) = (read.read_u32().await?, read.read_u32().await?);
    let mut body = vec![0; usize::try_from(length).unwrap_or_default().saturating_sub(HEAD)];
    read.read_exact(&mut body).await?;
    Ok((command, number, body))
}
