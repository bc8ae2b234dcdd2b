#!/usr/bin/env python3
"""Writes the dashboards: overview.json, operator.json, channels.json.

    deploy/grafana/make.py

What a panel asks and means stands here; where it lies and how Grafana wants it said follows from that. tests/deploy/dashboards.py
sees to it that the files are as this writes them, and executes every query against the running demo.
"""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
RATE = "$__rate_interval"
# What a query asks for: series of ours. Each is asked for of one installation, which the dashboard's variable names.
SERIES = re.compile(r"\b((?:cascade|process)_[a-z0-9_]+|ALERTS)\b(?:\{(?=(.))|(?!\{))")


def of_installation(query):
    """One Prometheus may watch several installations; a panel shows one, never their sum."""
    chosen = 'installation="$installation"'
    return SERIES.sub(lambda found: f"{found[1]}{{{chosen}" + (", " if found[2] else "}"), query)



def quantiles(metric, by=""):
    """Median and 99th percentile of a histogram, as (query, legend)."""
    labels, legend = (f"{by}, le", "{{" + by + "}} ") if by else ("le", "")
    rate = f"sum by ({labels}) (rate({metric}_bucket[{RATE}]))"
    return [(f"histogram_quantile({q}, {rate})", f"{legend}p{name}") for q, name in [(0.5, 50), (0.99, 99)]]


def rate(metric, by="", match=""):
    summed = f"sum by ({by})" if by else "sum"
    legend = " ".join("{{" + label.strip() + "}}" for label in by.split(",")) if by else ""
    return (f"{summed} (rate({metric}{match}[{RATE}]))", legend)


def row(title):
    return {"type": "row", "title": title, "w": 24, "h": 1}


def stat(title, about, unit, query, red=None, w=4):
    return {"type": "stat", "title": title, "about": about, "unit": unit, "queries": [(query, "")], "red": red, "w": w, "h": 4}


def graph(title, about, unit, *queries, w=8):
    return {"type": "timeseries", "title": title, "about": about, "unit": unit, "queries": queries, "w": w, "h": 8}


def table(title, about, query, h=5):
    return {"type": "table", "title": title, "about": about, "unit": "short", "queries": [(query, "")], "w": 24, "h": h}


OVERVIEW = [
    row("Is anybody waiting?"),
    stat("Oldest unread", "Age of the oldest record that whoever reads it has not consumed: sources, input and commands.", "s", "max(cascade_oldest_unread_seconds)", 300),
    stat("Watermark behind", "Deadlines fire up to here and no further.", "s", "max(cascade_watermark_lag_seconds)", 300),
    stat("Deadlines in time", "Fired within a minute of their time, of all that fired in the last hour.", "percentunit",
         # Older Prometheus writes a limit as 60, newer ones as 60.0.
         r'sum(increase(cascade_deadline_lateness_seconds_bucket{le=~"60(\\.0)?"}[1h])) / sum(increase(cascade_deadline_lateness_seconds_count[1h]))'),
    stat("Looks at revoke older than half a second", "Of all hand-overs. After a second nothing is handed over.", "percentunit",
         '1 - sum(rate(cascade_residual_window_seconds_bucket{le="0.5"}[5m])) / sum(rate(cascade_residual_window_seconds_count[5m]))', 0.01),
    stat("Dead letters, 24 h", "Records that could not be read.", "short", "sum(increase(cascade_dead_letters_total[24h])) or vector(0)", 1),
    stat("Customers held, 24 h", "Nobody is messaged while held.", "short", "sum(increase(cascade_held_customers_total[24h]))", 1),
    row("All the way round: synthetic customers"),
    graph("Canary: rounds", "Of one synthetic customer in each partition; lost is what did not come back in time.", "ops",
          rate("cascade_canary_rounds_total", "outcome")),
    graph("Canary: round trip, p50 and p99", "From the action to the operator's word that the message was handed over.", "s",
          *quantiles("cascade_canary_round_trip_seconds")),
    graph("Canary: missing", "Partitions whose customer did not come back.", "short", ("max(cascade_canary_missing_partitions)", "partitions")),
    row("The way of a message"),
    graph("Events consumed", "By topic: sources are consumed by intake, input by the operator.", "ops", rate("cascade_events_consumed_total", "topic")),
    graph("Oldest unread", "By topic: age of the oldest record that is not consumed yet. Marks of transactions do not count; commands wait for their channel's limit, too.", "s",
          ("max by (topic) (cascade_oldest_unread_seconds)", "{{topic}}")),
    graph("Decisions", "Why each thing was done, or not done.", "ops", rate("cascade_decisions_total", "reason")),
    graph("Sends and withdrawals", "What was decided, and what was taken back after it was published.", "ops",
          (f"sum by (channel) (rate(cascade_sends_total[{RATE}]))", "{{channel}} send"),
          (f"sum by (channel) (rate(cascade_revokes_total[{RATE}])) or vector(0)", "{{channel}} revoke")),
    graph("Hand-overs", "What became of commands at the providers.", "ops", rate("cascade_hand_overs_total", "channel, outcome")),
    graph("Feedback", "What came back by way of the tracker.", "ops", rate("cascade_feedback_total", "channel, status")),
    graph("Tracker requests", "By endpoint and answer.", "ops", rate("cascade_tracker_requests_total", "endpoint, code")),
    graph("How long each part takes, p99", "From its topic into the input, from there to what was decided (the oldest record of each transaction), and from the command until a provider took the message.", "s",
          *[(quantiles(metric)[1][0], legend) for metric, legend in [
              ("cascade_event_to_input_seconds", "to the input"),
              ("cascade_event_to_decision_seconds", "to the decision"),
              ("cascade_decision_to_send_seconds", "to the provider")]]),
    row("What runs"),
    graph("Partitions owned", "Restored and processed, by operator.", "short", ("sum by (instance) (cascade_partitions_owned)", "{{instance}}")),
    graph("Ready", "By service: 0 while none of its replicas can work, a part while some cannot.", "percentunit", ("avg by (service) (cascade_ready)", "{{service}}")),
    graph("Clocks", "Prometheus's clock minus the machine's.", "s", ("timestamp(cascade_machine_time_seconds) - cascade_machine_time_seconds", "{{instance}}")),
    graph("Memory", "Resident memory of each process.", "bytes", ("process_resident_memory_bytes and on (instance) cascade_build_info", "{{instance}}")),
    table("Versions", "What runs.", "count by (service, version) (cascade_build_info)"),
    table("Alerts", "What fires now. Without a row all is well.", 'ALERTS{alertname=~"Cascade.*", alertstate="firing"} or vector(0)'),
]

OPERATOR = [
    row("Deadlines"),
    graph("Deadlines fired", "Each is a customer whose next step fell due.", "ops", (f"sum(rate(cascade_deadlines_fired_total[{RATE}]))", "fired")),
    graph("Deadline lateness, p50 and p99", "The greatest of each batch.", "s", *quantiles("cascade_deadline_lateness_seconds")),
    graph("Watermark behind", "By partition: business time minus what has fired.", "s", ("max by (partition) (cascade_watermark_lag_seconds)", "{{partition}}")),
    graph("Sources behind", "1 while deadlines wait for records that intake has not read.", "short", ("max(cascade_sources_behind)", "behind")),
    graph("Rows swept", "Looks at everybody: launches, pauses, stops.", "ops", (f"sum(rate(cascade_rows_swept_total[{RATE}]))", "rows")),
    graph("Forwarded", "What one row said to another.", "ops", (f"sum by (fact) (rate(cascade_forwarded_total[{RATE}])) or vector(0)", "{{fact}}")),
    row("Transactions"),
    graph("Commit time, p50 and p99", "From the first changelog row to the brokers' answer.", "s", *quantiles("cascade_transaction_commit_seconds")),
    graph("Commits", "By process: operators and intake.", "ops", (f"sum by (instance) (rate(cascade_transaction_commit_seconds_count[{RATE}]))", "{{instance}}")),
    graph("Transactions aborted", "By cause; what is aborted is done again.", "ops", (f"sum by (cause) (rate(cascade_transaction_aborts_total[{RATE}])) or vector(0)", "{{cause}}")),
    row("Partitions"),
    graph("Input waiting", "By partition.", "short", ("max by (partition) (cascade_input_lag_records)", "{{partition}}")),
    graph("Input: oldest unread", "Age of the oldest record of input that is not decided yet.", "s",
          ('max(cascade_oldest_unread_seconds{topic=~".*input"})', "input")),
    graph("Input stuck", "By partition: how long nothing was consumed though something waits.", "s", ("max by (partition) (cascade_input_stuck_seconds)", "{{partition}}")),
    graph("Partitions unserved", "By partition: for how long it has had an owner that does not process it; 0 is well.", "s",
          ("max by (partition) (cascade_partition_unserved_seconds)", "{{partition}}")),
    graph("Partitions owned", "By operator.", "short", ("sum by (instance) (cascade_partitions_owned)", "{{instance}}")),
    graph("Restore: records", "Changelog records replayed.", "ops", (f"sum(rate(cascade_restore_records_total[{RATE}]))", "records")),
    graph("Restore: what is left", "Offsets and seconds, by partition; nothing while none is restored.", "short",
          ("sum by (partition) (cascade_restore_remaining_records) or vector(0)", "{{partition}} records"),
          ("max by (partition) (cascade_restore_eta_seconds) or vector(0)", "{{partition}} seconds")),
    graph("Restore time, p99", "From an assignment to a partition that goes on.", "s",
          ("histogram_quantile(0.99, sum by (le) (cascade_restore_seconds_bucket))", "since the start")),
    graph("Standbys behind", "Offsets; nothing without standbys.", "short", ("max by (instance, partition) (cascade_standby_lag_records) or vector(0)", "{{instance}} {{partition}}")),
    row("Kafka's client"),
    graph("Round trip, p99", "By kind of client, of the slowest broker: a reader's has the wait for records in it.", "s",
          ("max by (service, client) (cascade_kafka_round_trip_p99_seconds)", "{{service}} {{client}}")),
    graph("Waiting for brokers", "Records that are not confirmed yet.", "short", ("sum by (service, client) (cascade_kafka_queue_messages)", "{{service}} {{client}}")),
    graph("The same in bytes", "Their size.", "bytes", ("sum by (service, client) (cascade_kafka_queue_bytes)", "{{service}} {{client}}")),
    graph("Requests without an answer", "Timed out.", "ops", rate("cascade_kafka_requests_timed_out_total", "service, client")),
    graph("Connections lost", "To any broker; idle ones are closed now and then.", "ops", rate("cascade_kafka_disconnects_total", "service, client")),
    row("RocksDB"),
    graph("Writes held up", "Stores that take nothing, and to how many bytes a second one is slowed down: 0 and 0 while all is well.", "short",
          ("sum(cascade_rocksdb_writes_stopped)", "stopped"), ("max(cascade_rocksdb_delayed_write_bytes_per_second)", "bytes/s")),
    graph("Files in the first level", "Of the store that has most of them.", "short", ("max by (instance) (cascade_rocksdb_level0_files)", "{{instance}}")),
    graph("To be compacted", "Estimated.", "bytes", ("sum by (instance) (cascade_rocksdb_pending_compaction_bytes)", "{{instance}}")),
    graph("Live data", "Without what was replaced, estimated.", "bytes", ("sum by (instance) (cascade_rocksdb_live_data_bytes)", "{{instance}}")),
    graph("Keys", "Rows and deadlines, estimated.", "short", ("sum by (instance) (cascade_rocksdb_keys)", "{{instance}}")),
    graph("Block cache", "Of its bound, which is a setting.", "bytes", ("sum by (instance) (cascade_rocksdb_block_cache_bytes)", "{{instance}}")),
    row("The machine"),
    graph("Disk of the state, free", "Of its whole size.", "percentunit", ("cascade_state_disk_free_bytes / cascade_state_disk_size_bytes", "{{instance}}")),
    graph("Disk of the state, free beside its reserve", "Below the reserve no partition is taken over.", "bytes",
          ("min by (instance) (cascade_state_disk_free_bytes)", "{{instance}} free"), ("max(cascade_state_disk_reserve_bytes)", "reserve")),
    graph("CPU", "Cores in use.", "short", (f"rate(process_cpu_seconds_total[{RATE}]) and on (instance) cascade_build_info", "{{instance}}")),
    graph("Open files", "Of those allowed.", "percentunit", ("process_open_fds / process_max_fds and on (instance) cascade_build_info", "{{instance}}")),
]

CHANNELS = [
    row("Money"),
    stat("Charged, 24 h", "Owed to providers, in minor units of the price table's currency.", "short", "sum(increase(cascade_money_charged_minor_total[24h]))", w=6),
    stat("Set aside, 24 h", "Reserved by sends that were decided.", "short", "sum(increase(cascade_money_reserved_minor_total[24h]))", w=6),
    stat("Given back, 24 h", "Of it, what will not be owed after all.", "short", "sum(increase(cascade_money_voided_minor_total[24h]))", w=6),
    stat("Withdrawn before it cost anything, 24 h", "Commands that were taken back after they were published.", "short",
         "sum(increase(cascade_revokes_total[24h])) or vector(0)", w=6),
    graph("Charged", "Minor units a second, by channel.", "short", rate("cascade_money_charged_minor_total", "channel"), w=12),
    graph("Set aside and given back", "Minor units a second, by channel.", "short",
          (f"sum by (channel) (rate(cascade_money_reserved_minor_total[{RATE}]))", "{{channel}} set aside"),
          (f"sum by (channel) (rate(cascade_money_voided_minor_total[{RATE}]))", "{{channel}} given back"), w=12),
    row("Hand-overs"),
    graph("Outcomes", "What became of commands.", "ops", rate("cascade_hand_overs_total", "channel, outcome")),
    graph("Failing", "Refused, put off or of unknown outcome, of all.", "percentunit",
          (f'sum by (channel) (rate(cascade_hand_overs_total{{outcome=~"refused|unknown|retry"}}[{RATE}])) / sum by (channel) (rate(cascade_hand_overs_total[{RATE}])) or vector(0)', "{{channel}}")),
    graph("Expired", "What was past its send_before when its turn came, of all.", "percentunit",
          (f'sum by (channel) (rate(cascade_hand_overs_total{{outcome="expired"}}[{RATE}])) / sum by (channel) (rate(cascade_hand_overs_total[{RATE}])) or vector(0)', "{{channel}}")),
    graph("Provider paused", "1 while the provider, or one of several routes to it, is left alone because it takes nothing.", "short",
          ("max by (channel) (cascade_provider_paused)", "{{channel}}"), ("max by (channel, route) (cascade_route_paused) or vector(0)", "{{channel}}, route {{route}}")),
    graph("Residual window, p50 and p99", "Between the last look at revoke and the call. The promise is a second.", "s", *quantiles("cascade_residual_window_seconds", "channel")),
    graph("Hand-over time, p50 and p99", "Of a provider's call.", "s", *quantiles("cascade_hand_over_seconds", "channel")),
    graph("Oldest command", "Age of the oldest command that is neither handed over nor settled otherwise.", "s",
          ('max by (topic) (cascade_oldest_unread_seconds{topic=~".*send[.].*"})', "{{topic}}")),
    graph("Wait for the provider's limit, p50 and p99", "What a command waits for the rate limit.", "s", *quantiles("cascade_rate_limit_wait_seconds", "channel")),
    graph("Recoveries", "Times that a worker dropped what it had and read it again.", "short", ("sum by (channel) (cascade_channel_recoveries_total) or vector(0)", "{{channel}}")),
    row("What comes back"),
    graph("Feedback", "Facts published by the tracker.", "ops", rate("cascade_feedback_total", "channel, status")),
    graph("Tracker requests", "By endpoint and answer.", "ops", rate("cascade_tracker_requests_total", "endpoint, code")),
    graph("Lost or not understood", "Clicks that could not be published, receipts that say nothing that we know.", "short",
          ("sum(cascade_tracker_lost_total)", "lost"), ("sum by (provider) (cascade_receipts_unreadable_total) or vector(0)", "{{provider}} unreadable")),
]

PAGES = {
    "overview": ("Cascade: overview", OVERVIEW),
    "operator": ("Cascade: operator", OPERATOR),
    "channels": ("Cascade: channels and money", CHANNELS),
}


def panel(number, it, x, y):
    made = {"id": number, "type": it["type"], "title": it["title"], "gridPos": {"x": x, "y": y, "w": it["w"], "h": it["h"]}}
    if it["type"] == "row":
        return {**made, "collapsed": False, "panels": []}
    defaults = {"unit": it["unit"]}
    if it["title"] != "Clocks":
        defaults["min"] = 0
    options = {}
    if it["type"] == "stat":
        steps = [{"color": "green", "value": None}]
        steps += [{"color": "red", "value": it["red"]}] if it["red"] is not None else []
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}
    if it["type"] == "timeseries":
        options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    at_once = {} if it["type"] == "timeseries" else {"instant": True}
    as_table = {"format": "table"} if it["type"] == "table" else {}
    targets = [
        {"refId": "ABCDEFGH"[n], "datasource": SOURCE, "expr": of_installation(query), "legendFormat": legend, **at_once, **as_table}
        for n, (query, legend) in enumerate(it["queries"])
    ]
    return {**made, "description": it["about"], "datasource": SOURCE, "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": options, "targets": targets}


def laid_out(panels):
    """From left to right, and on when the line is full or a row begins."""
    x = y = height = 0
    for number, it in enumerate(panels, 1):
        if x + it["w"] > 24 or it["type"] == "row":
            x, y, height = 0, y + height, 0
        yield panel(number, it, x, y)
        x, height = x + it["w"], max(height, it["h"])


def dashboard(name):
    title, panels = PAGES[name]
    links = [{"type": "dashboards", "title": "Cascade", "tags": ["cascade"], "asDropdown": False, "includeVars": True, "keepTime": True}]
    return {
        "title": title,
        "uid": f"cascade-{name}",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "tags": ["cascade"],
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "10.0.0"},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
        ],
        "templating": {"list": [
            {"name": "DS_PROMETHEUS", "label": "Prometheus", "type": "datasource", "query": "prometheus",
             "hide": 0, "refresh": 1, "current": {}},
            # Asked anew whenever the time range changes; the first one is chosen until somebody chooses.
            {"name": "installation", "label": "Installation", "type": "query", "datasource": SOURCE,
             "query": {"query": "label_values(cascade_build_info, installation)", "refId": "A"},
             "definition": "label_values(cascade_build_info, installation)",
             "hide": 0, "refresh": 2, "sort": 1, "multi": False, "includeAll": False, "current": {}},
        ]},
        "annotations": {"list": []},
        "links": links,
        "panels": list(laid_out(panels)),
    }


def text(name):
    return json.dumps(dashboard(name), indent=1) + "\n"


if __name__ == "__main__":
    for page in PAGES:
        (HERE / f"{page}.json").write_text(text(page))
