//! Plain questions by HTTP, and the one runtime that all doubles and questions share.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use tokio::runtime::{Builder, Runtime};

/// The runtime of this process. It ends with it.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a process can have a runtime")
    })
}

/// A client that follows no redirect and asks no proxy.
pub fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let builder = Client::builder().no_proxy().timeout(Duration::from_secs(20));
        builder.redirect(reqwest::redirect::Policy::none()).build().expect("the client's settings are right")
    })
}

/// The body of a page; none where nobody answers, or not with 200.
pub fn get(url: &str) -> Option<String> {
    match send(client().get(url))? {
        (StatusCode::OK, body) => Some(body),
        _ => None,
    }
}

/// Sends a request; none where nobody answers.
pub fn send(request: RequestBuilder) -> Option<(StatusCode, String)> {
    runtime().block_on(async {
        let response = request.send().await.ok()?;
        let status = response.status();
        Some((status, response.text().await.ok()?))
    })
}
