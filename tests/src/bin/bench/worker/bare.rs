//! The bare clients: so many calls at once in a loop, and nothing else. By HTTP with the library that the worker has, by SMTP and SMPP
//! with the bytes alone, so that no library can be slower than a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::json;
use stream::clock::Tick;
use system_tests::commands::TEMPLATE;
use system_tests::cpu;
use system_tests::http::client;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::doubles::{ANSWER, BIND_TRANSCEIVER, SUBMIT, packed, unit};
use super::{CALLS, Protocol};
use crate::relay::Spent;

/// What a process of the bare client is to do.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Calls {
    pub protocol: Protocol,
    pub address: String,
    pub count: usize,
}

/// Does it, and says what it took.
pub fn call(order: &str) -> String {
    let calls: Calls = serde_json::from_str(order).expect("an order is JSON");
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("there is a thread left");
    let (begun, cpu_before) = (Tick::now(), cpu::seconds_of("self"));
    runtime.block_on(async {
        let next = Arc::<AtomicUsize>::default();
        match calls.protocol {
            Protocol::Http => in_loops(&calls, &next, http).await,
            Protocol::Smtp => in_loops(&calls, &next, smtp).await,
            Protocol::Smpp => smpp(&calls).await,
        }
    });
    let wall_seconds = begun.elapsed().as_secs_f64();
    let spent = Spent { cpu_seconds: cpu::seconds_of("self") - cpu_before, wall_seconds };
    serde_json::to_string(&spent).expect("it is JSON")
}

/// Each loop takes the next message until there is none.
async fn in_loops<F: Future<Output = ()> + Send + 'static>(
    calls: &Calls,
    next: &Arc<AtomicUsize>,
    one: fn(Calls, Arc<AtomicUsize>) -> F,
) {
    let mut loops = JoinSet::new();
    (0..CALLS).for_each(|_| _ = loops.spawn(one(calls.clone(), Arc::clone(next))));
    loops.join_all().await;
}

fn taken(calls: &Calls, next: &AtomicUsize) -> Option<usize> {
    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < calls.count)
}

async fn http(calls: Calls, next: Arc<AtomicUsize>) {
    let url = format!("http://{}/", calls.address);
    while let Some(number) = taken(&calls, &next) {
        let body = json!({"send_id": number.to_string(), "to": "somebody", "text": TEMPLATE});
        let answer = client().post(&url).json(&body).send().await.expect("the provider answers");
        assert!(answer.status().is_success());
        answer.bytes().await.expect("it says its id");
    }
}

async fn smtp(calls: Calls, next: Arc<AtomicUsize>) {
    let stream = TcpStream::connect(&calls.address).await.expect("the server is there");
    stream.set_nodelay(true).expect("it is a connection");
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut answer = async || loop {
        let line = lines.next_line().await.expect("it is there").expect("it goes on");
        if line.as_bytes().get(3) != Some(&b'-') {
            return line;
        }
    };
    answer().await;
    write.write_all(b"EHLO bare\r\n").await.expect("it is there");
    answer().await;
    while let Some(number) = taken(&calls, &next) {
        let mail = format!(
            "Message-ID: <{number}@bare.test>\r\nFrom: The Shop <news@shop.test>\r\nTo: somebody@example.test\r\n\
             Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{TEMPLATE}\r\n.\r\n"
        );
        let lines =
            ["MAIL FROM:<news@shop.test>\r\n", "RCPT TO:<somebody@example.test>\r\n", "DATA\r\n", mail.as_str()];
        for line in lines {
            write.write_all(line.as_bytes()).await.expect("it is there");
            let said = answer().await;
            assert!(said.starts_with('2') || said.starts_with('3'), "{said}");
        }
    }
}

/// One session, with so many messages without an answer.
async fn smpp(calls: &Calls) {
    let stream = TcpStream::connect(&calls.address).await.expect("the centre is there");
    stream.set_nodelay(true).expect("it is a connection");
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut say = async |command: u32, number: usize, body: &[u8]| {
        let number = u32::try_from(number).expect("there are few");
        write.write_all(&packed(command, number, body)).await.expect("it is there");
    };
    say(BIND_TRANSCEIVER, 1, b"bare\0secret\0\0\x34\0\0\0").await;
    unit(&mut read).await.expect("it answers");
    let mut body = b"\0\x05\0SHOP\0\x01\x0179001234567\0\0\0\0\0\0\0\0\0\0".to_vec();
    body.push(u8::try_from(TEMPLATE.len()).expect("it is short"));
    body.extend(TEMPLATE.as_bytes());
    let mut sent = 0;
    for answered in 0..calls.count {
        while sent < calls.count && sent < answered + CALLS {
            say(SUBMIT, 2 + sent, &body).await;
            sent += 1;
        }
        let (command, ..) = unit(&mut read).await.expect("it answers");
        assert_eq!(command, SUBMIT | ANSWER);
    }
}
