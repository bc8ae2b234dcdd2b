//! Runs one service: check, run until a signal, drain.

use std::path::PathBuf;
use std::time::Duration;

use stream::clock::Clock;
use stream::traces::Traces;

use crate::cli::{self, Service};
use crate::config::{self, Common, Flags, Process, Reader};
use crate::failure::Failure;
use crate::ops::traces::{Batches, traces};
use crate::ops::{self, Ops, Shown};
use crate::{canary, logs, registry, state, topics};

/// Runs a service to its end.
///
/// # Errors
/// Those of the service, and of its surroundings before it begins.
pub fn serve(command: Service) -> Result<String, Failure> {
    match command {
        Service::Intake(flags) => intake(&flags),
        Service::Operator(flags) => operator(&flags),
        Service::Channel { name, flags } => channel(&name, &flags),
        Service::Tracker(flags) => tracker(&flags),
        Service::Canary(flags) => canary(&flags),
    }
}

/// Source topics to `input`.
fn intake(flags: &Flags) -> Result<String, Failure> {
    let read = |reader: &mut Reader<'_>| {
        let (common, ops) = both(reader);
        (common, ops, registry::Settings::read(reader))
    };
    let (common, ops, registry) = config::read(flags, &Process, read)?;
    let mut needed: Vec<String> = common.topics.sources().into_iter().map(|(name, _)| name).collect();
    needed.extend([common.topics.input(), common.topics.suppression(), common.topics.dead_letter()]);
    let config = intake::Config {
        identity: Some(common.kafka.instance.clone()),
        suppressor: common.suppressor.clone(),
        follows: common.traces.is_some(),
        ..intake::Config::new(common.topics.clone())
    };
    run("intake", &common, &ops, &needed, |clock, ops, _| {
        let ids = registry::ids(registry.as_ref(), &common.topics)?;
        let Shown { probe, registry, .. } = &ops.shown;
        intake::run(&common.kafka, &config, ids, clock, probe, &ops.stop, registry)?;
        Ok(())
    })
}

/// Decides, and keeps the state.
fn operator(flags: &Flags) -> Result<String, Failure> {
    let read = |reader: &mut Reader<'_>| {
        let (common, ops) = both(reader);
        let dir = PathBuf::from(reader.required("state.dir"));
        let mut operator = operator::Config::new(&common.kafka.instance, dir, &common.channels);
        operator.suppressor.clone_from(&common.suppressor);
        operator.shards = reader.number("state.shards", 1..=256);
        operator.waits_for_sources = reader
            .parsed("sources.wait", "`yes` or `no`", |text| ["no", "yes"].iter().position(|known| *known == text))
            .is_none_or(|chosen| chosen == 1);
        operator.standby = reader
            .parsed("state.standby", "`none` or `all`", |text| ["none", "all"].iter().position(|known| *known == text))
            .is_some_and(|chosen| chosen == 1);
        operator.cache_rows = reader.number("state.rows", 1_000..=1_000_000_000);
        operator.disk_reserve = reader.number::<u64>("state.reserve", 0..=1_000_000_000) << 20;
        (common, ops, operator)
    };
    let (common, ops, mut operator) = config::read(flags, &Process, read)?;
    let names = &common.topics;
    let mut needed =
        vec![names.input(), names.changelog(), names.revoke(), names.journal(), names.campaign(), names.dead_letter()];
    needed.push(names.suppression());
    needed.extend(common.channels.iter().map(|channel| names.send(channel)));
    if operator.waits_for_sources {
        needed.extend(names.sources().map(|(name, _)| name));
    }
    run("operator", &common, &ops, &needed, |clock, ops, traces| {
        let one_in = common.traces.as_ref().map_or(0, |traces| traces.one_in);
        operator.following = operator::Following::new(traces, one_in);
        state::require(&operator.state_dir)?;
        ops::metrics::watch_disk(&ops.shown.registry, operator.state_dir.clone(), operator.disk_reserve)
            .map_err(Failure::unexpected)?;
        let Shown { probe, registry, .. } = &ops.shown;
        operator::run(&common.kafka, names, &operator, clock, probe, &ops.stop, registry)?;
        Ok(())
    })
}

/// Hands messages over to a channel's provider.
fn channel(name: &str, flags: &Flags) -> Result<String, Failure> {
    let read = |reader: &mut Reader<'_>| {
        let (common, ops) = both(reader);
        let channel = config::channel(name, &common, reader);
        (common, ops, channel)
    };
    let (common, ops, channel) = config::read(flags, &Process, read)?;
    let mut channel = channel.ok_or_else(|| Failure::unexpected("the channel's section was not read"))?;
    let names = &common.topics;
    let needed = [names.send(name), names.attempt(name), names.revoke(), names.feedback()];
    run(&format!("channel-{name}"), &common, &ops, &needed, |clock, ops, traces| {
        channel.traces = traces;
        let metrics = channels::Metrics::new(&ops.shown.registry).map_err(Failure::unexpected)?;
        channels::run(&channel, &common.kafka, names, clock, &ops.shown.probe, &ops.stop, &metrics)?;
        Ok(())
    })
}

/// What comes back from mail programs, customers and providers.
fn tracker(flags: &Flags) -> Result<String, Failure> {
    let read = |reader: &mut Reader<'_>| {
        let (common, ops) = both(reader);
        let port_file = reader.optional("tracker.port_file").filter(|path| !path.is_empty()).map(PathBuf::from);
        (common, ops, config::tracker(reader), port_file)
    };
    let (common, ops, tracker, port_file) = config::read(flags, &Process, read)?;
    let tracker = tracker.ok_or_else(|| Failure::unexpected("the tracker's settings were not read"))?;
    let written = tracker::written(&tracker, &common.topics);
    run("tracker", &common, &ops, &written, |clock, ops, _| {
        let metrics = tracker::Metrics::new(&ops.shown.registry).map_err(Failure::unexpected)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Failure::unexpected)?;
        let bound = |address| {
            if let Some(Err(failure)) = port_file.as_deref().map(|path| ops::announce(path, address)) {
                tracing::error!("{failure}");
            }
        };
        let (probe, drain) = (ops.shown.probe.clone(), ops.drain.clone());
        let served = tracker::run(&tracker, &common.kafka, &common.topics, clock.clone(), probe, metrics, drain, bound);
        Ok(runtime.block_on(served)?)
    })
}

/// Synthetic customers, all the way round.
fn canary(flags: &Flags) -> Result<String, Failure> {
    let read = |reader: &mut Reader<'_>| {
        let (common, ops) = both(reader);
        if !common.channels.iter().any(|channel| channel == canary::CANARY) {
            reader.problem(
                "the canary needs the channel canary: add it to the setting `channels`, and run a worker for it with \
                            transport.kind = \"nowhere\""
                    .to_owned(),
            );
        }
        let mut seconds = |key| Duration::from_secs(reader.number(key, 1..=86_400));
        let settings = canary::Settings { interval: seconds("canary.interval"), patience: seconds("canary.patience") };
        (common, ops, settings)
    };
    let (common, ops, settings) = config::read(flags, &Process, read)?;
    let names = &common.topics;
    let needed = [names.profile(), names.action(), names.journal(), names.campaign()];
    run("canary", &common, &ops, &needed, |clock, ops, _| {
        let metrics = canary::Metrics::new(&ops.shown.registry).map_err(Failure::unexpected)?;
        canary::run(&common, settings, clock, &ops.shown.probe, &ops.stop, &metrics)
    })
}

fn both(reader: &mut Reader<'_>) -> (Common, ops::Settings) {
    (Common::read(reader), config::ops(reader))
}

/// Runs `body` between the checks before it and the farewell after it.
fn run(
    service: &str,
    common: &Common,
    ops: &ops::Settings,
    needed: &[String],
    body: impl FnOnce(&Clock, &Ops, Traces) -> Result<(), Failure>,
) -> Result<String, Failure> {
    logs::start(&common.logs, service);
    let ops = Ops::start(ops, service)?;
    common.kafka.statistics.show(&ops.shown.registry).map_err(Failure::unexpected)?;
    let open = |settings| Batches::open(settings, service, &common.kafka.instance, &ops.shown.registry);
    let batches = common.traces.as_ref().map(open).transpose()?;
    tracing::info!(
        service,
        instance = common.kafka.instance,
        version = *cli::VERSION,
        zones = campaign::zones_version(),
        "starting"
    );
    let ended =
        topics::require(common, needed).and_then(|()| body(&common.time.clock()?, &ops, traces(batches.as_ref())));
    batches.iter().for_each(|batches| batches.end());
    match &ended {
        Ok(()) => tracing::info!(service, "drained: nothing is left half done"),
        Err(_) => ops.shown.probe.set_failed(),
    }
    ops.end();
    ended.map(|()| String::new())
}
