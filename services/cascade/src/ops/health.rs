//! `cascade health`: asks the ops endpoint of a running service, for containers that have no shell.

use std::path::PathBuf;
use std::time::Duration;

use crate::failure::{Exit, Failure};

/// Which service to ask, and what.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address of the ops endpoint, host:port
    #[arg(long, env = "CASCADE_OPS_LISTEN", required_unless_present = "ops_port_file")]
    address: Option<String>,
    /// File that holds the address instead
    #[arg(long, env = "CASCADE_OPS_PORT_FILE")]
    ops_port_file: Option<PathBuf>,
    /// Ask whether it is ready rather than whether it is healthy
    #[arg(long)]
    ready: bool,
}

/// Longer than this an answer is as good as none.
const PATIENCE: Duration = Duration::from_secs(3);

/// Prints the answer.
///
/// # Errors
/// `Unexpected` (exit code 1, as containers expect it) unless the answer is yes.
pub fn run(args: &Args) -> Result<String, Failure> {
    let address = match (&args.ops_port_file, &args.address) {
        (Some(path), _) => std::fs::read_to_string(path).map_err(|error| {
            let path = path.display();
            Failure::new(Exit::Unexpected, format!("cannot read {path} ({error}): the service has not started yet"))
        })?,
        (None, address) => address.clone().unwrap_or_default(),
    };
    let question = if args.ready { "ready" } else { "health" };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::unexpected)?;
    runtime.block_on(ask(&format!("http://{}/{question}", address.trim())))
}

async fn ask(url: &str) -> Result<String, Failure> {
    let unreachable = |error: reqwest::Error| {
        let why = error.without_url();
        Failure::new(Exit::Unexpected, format!("no answer from {url} ({why}): is the service running?"))
    };
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().map_err(Failure::unexpected)?;
    let answer = client.get(url).send().await.map_err(unreachable)?;
    let status = answer.status();
    let text = answer.text().await.map_err(unreachable)?;
    match status.is_success() {
        true => Ok(text),
        false => Err(Failure::new(Exit::Unexpected, text.trim_end())),
    }
}
