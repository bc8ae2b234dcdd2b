"""The running demo, seen by a real Prometheus: every panel has data, every rule can be evaluated, every page of metrics is well formed.

Takes as long as a short demo, half a minute on two idle cores.

    tests/deploy/live.py          with $CASCADE_BIN, or the program in $CARGO_TARGET_DIR
"""

import json
import math
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import metrics

ROOT = Path(__file__).parents[2]
PROGRAM = os.environ.get("CASCADE_BIN") or str(Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "debug/cascade")
PROMETHEUS = shutil.which("prometheus")
SERVICES = ["intake", "operator", "tracker", "push", "email", "telegram", "viber", "whatsapp", "sms"]
EVENTS = "800"
# A busy machine takes its time; a demo that stands still says so itself.
PATIENCE = 420
# What a short demo cannot show, with the reason. The queries must be evaluated all the same.
QUIET = {
    "cascade:hand_over_failure:ratio_10m": "needs ten minutes",
    "cascade:hand_over_expired:ratio_30m": "nothing expires",
    "cascade:canary_returned:ratio_10m": "the demo has no canary: tests/deploy/outages.py",
    "cascade:canary_round_trip_seconds:p99_10m": "the same",
}
# What a short demo has nothing to count of, with the reason: such a panel shows its zero. Of all others there must be more than that.
NOTHING = {
    "cascade_route_paused": "nothing has more than one route",
    "cascade_revokes_total": "nobody is withdrawn after he was published",
    "cascade_forwarded_total": "nobody had another id before",
    "cascade_dead_letters_total": "everything can be read",
    "cascade_receipts_unreadable_total": "the same",
    'outcome=~"refused|unknown|retry"': "every provider takes what it gets",
    'outcome="expired"': "and quickly",
    "cascade_channel_recoveries_total": "nothing fails",
    "ALERTS": "the same",
    "cascade_restore_": "no state is restored",
    "cascade_standby_lag_records": "there is no standby",
}
ZERO = " or vector(0)"


def await_some(what, look, patience=60):
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if (found := look()) is not None:
            return found
        time.sleep(0.2)
    raise SystemExit(f"waited in vain until {what}")


def fetch(url):
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310, loopback
        return answer.read().decode()


class Prometheus:
    """A private one on loopback that scrapes these addresses each second."""

    def __init__(self, directory, targets, rules=ROOT / "deploy/prometheus/rules.yaml"):
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {
                    "job_name": "cascade",
                    "static_configs": [{"targets": [address], "labels": {"service": name}} for name, address in targets.items()],
                }
            ],
        }
        (directory / "prometheus.yaml").write_text(json.dumps(config))
        self.port = free_port()
        self.process = subprocess.Popen(
            [PROMETHEUS, f"--config.file={directory}/prometheus.yaml", f"--storage.tsdb.path={directory}/prometheus",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            stdout=subprocess.DEVNULL,
            stderr=(directory / "prometheus.log").open("w"),
        )
        self.url = f"http://127.0.0.1:{self.port}"

    def ready(self):
        try:
            return fetch(f"{self.url}/-/ready") or None
        except OSError:
            return None

    def ask(self, path, **question):
        try:
            return json.loads(fetch(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(question)}"))
        except urllib.error.HTTPError as error:
            return json.loads(error.read())


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def addresses(directory):
    """Of all services, once each has said where it listens."""
    found = {path.stem: path.read_text().strip() for path in directory.glob("**/*.ops")}
    return found if set(SERVICES) <= set(found) else None


def has_data(answer):
    return any(not math.isnan(float(value)) for series in answer["data"]["result"] for _, value in series["values"])


def blank_queries(prometheus, since):
    for where, query in metrics.expressions():
        query = query.replace("$__rate_interval", "10s").replace("$installation", "cascade")
        # A query with a label that nobody has would show its zero for ever.
        if query.endswith(ZERO) and not any(name in query for name in NOTHING):
            query = query.removesuffix(ZERO)
        answer = prometheus.ask("query_range", query=query, start=since, end=time.time(), step=1)
        if answer["status"] != "success":
            yield f"{where}: {answer.get('error')}"
        elif ".json, panel Canary" in where:
            # Business time of the demo jumps. Such panels have data in tests/deploy/outages.py.
            continue
        elif ".json, panel" in where and not has_data(answer):
            yield f"{where} is blank: {query}"


def failing_rules(prometheus):
    for group in prometheus.ask("rules")["data"]["groups"]:
        for rule in group["rules"]:
            if rule["health"] != "ok":
                yield f"rule {rule['name']}: {rule['health']} {rule.get('lastError', '')}"
            if rule["type"] == "recording" and rule["name"] not in QUIET:
                if not prometheus.ask("query", query=f"last_over_time({rule['name']}[1h])")["data"]["result"]:
                    yield f"{rule['name']} records nothing"


def ill_formed(targets):
    for name, address in targets.items():
        page = fetch(f"http://{address}/metrics")
        judged = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
        if judged.returncode:
            yield f"{name}: {judged.stderr.strip()}"


def not_scraped(prometheus, targets):
    up = prometheus.ask("query", query="min_over_time(up[10s])")["data"]["result"]
    alive = {series["metric"]["service"] for series in up if series["value"][1] == "1"}
    yield from (f"{name} was not scraped" for name in targets if name not in alive)


def main():
    if not PROMETHEUS:
        print("there is no prometheus in the PATH: deploy/setup.sh installs it")
        return 1
    directory = Path(tempfile.mkdtemp(prefix="cascade-live-"))
    log = (directory / "demo.log").open("w+")
    environment = {**os.environ, "TMPDIR": str(directory)}
    demo = subprocess.Popen([PROGRAM, "demo", "--deploy", str(ROOT / "deploy"), "--events", EVENTS, "--stay"],
                            stdout=log, stderr=subprocess.STDOUT, env=environment)
    prometheus = None
    try:
        def lives():
            if demo.poll() is not None:
                raise SystemExit(f"the demo has ended:\n{(directory / 'demo.log').read_text()[-2000:]}")

        targets = await_some("every service listens", lambda: lives() or addresses(directory), 120)
        prometheus, since = Prometheus(directory, targets), time.time()
        await_some("Prometheus is ready", prometheus.ready)
        await_some("the demo has come to its end", lambda: lives() or ("goes on running" in (directory / "demo.log").read_text() or None), PATIENCE)
        # Once more with everything at rest, so that what happened last is seen.
        time.sleep(2)
        checks = (blank_queries(prometheus, since), failing_rules(prometheus), ill_formed(targets), not_scraped(prometheus, targets))
        findings = [finding for check in checks for finding in check]
    finally:
        if prometheus:
            prometheus.process.kill()
            prometheus.process.wait()
        demo.terminate()
        try:
            demo.wait(30)
        except subprocess.TimeoutExpired:
            demo.kill()
    shutil.rmtree(directory, ignore_errors=True)
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
