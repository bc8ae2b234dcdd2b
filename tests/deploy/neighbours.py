"""Every case of rules.test.yaml again, in a Prometheus that a second installation reports to, which is healthy and larger: each alert
fires as if it were alone, and none fires because there are two.

    tests/deploy/neighbours.py          needs promtool
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import metrics
import yaml

PROMETHEUS = metrics.ROOT / "deploy/prometheus"
SERVICES = ["intake", "operator", "tracker", "channel-sms", "channel-email", "channel-push", "canary"]
CHANNELS = ["sms", "email", "push", "call", "viber"]
SECONDS = {"s": 1, "m": 60, "h": 3600}


def seconds(text):
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)([smh])", text))


def histogram(name, labels=""):
    """Everything as it should be: under the lowest limit that anybody asks for."""
    comma = ", " if labels else ""
    limits = ["0.5", "1", "60", "300", "+Inf"]
    yield from ((f'{name}_bucket{{{labels}{comma}le="{limit}"}}', "0+10x{n}") for limit in limits)
    yield f"{name}_count{{{labels}}}", "0+10x{n}"


def of_one(interval):
    """Series of a healthy installation. Its instances are called like the other's: pods are, in two namespaces."""
    for service in SERVICES:
        yield f'cascade_build_info{{version="9.9.9", service="{service}", instance="a"}}', "1x{n}"
        yield f'cascade_ready{{service="{service}", instance="a"}}', "1x{n}"
    for partition in "01":
        yield f'cascade_input_lag_records{{partition="{partition}"}}', "3x{n}"
        yield f'cascade_input_stuck_seconds{{instance="a", partition="{partition}"}}', "0x{n}"
        yield f'cascade_restore_eta_seconds{{partition="{partition}"}}', "1x{n}"
        yield f'cascade_partition_unserved_seconds{{instance="a", partition="{partition}"}}', "0x{n}"
        yield f'cascade_standby_lag_records{{instance="a", partition="{partition}"}}', "3x{n}"
    yield 'cascade_events_consumed_total{topic="input"}', "0+600x{n}"
    for topic in ("cart", "input", "send.push"):
        yield f'cascade_oldest_unread_seconds{{topic="{topic}", instance="a"}}', "0x{n}"
    yield 'cascade_partitions_owned{instance="a"}', "8x{n}"
    yield 'cascade_input_partitions{instance="a"}', "8x{n}"
    yield "cascade_watermark_lag_seconds{}", "1x{n}"
    yield "cascade_sources_behind{}", "0x{n}"
    yield "cascade_canary_missing_partitions{}", "0x{n}"
    yield 'cascade_canary_rounds_total{outcome="returned"}', "0+900x{n}"
    for name in ("deadline_lateness", "transaction_commit", "restore", "canary_round_trip"):
        yield from histogram(f"cascade_{name}_seconds")
    for channel in CHANNELS:
        of = f'channel="{channel}"'
        for name in ("residual_window", "hand_over", "rate_limit_wait"):
            yield from histogram(f"cascade_{name}_seconds", of)
        yield f"cascade_sends_total{{{of}}}", "0+900x{n}"
        yield f'cascade_hand_overs_total{{{of}, outcome="accepted"}}', "0+900x{n}"
        yield f'cascade_hand_overs_total{{{of}, outcome="unknown"}}', "0x{n}"
        yield f"cascade_money_charged_minor_total{{{of}}}", "0+900x{n}"
        yield f"cascade_provider_paused{{{of}}}", "0x{n}"
        yield f'cascade_route_paused{{{of}, route="main"}}', "0x{n}"
        yield f'cascade_calls_not_taken_total{{{of}, route="main", reason="http_429"}}', "0x{n}"
        yield f'cascade_other_texts_total{{{of}, template="cart"}}', "0x{n}"
        yield f"cascade_spend_fenced_partitions{{{of}}}", "0x{n}"
        yield f'cascade_blocks_total{{{of}, block="recommendations", outcome="missing"}}', "0x{n}"
        yield f"cascade_channel_recoveries_total{{{of}}}", "0x{n}"
        yield f'cascade_provider_words_total{{{of}, outcome="delivered"}}', "0+9000x{n}"
    yield 'cascade_dead_letters_total{code="schema"}', "0x{n}"
    yield "cascade_held_customers_total{}", "0x{n}"
    yield 'cascade_transaction_aborts_total{cause="fenced"}', "0x{n}"
    yield 'cascade_tracker_requests_total{endpoint="receipt", code="200"}', "0+900x{n}"
    yield "cascade_tracker_lost_total{}", "0x{n}"
    yield 'cascade_receipts_unreadable_total{provider="gateway"}', "0x{n}"
    yield 'cascade_state_disk_free_bytes{instance="a"}', "90000000000x{n}"
    yield 'cascade_state_disk_size_bytes{instance="a"}', "100000000000x{n}"
    yield 'cascade_state_disk_reserve_bytes{instance="a"}', "268435456x{n}"
    yield 'cascade_machine_time_seconds{instance="a"}', f"0+{interval}x{{n}}"
    yield 'process_open_fds{instance="a"}', "10x{n}"
    yield 'process_max_fds{instance="a"}', "100000x{n}"


def beside(case):
    """The case with the neighbour in it. What is said of nobody's installation needs a Prometheus without any."""
    asked = case.get("alert_rule_test", [])
    alone = any("installation" not in alert["exp_labels"] for one in asked for alert in one["exp_alerts"])
    if alone:
        return None
    interval = seconds(case["interval"])
    steps = max(seconds(one["eval_time"]) for one in (*asked, *case.get("promql_expr_test", []))) // interval + 10
    series = [
        {"series": name.replace("{", '{installation="staging", ').replace(", }", "}"), "values": values.replace("{n}", str(steps))}
        for name, values in of_one(interval)
    ]
    # What a query gives for the neighbour is not asked for here.
    return {**case, "input_series": case["input_series"] + series, "promql_expr_test": []}


def forgotten():
    rules = " ".join(expression for where, expression in metrics.expressions() if where.startswith("rule "))
    asked = {metrics.PARTS.sub("", name) for name in re.findall(r"\b(?:cascade|process)_[a-z0-9_]+", rules)} & metrics.exported()
    known = {metrics.PARTS.sub("", name.split("{")[0]) for name, _ in of_one(60)}
    yield from (f"the neighbour does not show {name}" for name in sorted(asked - known))


def main():
    cases = yaml.safe_load((PROMETHEUS / "rules.test.yaml").read_text())
    cases["rule_files"] = [str(PROMETHEUS / "rules.yaml")]
    cases["tests"] = [made for made in map(beside, cases["tests"]) if made]
    findings = list(forgotten())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rules.test.yaml"
        path.write_text(yaml.safe_dump(cases))
        judged = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    if judged.returncode:
        findings.append(judged.stdout + judged.stderr)
    print("\n".join(findings))
    return 1 if findings else 0


sys.exit(main())
