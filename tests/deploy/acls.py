"""Each service, and the tools, under a principal of its own, with exactly what deploy/kafka/acls.yaml grants it, on a broker whose authorizer is on.

First a registration goes all the way to a provider, and somebody is erased. Then come principals that lack something: whoever needs it must say
so. Beside that the state of another installation is moved to another prefix, by a principal of its own.

    tests/deploy/acls.py                       in a minute: what one run can miss at once is taken away at once, and each must be named
    CASCADE_ACLS=long tests/deploy/acls.py     each permission of everybody for itself, in some ten minutes
"""

import json
import os
import re
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import yaml
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)
from private import PROBE, ROOT, Kafka, Provider, Service, await_some, profile, record, registration, tool

ACLS = yaml.safe_load((ROOT / "deploy/kafka/acls.yaml").read_text())
ROLES = {"topics": ["topics", "apply"], "intake": ["intake"], "operator": ["operator"], "channel": ["channel", "push"], "tracker": ["tracker"], "canary": ["canary"], "tools": []}
SOURCES = ["cart", "registration", "inactivity", "action", "profile", "feedback"]
# Channels, and rights under them, are the same for all of these; nobody is at work there.
OLD, MID, NEW = "old", "mid", "new"
# Names of all replicas here; each has one shard.
INSTANCES = ("one", "beside")
IS_LONG = os.environ.get("CASCADE_ACLS") == "long"
SETTINGS = """
listeners=PLAINTEXT://127.0.0.1:@PLAIN@,SECURED://127.0.0.1:@SECURED@,CONTROLLER://127.0.0.1:@CONTROL@
advertised.listeners=PLAINTEXT://127.0.0.1:@PLAIN@,SECURED://127.0.0.1:@SECURED@
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.secured.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
REFUSED = ("AUTHORIZATION", "uthoriz", "not authorized", "denied")
# Who may not even see a topic is told so.
HIDDEN = ("missing topics", "there is no topic", "did not come in time")


@dataclass(frozen=True)
class Case:
    """A principal that lacks something of its role, and what shows it."""

    principal: str
    role: str
    lacks: tuple
    # Each must fail. None: the service itself.
    commands: tuple = ()

    def __str__(self):
        return f"{self.role} without {json.dumps([{**grant, 'allow': operation} for grant, operation in self.lacks])}"

    def granted(self):
        """All but what it lacks."""
        return [(grant, operation) for grant in ACLS[self.role] for operation in grant["allow"] if (grant, operation) not in self.lacks]

    def findings(self, words):
        """Nothing if these words say what is missing; of several topics each by its name."""
        complaints = [line for line in words.splitlines() if any(word in line for word in (*REFUSED, *HIDDEN))]
        names = {grant["topic"].replace("CHANNEL", "push") for grant, _ in self.lacks if len(self.lacks) > 1}
        missing = [name for name in names if not any(name in line for line in complaints)]
        return [f"{self} says nothing of {missing or 'it'}: {words[-600:]}"] if missing or not complaints else []


def bindings(role, grant, operation, prefix=""):
    """One, or one for each replica."""
    kinds = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "transactional_id": ResourceType.TRANSACTIONAL_ID,
             "cluster": ResourceType.BROKER}
    resource = next(name for name in kinds if name in grant)
    name = placed(resource, grant[resource].replace("CHANNEL", "push").replace("SHARD", "0"), prefix)
    is_prefixed = grant.get("match") == "prefixed" or (grant[resource] == "*" and prefix)
    pattern = ResourcePatternType.PREFIXED if is_prefixed else ResourcePatternType.LITERAL
    operation = {"Read": AclOperation.READ, "Write": AclOperation.WRITE, "Create": AclOperation.CREATE, "Describe": AclOperation.DESCRIBE,
                 "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS, "AlterConfigs": AclOperation.ALTER_CONFIGS}[operation]
    for one in sorted({name.replace("INSTANCE", instance) for instance in INSTANCES}):
        yield AclBinding(kinds[resource], one, pattern, f"User:{role}", "*", operation, AclPermissionType.ALLOW)


def placed(resource, name, prefix):
    """A name under a prefix, as deploy/kafka/acls.yaml says."""
    if not prefix or resource == "cluster":
        return name
    if name.startswith("cascade-"):
        return re.sub(r"^(cascade-(?:redrive-|release-|rekey-)?)", rf"\g<1>{prefix}.", name)
    if name == "*":
        return f"{prefix}."
    return f"{prefix}.{name.removeprefix('cascade.')}"


def wait_for(answers):
    for answer in answers.values():
        answer.result(30)


def refuse(producer, topic):
    """Whoever may not read the topic notices it only where something is in it."""
    producer.produce(topic, key="0" * 32, value=record(16, "suppression", {"since": 1}))


class World:
    def __init__(self):
        self.cases = cases()
        self.movers = movers()
        self.kafka = Kafka(SETTINGS, [*ROLES, "keda", *(case.principal for case in self.cases), *(mover.principal for mover in self.movers)])
        self.admin = AdminClient({"bootstrap.servers": self.kafka.brokers})
        self.provider = Provider()
        self.runs = 0
        (self.kafka.dir / "key").write_text("links are signed with this secret")
        (self.kafka.dir / "key").chmod(0o600)

    def settings(self, principal, instance):
        """Without a principal: of whoever may do everything."""
        settings = self.secured(principal, instance)
        if principal:
            return settings
        free = {name: value for name, value in settings.items() if not name.startswith(("kafka.sasl", "kafka.security"))}
        return {**free, "brokers": self.kafka.brokers}

    def secured(self, principal, instance):
        return {
            "brokers": f"127.0.0.1:{self.kafka.secured}",
            "instance": instance,
            "channels": "push,canary",
            "topics.partitions": "1",
            "kafka.security.protocol": "SASL_PLAINTEXT",
            "kafka.sasl.mechanism": "SCRAM-SHA-256",
            "kafka.sasl.username": principal,
            "kafka.sasl.password": f"{principal}-password",
            "kafka.session.timeout.ms": "6000",
            "templates.dir": str(ROOT / "deploy/templates"),
            "tracker.listen": "127.0.0.1:0",
            "tracker.keys": f"1:{self.kafka.dir}/key",
            "suppression.secret": "refusals are hashed with this secret",
            "channel.push.transport.kind": "http",
            "channel.push.transport.url": self.provider.url,
            "channel.push.transport.timeout_seconds": 3,
            "channel.push.rate_per_second": 1000,
            "channel.push.on_unknown": "resend",
        }

    def start(self, role, principal=None, instance="one"):
        principal = principal or role
        return Service(ROLES[role], self.settings(principal, instance), self.kafka.dir / f"{principal}-{instance}")

    def tool(self, principal, *arguments, prefix=""):
        self.runs += 1
        settings = {**self.settings(principal, "one"), "topics.prefix": prefix}
        return tool(arguments, settings, self.kafka.dir / f"tool-{self.runs}")

    def grant(self, principal, grants, prefix=""):
        if not grants:
            return
        wait_for(self.admin.create_acls([one for grant, operation in grants for one in bindings(principal, grant, operation, prefix)]))

    def register(self, customer):
        """A customer with an address, who registers; a refusal of somebody who was erased; and a record that nobody can read."""
        producer, now = Producer({"bootstrap.servers": self.kafka.brokers}), int(time.time() * 1000)
        known = profile(customer, now)
        producer.produce("profile", key=customer, value=record(4, "profile", known))
        # Somebody who was known under another id before: one row speaks to another, through `input`.
        merged = {**known, "event_id": f"m-{customer}", "customer_id": f"{customer}-now", "formerly": [f"{customer}-before"]}
        producer.produce("profile", key=f"{customer}-now", value=record(4, "profile", merged))
        producer.flush(10)
        # Topics have no order among each other: the address has to be there before.
        time.sleep(1)
        producer.produce("registration", key=customer, value=record(1, "registration", registration(customer, now)))
        producer.produce("cart", key=f"{customer}-poison", value=b"nobody reads this")
        refuse(producer, "suppression")
        producer.flush(10)


def whole_way(world):
    """With exactly what is granted, everything works."""
    for role in ROLES:
        world.grant(role, singles(role))
    for case in world.cases:
        world.grant(case.principal, case.granted())
    code, words = world.tool("topics", "topics", "apply")
    if code:
        return [f"topics apply: {words}"], {}
    (world.kafka.dir / "probe.yaml").write_text(PROBE)
    code, words = world.tool("tools", "campaign", "apply", f"{world.kafka.dir}/probe.yaml")
    if code:
        return [f"campaign apply: {words}"], {}
    services = {role: world.start(role) for role in ("intake", "operator", "channel", "tracker", "canary")}
    for role, service in services.items():
        await_some(f"{role} is ready:\n{service.words()}", service.is_ready, 60)
    world.register("first")
    await_some("a message reaches the provider", lambda: world.provider.taken, 40)
    findings = [f"{role} is refused something: {line}" for role, service in services.items() for line in service.words().splitlines()
                if any(word in line for word in REFUSED)]
    findings += fenced_off(world)
    findings += second_chances(world)
    findings += scaled(world)
    for command in (["journal", "--customer", "first"], ["state", "show", "first"], ["state", "verify"], ["state", "export"],
                    ["erase", "--customer", "first"], ["erase", "--customer", "first-now", "--yes"]):
        code, words = world.tool("tools", *command)
        if code:
            findings.append(f"{' '.join(command)}: {words}")
    return findings, services


def scaled(world):
    """What KEDA asks for to count what a worker has not read: refused without its permissions, answered with them."""
    login = {"bootstrap.servers": f"127.0.0.1:{world.kafka.secured}", "security.protocol": "SASL_PLAINTEXT",
             "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "keda", "sasl.password": "keda-password"}
    place = TopicPartition("send.push", 0)
    group = ConsumerGroupTopicPartitions("send.push.workers", [place])
    asks = {"offsets of the group": lambda client: client.list_consumer_group_offsets([group]),
            "the topic's end": lambda client: client.list_offsets({place: OffsetSpec.latest()})}

    def refused():
        found = []
        for what, ask in asks.items():
            try:
                # A client of its own each time: it would remember what it may not see.
                client = AdminClient(login)
                wait_for(ask(client))
            except KafkaException as error:
                found.append(f"KEDA is refused {what}: {error}")
        return found

    if len(refused()) != len(asks):
        yield "KEDA is told what it may not ask"
    world.grant("keda", singles("keda"))
    until = time.monotonic() + 20
    while (left := refused()) and time.monotonic() < until:
        time.sleep(0.5)
    yield from left


def fenced_off(world):
    """Nobody may use the transactional id of another one, or of another replica: he would end what is begun under it."""
    for role, other in (("intake", "cascade.intake.another"), ("operator", "cascade.operator-another-0"), ("operator", "cascade.intake.one"),
                        ("channel", "send.push.workers.another"), ("channel", "send.sms.workers.one"), ("canary", "cascade-redrive-dead-letter"),
                        ("canary", "cascade-release-input"), ("tools", "cascade-rekey-changelog")):
        producer = Producer({"bootstrap.servers": f"127.0.0.1:{world.kafka.secured}", "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-256",
                             "sasl.username": role, "sasl.password": f"{role}-password", "transactional.id": other})
        try:
            producer.init_transactions(10)
        except KafkaException as error:
            if "uthoriz" not in str(error):
                yield f"{role} as {other}: {error}"
        else:
            yield f"{role} may use the transactional id {other}"


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


def singles(role):
    return [(grant, operation) for grant in ACLS[role] for operation in grant["allow"]]


def shown_by(grant, operation):
    """The command that cannot do without this permission. None for what only a mail that came back shows: tests/tests/ways_back.rs has one."""
    topic, writes = grant.get("topic"), operation == "Write"
    if "transactional_id" in grant:
        return {"cascade-campaign": ("campaign", "apply", "other.yaml"), "cascade-redrive-dead-letter": ("dlq", "drop", "--yes"),
                "cascade-release-input": ("dlq", "release", "--customer", "first", "--note", "probe")}[grant["transactional_id"]]
    if topic == "attempt.CHANNEL" or topic == "reply" and writes:
        return None
    if topic in SOURCES and writes:
        return ("dlq", "redrive", "--from", topic, "--yes")
    if topic in (*SOURCES, "input") and not writes or "cluster" in grant:
        return ("doctor",)
    return {
        ("campaign", False): ("campaign", "list"),
        ("campaign", True): ("campaign", "apply", "other.yaml"),
        ("changelog", False): ("campaign", "hygiene"),
        ("send.", False): ("erase", "--customer", "first"),
        ("revoke", False): ("erase", "--customer", "first"),
        ("suppression", False): ("erase", "--customer", "first"),
        ("reply", False): ("erase", "--customer", "first"),
        ("journal", False): ("journal", "--customer", "first"),
        ("dead-letter", False): ("dlq", "list"),
        ("dead-letter", True): ("dlq", "drop", "--yes"),
        ("input", True): ("dlq", "release", "--customer", "first", "--note", "probe"),
        ("*", False): ("topics", "verify"),
    }[topic, writes]


def cases():
    """What is taken away from whom: in the long form each permission for itself, else together what one run tells of."""
    found = []

    def add(role, lacks, *commands):
        found.append(Case(f"{role}-{len(found)}", role, tuple(lacks), commands))

    read_by_doctor, written_by_redrive = [], []
    for grant, operation in singles("tools"):
        command = shown_by(grant, operation)
        is_source = grant.get("topic") in (*SOURCES, "input")
        if command and not IS_LONG and is_source and command[0] == "doctor":
            read_by_doctor.append((grant, operation))
        elif command and not IS_LONG and is_source and command[1] == "redrive":
            written_by_redrive.append((grant, operation))
        elif command:
            add("tools", [(grant, operation)], command)
    if not IS_LONG:
        add("tools", read_by_doctor, ("doctor",))
        # Who may not write to one topic is not stopped by another: each by a command of its own.
        for lack in written_by_redrive:
            add("tools", [lack], shown_by(*lack))
        for role in ("tracker", "channel", "intake", "operator", "canary"):
            add(role, [(grant, operation) for grant, operation in singles(role) if "topic" in grant])
            for grant, operation in singles(role):
                if "group" in grant and operation == "Read":
                    add(role, [(grant, operation)])
        # What is seen before, and lacks when there is something to do.
        for grant, operation in singles("channel"):
            if grant.get("topic") == "attempt.CHANNEL" or "transactional_id" in grant:
                add("channel", [(grant, operation)])
        return found
    for role in ("tracker", "channel", "intake", "operator"):
        for lack in singles(role):
            add(role, [lack])
    # Its campaign is in force by then: what it needs once for that is not missed.
    for lack in singles("canary"):
        if lack[0].get("topic", "campaign") != "campaign":
            add("canary", [lack])
    return found


def service_without(world, case, services):
    """Takes the service's place under a principal that lacks something; it must name what it lacks, at its start or as soon as it needs it."""
    services[case.role].end()
    service = services[case.role] = world.start(case.role, case.principal)
    until = time.monotonic() + 60
    nudged = False
    while (findings := case.findings(service.words())) and time.monotonic() < until:
        if not nudged and service.is_ready():
            world.register(case.principal)
            nudged = True
        time.sleep(0.2)
    service.end()
    return findings


def start_without(world, case):
    """The same beside the service: it cannot even begin."""
    service = world.start(case.role, case.principal, "beside")
    until = time.monotonic() + 60
    while (findings := case.findings(service.words())) and time.monotonic() < until:
        time.sleep(0.2)
    service.end()
    return findings


def tools_without(world, some):
    """Commands, one after the other, since their transactions have the same name: each works for those who lack nothing, and says here what it lacks."""
    findings = []
    for case in some:
        for command in case.commands:
            command = [str(world.kafka.dir / word) if word.endswith(".yaml") else word for word in command]
            found = case.findings(world.tool(case.principal, *command)[1])
            findings += [f"{' '.join(command)}: {words}" for words in found]
    return findings


def letters(world):
    """One of each source, for those who may not give it back; and the commands that whole_way has not tried say nothing of what is lacking."""
    (world.kafka.dir / "other.yaml").write_text(PROBE.replace("probe", "other"))
    producer = Producer({"bootstrap.servers": world.kafka.brokers})
    for source in SOURCES:
        producer.produce(source, key=f"{source}-poison", value=b"nobody reads this")
    # Who may not read a topic in which nothing is, does not miss it.
    withdrawal = {"send_id": str(uuid.uuid4()), "customer_id": "first", "channel": "push", "revoked_at": 1, "reason": "WITHDRAWN"}
    producer.produce("revoke", key="first", value=record(9, "revoke", withdrawal))
    reply = {"event_id": "r1", "customer_id": "first", "channel": "push", "provider": "", "send_id": None, "text": "yes", "occurred_at": 1}
    producer.produce("reply", key="first", value=record(15, "reply", reply))
    producer.flush(10)

    def are_there():
        words = world.tool("tools", "dlq", "list")[1]
        return all(f"{source}-poison" in words for source in SOURCES)

    await_some("a record of each source is a dead letter", are_there, 40)
    findings = []
    for command in (["doctor"], ["topics", "verify"], ["campaign", "hygiene"]):
        words = world.tool("tools", *command)[1]
        if any(word in words for word in (*REFUSED, *HIDDEN)):
            findings.append(f"{' '.join(command)} is refused something: {words}")
    return findings


@dataclass(frozen=True)
class Mover:
    """A principal that moves the state, and lacks something of one of both lists."""

    principal: str
    role: str = ""
    lacks: tuple = ()

    def grant(self, world):
        # What is lacking on one side must not be had by the other list.
        for role, prefixes in (("rekey-from", (OLD, MID)), ("rekey-to", (NEW,) if self.lacks else (MID, NEW))):
            grants = [single for single in singles(role) if (role, single) != (self.role, self.lacks)]
            for prefix in prefixes:
                world.grant(self.principal, grants, prefix)

    def run(self, world, begin, end, *more):
        return world.tool(self.principal, "rekey", "--from-prefix", begin, *more, prefix=end)

    def findings(self, world):
        """Of a side on which something was not read, or is not known: what it lacks is asked for, by its name."""
        begin, more, prefix = (MID, [], MID) if self.role == "rekey-from" else (OLD, ["--yes"], NEW)
        _, words = self.run(world, begin, NEW, *more)
        grant, operation = self.lacks
        resource = next(kind for kind in ("topic", "group", "transactional_id") if kind in grant)
        # Kafka's client says of its transactional id no more than that it is refused.
        name = "ransactional" if resource == "transactional_id" else placed(resource, grant[resource], prefix)
        complaints = [line for line in words.splitlines() if any(word in line for word in (*REFUSED, *HIDDEN))]
        named = any(name in line for line in complaints)
        return [] if named else [f"rekey without {operation} on {name} says nothing of it: {words[-600:]}"]


def movers():
    """Who lacks nothing first; then those who are stopped before anything is written, and in the end those who leave something in the new topics."""
    lacks = [(role, single) for role in ("rekey-from", "rekey-to") for single in singles(role)]
    if not IS_LONG:
        shown = [("topic", "cart"), ("topic", "send."), ("group", "cascade.operator"), ("transactional_id", "cascade-rekey-changelog"), ("topic", "changelog")]
        lacks = [(role, (grant, operation)) for role, (grant, operation) in lacks
                 if any(grant.get(kind) == name for kind, name in shown) and (role, grant.get("topic"), operation) != ("rekey-to", "changelog", "Read")]
    # What was written to the changelog is read at the very end, and that of campaigns and refusals only by who finds it.
    lacks.sort(key=lambda lack: (lack[0], lack[1][1] == "Read" and lack[1][0].get("topic") in ("campaign", "suppression", "changelog")))
    return [Mover("rekey"), *(Mover(f"rekey-{number}", *lack) for number, lack in enumerate(lacks))]


def moves(world):
    """The state goes from one prefix to the next, and no further by those who lack something."""
    whole, *others = world.movers
    for mover in world.movers:
        mover.grant(world)
    steps = [(prefix, ["topics", "apply"]) for prefix in (OLD, MID, NEW)] + [(OLD, ["campaign", "apply", f"{world.kafka.dir}/probe.yaml"])]
    for prefix, command in steps:
        code, words = world.tool("", *command, prefix=prefix)
        if code:
            return [f"{' '.join(command)}: {words}"]
    refusal = Producer({"bootstrap.servers": world.kafka.brokers})
    refuse(refusal, f"{OLD}.suppression")
    refusal.flush(10)
    for more, expected in (([], "would go to mid.changelog"), (["--yes"], "are in mid.changelog")):
        code, words = whole.run(world, OLD, MID, *more)
        if code or expected not in words:
            return [f"rekey {' '.join(more)} says {words}"]
    producer = Producer({"bootstrap.servers": world.kafka.brokers})
    left = [f"{MID}.{name}" for name in (*SOURCES, "input", "send.push")]
    for topic in left:
        producer.produce(topic, key="somebody", value=b"nobody has read this")
    producer.flush(10)
    code, words = whole.run(world, MID, NEW)
    unsaid = [topic for topic in left if f"has not read 1 records of {topic}:" not in words]
    findings = [f"rekey says nothing of what was not read in {unsaid}: {words}"] if unsaid or code != 75 else []
    for mover in others:
        findings += mover.findings(world)
    return findings


def wrong_password(world):
    """Says so in its log, and ends with the code for brokers that do not answer."""
    settings = {**world.settings("tracker", "stranger"), "kafka.sasl.password": "guessed"}
    code, words = tool(["tracker"], settings, world.kafka.dir / "stranger")
    said = "uthentication" in words
    return [] if code == 69 and said else [f"a wrong password ends with {code}: {words}"]


def lanes(world, services):
    """What goes on at the same time; in each lane one after the other."""
    tools = [case for case in world.cases if case.role == "tools"]
    # Those that write letters have one transactional id.
    gives_back = [case for case in tools if case.commands[0][0] == "dlq" and case.commands[0][1] in ("redrive", "drop")]
    others = [case for case in tools if case not in gives_back]
    yield lambda: tools_without(world, gives_back)
    for part in range(2):
        yield lambda part=part: tools_without(world, others[part::2])
    for role in services:
        mine = [case for case in world.cases if case.role == role]
        is_begun_in_vain = {case.principal for case in mine if not IS_LONG and (len(case.lacks) > 1 or "group" in case.lacks[0][0])}
        yield lambda mine=mine, vain=is_begun_in_vain: [
            finding for case in mine if case.principal in vain for finding in start_without(world, case)]
        yield lambda mine=mine, vain=is_begun_in_vain: [
            finding for case in mine if case.principal not in vain for finding in service_without(world, case, services)]
    yield lambda: moves(world)
    yield lambda: wrong_password(world)


def main():
    world = World()
    services = {}
    try:
        findings, services = whole_way(world)
        findings += [] if findings else letters(world)
        if not findings:
            with ThreadPoolExecutor(16) as pool:
                for found in pool.map(lambda lane: lane(), list(lanes(world, services))):
                    findings += found
    finally:
        for service in services.values():
            service.end()
        world.kafka.end()
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
