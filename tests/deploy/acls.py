"""Each service, and the tools, under a principal of its own, with exactly what deploy/kafka/acls.yaml grants it, on a broker whose authorizer is on.

First a registration goes all the way to a provider. Then each permission is taken away in turn: whoever needs it must say so.

    tests/deploy/acls.py                                       those of the tracker, a worker and the tools, in two minutes
    tests/deploy/acls.py tools tracker intake channel operator everybody's
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import yaml
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from private import ROOT, Kafka, Provider, Service, await_some, record, tool

ACLS = yaml.safe_load((ROOT / "deploy/kafka/acls.yaml").read_text())
ROLES = {"topics": ["topics", "apply"], "intake": ["intake"], "operator": ["operator"], "channel": ["channel", "push"], "tracker": ["tracker"], "tools": []}
SOURCES = ["cart", "registration", "inactivity", "action", "profile", "feedback"]
# What only a record that comes along shows, not the start.
AT_WORK = {
    ("intake", "dead-letter"),
    ("operator", "journal"),
    ("operator", "revoke"),
    ("operator", "dead-letter"),
    ("operator", "send."),
}
SETTINGS = """
listeners=PLAINTEXT://127.0.0.1:@PLAIN@,SECURED://127.0.0.1:@SECURED@,CONTROLLER://127.0.0.1:@CONTROL@
advertised.listeners=PLAINTEXT://127.0.0.1:@PLAIN@,SECURED://127.0.0.1:@SECURED@
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.secured.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
CAMPAIGN = """campaign: probe
version: 1
trigger: {on: registration}
stop: delivered
steps:
  - {name: hello, channel: push, at: trigger, template: welcome}
"""
REFUSED = ("AUTHORIZATION", "uthoriz", "not authorized", "denied")


def binding(role, grant, operation, kind=AclBinding):
    kinds = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "transactional_id": ResourceType.TRANSACTIONAL_ID,
             "cluster": ResourceType.BROKER}
    resource = next(name for name in kinds if name in grant)
    name = grant[resource].replace("CHANNEL", "push")
    pattern = ResourcePatternType.PREFIXED if grant.get("match") == "prefixed" and name else ResourcePatternType.LITERAL
    operation = {"Read": AclOperation.READ, "Write": AclOperation.WRITE, "Create": AclOperation.CREATE, "Describe": AclOperation.DESCRIBE,
                 "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS, "AlterConfigs": AclOperation.ALTER_CONFIGS}[operation]
    return kind(kinds[resource], name or "*", pattern, f"User:{role}", "*", operation, AclPermissionType.ALLOW)


def wait_for(answers):
    for answer in answers.values():
        answer.result(30)


class World:
    def __init__(self):
        self.kafka = Kafka(SETTINGS, ROLES)
        self.admin = AdminClient({"bootstrap.servers": self.kafka.brokers})
        self.provider = Provider()
        (self.kafka.dir / "key").write_text("links are signed with this secret")
        (self.kafka.dir / "key").chmod(0o600)

    def settings(self, role, instance):
        return {
            "brokers": f"127.0.0.1:{self.kafka.secured}",
            "instance": instance,
            "channels": "push",
            "topics.partitions": "1",
            "kafka.security.protocol": "SASL_PLAINTEXT",
            "kafka.sasl.mechanism": "SCRAM-SHA-256",
            "kafka.sasl.username": role,
            "kafka.sasl.password": f"{role}-password",
            "kafka.session.timeout.ms": "6000",
            "templates.dir": str(ROOT / "deploy/templates"),
            "tracker.listen": "127.0.0.1:0",
            "tracker.keys": f"1:{self.kafka.dir}/key",
            "channel.push.transport.kind": "http",
            "channel.push.transport.url": self.provider.url,
            "channel.push.rate_per_second": "1000",
            "channel.push.on_unknown": "resend",
        }

    def start(self, role, instance="one"):
        return Service(ROLES[role], self.settings(role, instance), self.kafka.dir / f"{role}-{instance}")

    def tool(self, role, *arguments):
        return tool(arguments, self.settings(role, "one"), self.kafka.dir / "tool")

    def grant(self, role, grant, operation):
        wait_for(self.admin.create_acls([binding(role, grant, operation)]))

    def revoke(self, role, grant, operation):
        wait_for(self.admin.delete_acls([binding(role, grant, operation, AclBindingFilter)]))

    def register(self, customer):
        """A customer with an address, who registers; and a record that nobody can read."""
        producer, now = Producer({"bootstrap.servers": self.kafka.brokers}), int(time.time() * 1000)
        consent = {"channel": "push", "granted": True, "at": now, "source": "", "text_version": ""}
        profile = {"event_id": f"p-{customer}", "customer_id": customer, "occurred_at": now, "contacts": [{"channel": "push", "address": "token"}],
                   "consents": [consent], "time_zone": "UTC", "locale": None, "attributes": {}, "erased": False, "formerly": []}
        registration = {"event_id": f"r-{customer}", "customer_id": customer, "occurred_at": now, "source": "", "attributes": {}}
        producer.produce("profile", key=customer, value=record(4, "profile", profile))
        # Somebody who was known under another id before: one row speaks to another, through `input`.
        merged = {**profile, "event_id": f"m-{customer}", "customer_id": f"{customer}-now", "formerly": [f"{customer}-before"]}
        producer.produce("profile", key=f"{customer}-now", value=record(4, "profile", merged))
        producer.flush(10)
        # Topics have no order among each other: the address has to be there before.
        time.sleep(1)
        producer.produce("registration", key=customer, value=record(1, "registration", registration))
        producer.produce("cart", key=f"{customer}-poison", value=b"nobody reads this")
        producer.flush(10)


def whole_way(world):
    """With exactly what is granted, everything works."""
    for role, grants in ACLS.items():
        wait_for(world.admin.create_acls([binding(role, grant, operation) for grant in grants for operation in grant["allow"]]))
    code, words = world.tool("topics", "topics", "apply")
    if code:
        return [f"topics apply: {words}"], {}
    (world.kafka.dir / "probe.yaml").write_text(CAMPAIGN)
    code, words = world.tool("tools", "campaign", "apply", f"{world.kafka.dir}/probe.yaml")
    if code:
        return [f"campaign apply: {words}"], {}
    services = {role: world.start(role) for role in ("intake", "operator", "channel", "tracker")}
    for role, service in services.items():
        await_some(f"{role} is ready:\n{service.words()}", service.is_ready, 60)
    world.register("first")
    await_some("a message reaches the provider", lambda: world.provider.taken, 40)
    findings = [f"{role} is refused something: {line}" for role, service in services.items() for line in service.words().splitlines()
                if any(word in line for word in REFUSED)]
    findings += second_chances(world)
    code, words = world.tool("tools", "journal", "--customer", "first")
    if code:
        findings.append(f"journal: {words}")
    return findings, services


def second_chances(world):
    """A dead letter is listed, goes back, comes again with a count, and is dropped."""

    def dlq(*arguments):
        code, words = world.tool("tools", "dlq", *arguments)
        if code:
            raise SystemExit(f"dlq {' '.join(arguments)}: {words}")
        return words

    await_some("the record that nobody can read is a dead letter", lambda: "1 dead letters" in dlq("list", "--code", "not_framed"), 40)
    place = next(word for word in dlq("list").split() if word.startswith("0/"))
    expected = [
        (("show", place), "value  17 bytes, not shown"),
        (("redrive",), "nothing was done: with --yes 1 dead letters"),
        (("redrive", "--yes"), f"{place} went back to cart"),
    ]
    findings = [f"dlq {' '.join(arguments)} says {said}" for arguments, words in expected if words not in (said := dlq(*arguments))]
    await_some("it comes again", lambda: "cascade.redrive.count: 1" in dlq("show", "--code", "not_framed"), 40)
    expected = [
        (("list", "--all"), "0 redriven"),
        (("redrive", "--at-most", "1", "--yes"), "came back each time"),
        (("drop", "--yes"), "1 dead letters dropped"),
        (("list",), "0 dead letters"),
    ]
    return findings + [f"dlq {' '.join(arguments)} says {said}" for arguments, words in expected if words not in (said := dlq(*arguments))]


def without(world, role, services):
    """Takes away one permission after the other; the service must name what it lacks, at its start or as soon as it needs it."""
    findings = []
    for number, grant in enumerate(ACLS[role]):
        for operation in grant["allow"]:
            what = json.dumps({**grant, "allow": operation})
            world.revoke(role, grant, operation)
            services[role].end()
            service = services[role] = world.start(role, "one")
            at_work = (role, grant.get("topic")) in AT_WORK or operation == "Write"

            # A topic that one may not see looks like one that is not there.
            hidden = f"missing topics: {grant.get('topic', '?').replace('CHANNEL', 'push')}"

            def complains(service=service, hidden=hidden):
                return any(word in service.words() for word in (*REFUSED, hidden))

            until = time.monotonic() + 60
            nudged = False
            while not complains() and time.monotonic() < until:
                if at_work and not nudged and service.is_ready():
                    world.register(f"{role}-{number}-{operation}")
                    nudged = True
                time.sleep(0.2)
            if not complains():
                findings.append(f"{role} does not say that it lacks {what}: {service.words()[-300:]}")
            world.grant(role, grant, operation)
    services[role].end()
    return findings


def shown_by(world, grant, operation):
    """The command that cannot do without this permission. None for what only a mail that came back shows: tests/tests/ways_back.rs has one."""
    topic, writes = grant.get("topic"), operation == "Write"
    if topic == "attempt.CHANNEL":
        return None
    if topic in SOURCES and writes:
        return ["dlq", "redrive", "--from", topic, "--yes"]
    if topic in (*SOURCES, "input") and not writes or "cluster" in grant:
        return ["doctor"]
    return {
        ("campaign", False): ["campaign", "list"],
        ("campaign", True): ["campaign", "apply", f"{world.kafka.dir}/other.yaml"],
        ("changelog", False): ["campaign", "hygiene"],
        ("journal", False): ["journal", "--customer", "first"],
        ("dead-letter", False): ["dlq", "list"],
        ("dead-letter", True): ["dlq", "drop", "--yes"],
        ("input", True): ["dlq", "release", "--customer", "first", "--note", "probe"],
        (None, True): ["dlq", "release", "--customer", "first", "--note", "probe"],
        ("", False): ["topics", "verify"],
    }[topic, writes]


def tools_without(world):
    """Takes away one permission of the tools after the other: the command that needs it works before, and says so after."""
    (world.kafka.dir / "other.yaml").write_text(CAMPAIGN.replace("probe", "other"))
    producer = Producer({"bootstrap.servers": world.kafka.brokers})
    for source in SOURCES:
        producer.produce(source, key=f"{source}-poison", value=b"nobody reads this")
    producer.flush(10)

    def has_letter(source):
        return f"{source}-poison" in world.tool("tools", "dlq", "list", "--from", source)[1]

    for source in SOURCES:
        await_some(f"a record of {source} is a dead letter", lambda source=source: has_letter(source), 40)

    def lacks(command):
        words = world.tool("tools", *command)[1]
        return any(word in words for word in (*REFUSED, "missing topics", "there is no topic"))

    findings = [f"{' '.join(command)} is refused something" for command in (["doctor"], ["topics", "verify"], ["campaign", "hygiene"]) if lacks(command)]
    for grant in ACLS["tools"]:
        for operation in grant["allow"]:
            command = shown_by(world, grant, operation)
            if not command:
                continue
            world.revoke("tools", grant, operation)
            time.sleep(0.5)
            until = time.monotonic() + 10
            while not (is_told := lacks(command)) and time.monotonic() < until:
                pass
            if not is_told:
                findings.append(f"{' '.join(command)} does not say that it lacks {json.dumps({**grant, 'allow': operation})}")
            world.grant("tools", grant, operation)
            time.sleep(0.5)
    return findings


def wrong_password(world):
    """Says so in its log, and ends with the code for brokers that do not answer."""
    settings = {**world.settings("tracker", "stranger"), "kafka.sasl.password": "guessed"}
    code, words = tool(["tracker"], settings, world.kafka.dir / "stranger")
    said = "uthentication" in words
    return [] if code == 69 and said else [f"a wrong password ends with {code}: {words}"]


def main():
    world = World()
    services = {}
    try:
        findings, services = whole_way(world)
        if not findings:
            everybody = sys.argv[1:] or ["tools", "tracker", "channel"]
            checks = [lambda role=role: without(world, role, services) if role in services else tools_without(world) for role in everybody]
            checks.append(lambda: wrong_password(world))
            with ThreadPoolExecutor() as pool:
                for found in pool.map(lambda check: check(), checks):
                    findings += found
    finally:
        for service in services.values():
            service.end()
        world.kafka.end()
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
