"""From a cause to its alert to its cure, executed: real services on a private Kafka, watched by a real Prometheus with the real rules, whose
windows are shortened. For each cause the right alert fires, its page of the runbook names the cure, and after the cure it is silent again.
Every page of metrics is well formed, the canary's too.

    tests/deploy/outages.py                          the canary's panels, and the causes that are quick, in a minute
    CASCADE_OUTAGES=long tests/deploy/outages.py     all of them, in some minutes
"""

import os
import re
import shutil
import signal
import sys
import time

import metrics
from confluent_kafka import Producer
from live import PROMETHEUS, Prometheus, has_data, ill_formed
from private import PROBE, ROOT, Kafka, Provider, Service, await_some, free_ports, profile, record, registration, tool

IS_LONG = os.environ.get("CASCADE_OUTAGES") == "long"
# What this machine's disk and clock are like is not this check's business.
OF_THE_MACHINE = {"CascadeDiskFilling", "CascadeDiskFull", "CascadeFilesRunningOut"}
SERVICES = {
    "intake": ["intake"],
    "operator": ["operator"],
    "tracker": ["tracker"],
    "push": ["channel", "push"],
    "channel-canary": ["channel", "canary"],
    "canary": ["canary"],
}


def shortened(rules):
    """The same conditions, which hold for seconds instead of minutes. Windows of hours stay: they are memories."""
    rules = re.sub(r"\bfor: \d+[mh]\b", "for: 2s", rules)
    return re.sub(r"\[\d+m\]", "[12s]", re.sub(r"\boffset \d+m\b", "offset 12s", rules))


class World:
    def __init__(self):
        self.kafka = Kafka()
        self.provider = Provider()
        self.dir = self.kafka.dir
        (self.dir / "key").write_text("links are signed with this secret")
        (self.dir / "key").chmod(0o600)
        self.ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        self.running, self.runs, self.customers = {}, 0, 0
        (self.dir / "rules.yaml").write_text(shortened((ROOT / "deploy/prometheus/rules.yaml").read_text()))
        (self.dir / "probe.yaml").write_text(PROBE)
        for arguments in (["topics", "apply"], ["campaign", "apply", str(self.dir / "probe.yaml")]):
            self.tool(*arguments)
        for name in SERVICES:
            self.start(name)
        for name in SERVICES:
            await_some(f"{name} is ready:\n{self.running[name].words()}", self.running[name].is_ready, 90)
        self.addresses = {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
        self.prometheus = Prometheus(self.dir, self.addresses, self.dir / "rules.yaml")
        await_some("Prometheus is ready", self.prometheus.ready)

    def settings(self, name):
        return {
            "brokers": self.kafka.brokers,
            "instance": "one",
            "channels": "push,canary",
            "topics.partitions": "2",
            "ops.listen": f"127.0.0.1:{self.ports.get(name, 0)}",
            "kafka.session.timeout.ms": "6000",
            "templates.dir": str(ROOT / "deploy/templates"),
            "tracker.listen": "127.0.0.1:0",
            "tracker.keys": f"1:{self.dir}/key",
            "channel.push.transport.kind": "http",
            "channel.push.transport.url": self.provider.url,
            "channel.push.transport.timeout_seconds": 3,
            "channel.push.on_unknown": "resend",
            "channel.canary.transport.kind": "nowhere",
            "channel.canary.on_unknown": "resend",
            "canary.interval": "1",
            "canary.patience": "8",
        }

    def start(self, name):
        self.running[name] = Service(SERVICES[name], self.settings(name), self.dir / name)

    def kill(self, name):
        self.running[name].end()

    def tool(self, *arguments):
        self.runs += 1
        code, words = tool(arguments, self.settings("tool"), self.dir / f"tool-{self.runs}")
        if code:
            raise SystemExit(f"{' '.join(arguments)}: {words}")
        return words

    def write(self, topic, key, value):
        producer = Producer({"bootstrap.servers": self.kafka.brokers})
        producer.produce(topic, key=key, value=value)
        producer.flush(10)

    def register(self):
        """Somebody who gets a push."""
        self.customers += 1
        customer, now = f"c{self.customers}", int(time.time() * 1000)
        self.write("profile", customer, record(4, "profile", profile(customer, now)))
        # Topics have no order among each other.
        time.sleep(0.5)
        self.write("registration", customer, record(1, "registration", registration(customer, now)))

    def firing(self):
        found = self.prometheus.ask("alerts")["data"]["alerts"]
        return {one["labels"]["alertname"] for one in found if one["state"] == "firing"} - OF_THE_MACHINE

    def end(self):
        for service in self.running.values():
            service.end()
        if getattr(self, "prometheus", None):
            self.prometheus.process.kill()
            self.prometheus.process.wait()
        self.kafka.end()


def killed(name):
    return lambda world: world.kill(name), lambda world: world.start(name)


def poison(world):
    world.write("registration", "c0", b"nobody reads this")


def dropped(world):
    world.tool("dlq", "drop", "--yes")
    world.tool("dlq", "release", "--customer", "c0", "--note", "probe")


def refusing(world):
    world.provider.status = 503
    for _ in range(12):
        world.register()


def taking(world):
    world.provider.status = 200


def frozen(process_of):
    return (lambda world: process_of(world).send_signal(signal.SIGSTOP)), (lambda world: process_of(world).send_signal(signal.SIGCONT))


def behind(world):
    """Intake stands still, and something waits for it."""
    world.running["intake"].process.send_signal(signal.SIGSTOP)
    world.register()


def awake(world):
    world.running["intake"].process.send_signal(signal.SIGCONT)


# What happens, the alert, a word of the cure on its page, and what is done: the cause and the cure. Whether the short form has it.
CAUSES = [
    ("the canary's worker is killed", "CascadeCanaryLost", "cascade channel canary", *killed("channel-canary"), True),
    ("a producer writes what nobody can read", "CascadeDeadLetters", "dlq", poison, dropped, True),
    ("intake is killed", "CascadeServiceGone", "Exit code", *killed("intake"), True),
    ("the operator is killed", "CascadeOperatorAbsent", "Start it", *killed("operator"), False),
    ("the tracker is killed", "CascadeServiceGone", "Exit code", *killed("tracker"), False),
    ("a worker is killed", "CascadeServiceGone", "Exit code", *killed("push"), False),
    ("the canary itself is killed", "CascadeServiceGone", "Exit code", *killed("canary"), False),
    ("a provider takes nothing", "CascadeProviderPaused", "provider", refusing, taking, False),
    ("sources are not read", "CascadeSourcesBehind", "intake", behind, awake, False),
    ("the broker stands still", "CascadeServiceNotReady", "The brokers do not answer", *frozen(lambda world: world.kafka.process), False),
]


def blank_panels(world, since):
    """Those of the canary, which the demo does not have."""
    for where, query in metrics.expressions():
        if ".json, panel Canary" not in where:
            continue
        answer = world.prometheus.ask("query_range", query=query.replace("$__rate_interval", "10s").replace("$installation", "cascade"), start=since, end=time.time(), step=1)
        if answer["status"] != "success" or not has_data(answer):
            yield f"{where} is blank: {query} {answer.get('error', '')}"


def main():
    if not PROMETHEUS:
        print("there is no prometheus in the PATH: deploy/setup.sh installs it")
        return 1
    world, since, findings = None, time.time(), []
    try:
        world = World()
        await_some(f"nothing fires while all is well; firing are {world.firing()}", lambda: not world.firing(), 90)
        for cause, alert, cure, happen, mend, is_short in CAUSES:
            if not (is_short or IS_LONG):
                continue
            begun = time.monotonic()
            happen(world)
            await_some(f"{alert} fires: {cause}; firing are {world.firing()}", lambda alert=alert: alert in world.firing(), 120)
            fired = time.monotonic() - begun
            if cure not in (ROOT / f"deploy/runbook/{alert}.md").read_text():
                findings.append(f"{alert}.md says nothing of {cure}: {cause}")
            mend(world)
            await_some(f"{alert} is silent again: {cause}", lambda alert=alert: alert not in world.firing(), 120)
            print(f"{cause}: {alert} after {fired:.0f} s, silent {time.monotonic() - begun - fired:.0f} s after the cure", file=sys.stderr)
        findings += [*blank_panels(world, since), *ill_formed(world.addresses)]
    finally:
        if world:
            world.end()
            shutil.rmtree(world.dir, ignore_errors=True)
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
