//! Spans of cascades that are followed, to a collector that speaks OTLP over HTTP.
//!
//! OpenTelemetry's own batches carry them, on a thread beside the service. Its queue is bounded, and what finds no room is dropped and counted:
//! nobody waits for a collector.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanExporter, SpanLinks, SpanProcessor,
};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use stream::traces::{Collect, Kind, Span, Traces};

use crate::cli::VERSION;
use crate::failure::Failure;

/// Where spans go, and of which cascades.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// URL to which they are posted.
    endpoint: String,
    /// One cascade in so many is followed.
    pub one_in: u64,
}

/// So many spans may wait for the collector.
const ROOM: usize = 8_192;

/// So long is waited for the collector, and at the end for what is left.
const PATIENCE: Duration = Duration::from_secs(3);

/// The way to the collector.
#[derive(Debug)]
pub struct Batches {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    waiting: Arc<AtomicUsize>,
    room: usize,
    dropped: IntCounter,
}

/// Hands batches to the collector, and counts what became of their spans.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
    exported: IntCounter,
    lost: IntCounter,
}

impl Settings {
    /// A collector by its URL, to which OTLP's own path is added; none if it is no such thing, or has in it what is no log's business.
    pub fn of(collector: &str, one_in: u64) -> Option<Self> {
        let url = reqwest::Url::parse(collector).ok()?;
        let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let is_one = matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain;
        is_one.then(|| Settings { endpoint: format!("{}/v1/traces", collector.trim_end_matches('/')), one_in })
    }
}

impl Batches {
    /// Opens the way. The collector need not be there.
    ///
    /// # Errors
    /// `Unexpected`, if there can be no client.
    pub fn open(settings: &Settings, service: &str, instance: &str, registry: &Registry) -> Result<Arc<Self>, Failure> {
        let client = reqwest::blocking::Client::builder().timeout(PATIENCE).build().map_err(Failure::unexpected)?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(&settings.endpoint)
            .with_timeout(PATIENCE);
        let mut exporter = exporter.build().map_err(Failure::unexpected)?;
        let resource = Resource::builder_empty()
            .with_service_name(format!("cascade-{service}"))
            .with_attribute(KeyValue::new("service.version", VERSION.clone()))
            .with_attribute(KeyValue::new("service.instance.id", instance.to_owned()));
        exporter.set_resource(&resource.build());
        tracing::info!(one_in = settings.one_in, "cascades are followed");
        Self::over(exporter, ROOM, registry).map_err(Failure::unexpected)
    }

    fn over<E: SpanExporter + 'static>(
        exporter: E,
        room: usize,
        registry: &Registry,
    ) -> Result<Arc<Self>, prometheus::Error> {
        let about = Opts::new(
            "cascade_spans_total",
            "Spans of cascades that are followed: exported, lost because the collector did not take them, or dropped because too many waited for it.",
        );
        let spans = IntCounterVec::new(about, &["outcome"])?;
        registry.register(Box::new(spans.clone()))?;
        let [exported, lost, dropped] =
            ["exported", "lost", "dropped"].map(|outcome| spans.with_label_values(&[outcome]));
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Counted { exporter, waiting: Arc::clone(&waiting), exported, lost };
        // Its queue has room for all that we let in: it never drops any by itself, which nobody would count.
        let config = BatchConfigBuilder::default().with_max_queue_size(room).build();
        let processor = BatchSpanProcessor::builder(counted).with_batch_config(config).build();
        let scope = InstrumentationScope::builder("cascade").build();
        Ok(Arc::new(Batches { processor, scope, waiting, room, dropped }))
    }

    /// Hands over what is left.
    pub fn end(&self) {
        if let Err(error) = self.processor.shutdown_with_timeout(PATIENCE) {
            tracing::warn!("the last spans are lost: {error}");
        }
    }

    fn data(&self, span: Span) -> SpanData {
        let attributes = span.attributes.into_iter().filter(|(_, value)| !value.is_empty());
        let mut links = SpanLinks::default();
        links.links.extend(span.link.map(|(trace, id)| Link::new(context(trace, id), Vec::new(), 0)));
        SpanData {
            span_context: context(span.trace, span.id),
            parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from),
            parent_span_is_remote: false,
            span_kind: match span.kind {
                Kind::Internal => SpanKind::Internal,
                Kind::Consumer => SpanKind::Consumer,
                Kind::Producer => SpanKind::Producer,
                Kind::Client => SpanKind::Client,
            },
            name: span.name.into(),
            start_time: moment(span.began),
            end_time: moment(span.ended),
            attributes: attributes.map(|(key, value)| KeyValue::new(key, value)).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: span.failed.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        }
    }
}

impl Collect for Batches {
    fn take(&self, span: Span) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.room {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.dropped.inc();
            return;
        }
        self.processor.on_end(self.data(span));
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let exported = self.exporter.export(batch).await;
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        let counter = if exported.is_ok() { &self.exported } else { &self.lost };
        counter.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        exported
            .inspect_err(|error| tracing::warn!(count, "spans are lost, for the collector does not take them: {error}"))
    }
}

/// Where spans of this process go, if it has a way to a collector.
pub fn traces(batches: Option<&Arc<Batches>>) -> Traces {
    batches.map_or_else(Traces::default, |batches| Traces::to(Arc::<Batches>::clone(batches)))
}

fn context(trace: u128, span: u64) -> SpanContext {
    SpanContext::new(TraceId::from(trace), SpanId::from(span), TraceFlags::SAMPLED, false, TraceState::default())
}

fn moment(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// Takes a batch when it is allowed to, and none that has a span of the name `bad`.
    #[derive(Debug)]
    struct Slow(Mutex<Receiver<()>>);

    impl SpanExporter for Slow {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            // Whoever gave the permission may be gone: then all go.
            let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let is_bad = batch.iter().any(|span| span.name == "bad");
            if is_bad { Err(opentelemetry_sdk::error::OTelSdkError::InternalFailure(String::new())) } else { Ok(()) }
        }
    }

    fn span(name: &'static str) -> Span {
        let attributes = vec![("full", "yes".to_owned()), ("empty", String::new())];
        let (began, ended, kind) = (1_500, 2_000, Kind::Client);
        Span {
            trace: 7,
            id: 9,
            parent: Some(8),
            link: Some((1, 2)),
            name,
            kind,
            began,
            ended,
            failed: None,
            attributes,
        }
    }

    fn counted(registry: &Registry, outcome: &str) -> f64 {
        let families = registry.gather();
        let all = families.iter().filter(|family| family.name() == "cascade_spans_total");
        let of = |metric: &&prometheus::proto::Metric| metric.get_label()[0].value() == outcome;
        all.flat_map(|family| family.get_metric()).find(of).map_or(0.0, |metric| metric.get_counter().get_value())
    }

    #[test]
    fn nobody_waits_for_a_collector_and_each_span_is_counted() {
        let (go, permission) = channel();
        let registry = Registry::new();
        let batches = Batches::over(Slow(Mutex::new(permission)), 4, &registry).unwrap();
        (0..10).for_each(|_| batches.take(span("good")));
        assert_eq!(counted(&registry, "dropped"), 6.0, "there was room for four, and this thread is here");
        drop(go);
        batches.processor.force_flush().unwrap();
        batches.take(span("bad"));
        batches.end();
        assert_eq!(["exported", "lost", "dropped"].map(|outcome| counted(&registry, outcome)), [4.0, 1.0, 6.0]);
    }

    #[test]
    fn a_span_is_what_opentelemetry_calls_one() {
        let (_, permission) = channel();
        let batches = Batches::over(Slow(Mutex::new(permission)), 4, &Registry::new()).unwrap();
        let data = batches.data(span("call"));
        assert_eq!(data.span_context, context(7, 9));
        assert_eq!((data.parent_span_id, data.span_kind), (SpanId::from(8), SpanKind::Client));
        assert_eq!(data.end_time.duration_since(data.start_time).unwrap(), Duration::from_millis(500));
        assert_eq!(data.attributes, [KeyValue::new("full", "yes")]);
        assert_eq!(data.links.links[0].span_context, context(1, 2));
        batches.end();
    }

    #[test]
    fn a_collector_is_a_plain_url() {
        let endpoint = |url| Settings::of(url, 1).map(|settings| settings.endpoint);
        assert_eq!(endpoint("http://collector:4318/").as_deref(), Some("http://collector:4318/v1/traces"));
        assert_eq!(endpoint("https://a.example/otlp").as_deref(), Some("https://a.example/otlp/v1/traces"));
        for bad in ["collector:4318", "ftp://a", "http://name:word@a", "http://name@a", "http://a/?token=1", ""] {
            assert_eq!(endpoint(bad), None, "{bad}");
        }
    }
}
