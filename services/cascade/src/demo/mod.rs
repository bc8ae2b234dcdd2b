//! `cascade demo`: lives through a real grocer's year with everything that Cascade is made of.
//!
//! *What is real.* The purchases; Kafka; every service, in a process of its own; SMTP and HTTP between them and the outside.
//!
//! *What is made up*, by seeded rules that stand in the modules that apply them: carts and addresses ([`world`],
//! [`household`]), providers and their failures ([`sandbox`], [`inbox`]), how people react ([`people`]), and how fast time goes by
//! ([`driver`]).
//!
//! *Limits.* One machine; everything on loopback; nothing is kept unless `--keep` says so.

mod chance;
mod shop;
mod household;
mod world;
mod supervisor;
mod settings;
mod message;
mod sandbox;
mod inbox;
mod people;
mod edge;
mod pipeline;
mod tally;
mod driver;
mod screen;
mod summary;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use campaign::{Channel, Plan, Prices};
use jiff::civil::Date;
use schemas::{Millis, Topics};
use stream::clock::{Clock, Tick};
use stream::kafka::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::campaigns::documents::{self, Document, Kind};
use crate::failure::{Exit, Failure};
use chance::Chance;
use driver::{Driver, Log, Story};
use edge::Edge;
use people::Agenda;
use pipeline::Pipeline;
use sandbox::Desk;
use screen::{Screen, say};
use settings::{CHANNELS, Places};
use supervisor::{Directory, Supervisor};
use world::{Happening, World};

/// Partitions of the demo's topics. Each more makes each transaction dearer for the one broker.
const PARTITIONS: i32 = 2;

/// So much of a customer's story is told at the end.
const STORY_LINES: usize = 40;

/// Which part of the year, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// First day, as the shop counts days
    #[arg(long, value_name = "DATE", default_value = "2017-04-01")]
    from: Date,
    /// The day after the last one
    #[arg(long, value_name = "DATE", default_value = "2017-07-01")]
    to: Date,
    /// End after so many events of the shop
    #[arg(long, value_name = "N")]
    events: Option<NonZeroUsize>,
    /// Length of a tick, in minutes of business time
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=1440))]
    tick: i64,
    /// Another seed makes other carts, other addresses and other people
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Use these brokers instead of a private one; topics get a prefix of their own
    #[arg(long, value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// Directory with data, campaigns, templates and the way to start Kafka
    #[arg(long, value_name = "DIR", default_value = "deploy")]
    deploy: PathBuf,
    /// What goes into the services' logs: a level, or directives such as warn,channels=debug
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log_level: String,
    /// Keep logs, settings and state of the run, and say where
    #[arg(long)]
    keep: bool,
    /// Leave everything running at the end, to look around, until Ctrl-C
    #[arg(long)]
    stay: bool,
}

/// Runs the demo to its end.
///
/// # Errors
/// If something cannot be started, if the pipeline stands still, if a check of the result fails, or on Ctrl-C.
pub fn run(args: Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::unexpected)?;
    // On the main thread: services are bound to the life of the thread that starts them.
    runtime.block_on(attended(&args)).map_err(|error| match error.downcast::<Failure>() {
        Ok(failure) => failure,
        Err(error) => Failure::unexpected(format!("{error:#}")),
    })
}

/// The demo, and an eye on Ctrl-C. However it ends, everything that was started ends.
async fn attended(args: &Args) -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let directory = Directory::new(args.keep)?;
    let mut supervisor = Supervisor::new(directory)?;
    let (tasks, end) = (TaskTracker::new(), CancellationToken::new());
    let ended = tokio::select! {
        ended = demo(args, &mut supervisor, &tasks, &end) => ended,
        _ = interrupt.recv() => Err(Failure::new(Exit::Interrupted, "interrupted: everything that was started is ended").into()),
        _ = terminate.recv() => Err(Failure::new(Exit::Terminated, "told to end: everything that was started is ended").into()),
    };
    if ended.is_ok() && args.stay {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    let stopped = supervisor.end().await;
    end.cancel();
    tasks.close();
    tasks.wait().await;
    ended.and(stopped)
}

async fn demo(args: &Args, supervisor: &mut Supervisor, tasks: &TaskTracker, end: &CancellationToken) -> Result<()> {
    let (from, to) = (shop::midnight(args.from)?, shop::midnight(args.to)?);
    let (deploy, world) = world_of(args, from, to)?;
    let (plans, prices) = campaigns(&deploy)?;
    let last = world.happenings().last().map_or(to, |happening| happening.at.max(from) + 1).min(to);
    let started = Tick::now();
    let brokers = match &args.brokers {
        Some(brokers) => brokers.clone(),
        None => supervisor.start_broker(&deploy).await?,
    };
    // Somebody else's brokers may see several demos, of several machines.
    let prefix =
        if args.brokers.is_some() { format!("demo-{}", &settings::random_word()?[..12]) } else { String::new() };
    let chance = Chance::seeded(args.seed);
    let desk = Arc::new(Desk::new(chance));
    let places = Places {
        brokers: &brokers,
        prefix: &prefix,
        partitions: PARTITIONS,
        log_level: &args.log_level,
        deploy: &deploy,
        inbox: inbox::open(Arc::clone(&desk), tasks.clone(), end.clone()).await?,
        sandbox: sandbox::open(Arc::clone(&desk), tasks, end.clone()).await?,
        tracker: free_address()?,
    };
    let clock = supervisor.directory().join("clock");
    Clock::drive(&clock, from)?;
    let secret = settings::write(supervisor.directory(), &places)?;
    let services = start(supervisor, &deploy).await?;

    let kafka = driver_settings(&brokers, &prefix);
    let topics = Topics::new(&prefix);
    let channels = CHANNELS.map(str::to_owned);
    let addresses = services.iter().map(|(_, address)| address.clone()).collect();
    let mut driver = Driver {
        world,
        clock,
        tick: args.tick * 60_000,
        pipeline: Pipeline::new(&kafka, &topics, &channels, PARTITIONS, addresses)?,
        desk,
        edge: Edge::new(places.tracker, &secret)?,
        agenda: Agenda::default(),
        chance,
        story: Story::open(&kafka, &topics.journal())?,
        log: Log::default(),
    };
    say(&format!("Everything runs, {:.0} s after the start. Business time begins.", started.elapsed().as_secs_f64()))?;
    let sms_minor = Channel::find("sms").map_or(0, |sms| prices.price_minor(sms));
    let mut screen = Screen::new(from, last, sms_minor);
    driver.live(supervisor, &mut screen, from, to).await?;

    say(&summary::tell(&driver, &screen, &plans, &prices))?;
    let wrong = summary::check(&driver.story.tally, &driver.log, driver.tick, &driver.desk.counts(), &plans);
    say(&look_around(&driver, supervisor, &places, &services, args).await?)?;
    ensure!(wrong.is_empty(), "the result does not hold:\n{}", wrong.join("\n"));
    say(match driver.log.received.is_empty() {
        true => "No provider took a message, so nothing is shown by this run: take more days, or more --events.",
        false => {
            "Checked: providers took what the journal says was handed over, each message once, and nobody got one after buying."
        }
    })
}

/// The directory that everything is read from, and what will happen. What is wrong with the arguments is said before anything
/// is started.
fn world_of(args: &Args, from: Millis, to: Millis) -> Result<(PathBuf, World)> {
    ensure!(from < to, Failure::new(Exit::Usage, "--from must be before --to"));
    let deploy =
        args.deploy.canonicalize().ok().filter(|deploy| deploy.join("campaigns").is_dir()).ok_or_else(|| {
            let asked = args.deploy.display();
            let sentence =
                format!("{asked} is no copy of the directory `deploy`: name it with --deploy, or start deploy/demo.sh");
            Failure::new(Exit::Input, sentence)
        })?;
    let baskets = shop::baskets(&deploy.join("data/baskets.csv.gz"))?;
    let covered = shop::days(&baskets)?;
    let limit = args.events.map_or(usize::MAX, NonZeroUsize::get);
    let world = World::new(baskets, args.seed, from, to, limit);
    ensure!(
        world.happenings().iter().any(Happening::is_event),
        Failure::new(
            Exit::Usage,
            format!(
                "nothing happens from {} to {}: the data cover {covered}; choose --from and --to among these days",
                args.from, args.to
            )
        )
    );
    Ok((deploy, world))
}

/// The campaigns that will be applied, and their prices, as the checks understand them.
fn campaigns(deploy: &Path) -> Result<(Vec<Plan>, Prices)> {
    let mut plans = Vec::new();
    let mut prices = Prices::default();
    for Document { path, kind, text, .. } in documents::read(&[deploy.join("campaigns")])? {
        match kind {
            Kind::Definition { .. } => plans.extend(campaign::parse(&path, &text)),
            Kind::Prices => prices = Prices::parse(&path, &text).unwrap_or_default(),
            Kind::Rates | Kind::Caps => {}
        }
    }
    Ok((plans, prices))
}

/// Topics, prices and campaigns, then all services. Gives back the name and the ops address of each.
async fn start(supervisor: &mut Supervisor, deploy: &Path) -> Result<Vec<(String, String)>> {
    supervisor.tool(&["topics", "apply"]).await?;
    let campaigns = deploy.join("campaigns");
    supervisor.tool(&["campaign", "apply", &campaigns.to_string_lossy()]).await?;
    let mut names: Vec<String> = ["intake", "operator", "tracker"].map(str::to_owned).into();
    for name in &names {
        supervisor.start(name, &[name])?;
    }
    for channel in CHANNELS {
        supervisor.start(channel, &["channel", channel])?;
        names.push(channel.to_owned());
    }
    let mut services = Vec::new();
    for name in names {
        let address = supervisor.ops_address(&name).await?;
        services.push((name, address));
    }
    Ok(services)
}

/// An address that nobody listens on.
fn free_address() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free port")?;
    Ok(listener.local_addr()?)
}

/// The driver's own way to Kafka. It waits for "there is no more", and for records one by one: neither may take its time.
fn driver_settings(brokers: &str, prefix: &str) -> Settings {
    let mut settings = Settings::new(brokers, &format!("{prefix}driver"));
    let properties = [("fetch.wait.max.ms", "10"), ("linger.ms", "0"), ("retry.backoff.ms", "2")];
    settings.properties = Arc::new(properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    settings
}

/// A customer's story, and where to look further: at what still runs, and at nothing else.
async fn look_around(
    driver: &Driver,
    supervisor: &Supervisor,
    places: &Places<'_>,
    services: &[(String, String)],
    args: &Args,
) -> Result<String> {
    let mut text = String::new();
    if let Some((customer, campaign)) = driver.story.tally.example() {
        let question = ["journal", "--customer", customer, "--campaign", campaign, "--zone", shop::ZONE];
        let story = supervisor.tool(&question).await?;
        let shown: Vec<&str> = story.lines().take(STORY_LINES).collect();
        text.push_str(&format!("{}\n\n", shown.join("\n")));
        if args.stay {
            let mut places_too = format!("--brokers {} --topics-partitions {PARTITIONS}", places.brokers);
            if !places.prefix.is_empty() {
                places_too.push_str(&format!(" --topics-prefix {}", places.prefix));
            }
            let program = supervisor.binary().display();
            text.push_str(&format!("Anybody's story:  {program} {} {places_too}\n", question.join(" ")));
        }
    }
    for (name, address) in services.iter().filter(|_| args.stay) {
        text.push_str(&format!("Metrics of {name:<9} http://{address}/metrics\n"));
    }
    if !places.prefix.is_empty() {
        text.push_str(&format!("The topics {}.* stay on your brokers.\n", places.prefix));
    }
    text.push_str(&match (args.keep, args.stay) {
        (_, true) => "Everything goes on running, for you to look around. Ctrl-C ends it.".to_owned(),
        (true, _) => format!(
            "All of it ends now. Logs, settings and state are kept in {}",
            supervisor.directory().path().display()
        ),
        _ => "All of it ends now. `deploy/demo.sh --stay` lets it run on: anybody's story, metrics. --keep keeps logs and state."
            .to_owned(),
    });
    Ok(text)
}
