"""`cascade doctor` finds what is planted, on a real Kafka and in files, and nothing where all is well."""

import base64
import http.server
import subprocess
import sys
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType
from private import PROGRAM, ROOT, Kafka, record, three_kafkas, tool

# Brokers as somebody might leave them.
BROKER = {
    "unclean.leader.election.enable=true": "broker 1, unclean.leader.election.enable",
    "auto.create.topics.enable=true": "broker 1, auto.create.topics.enable",
    "transaction.max.timeout.ms=10000": "broker 1, transaction.max.timeout.ms",
    "group.max.session.timeout.ms=30000": "broker 1, group.max.session.timeout.ms",
    "offsets.retention.minutes=60": "broker 1, offsets.retention.minutes",
}
# The same where there are three, which could do better.
THREE = {
    "offsets.topic.replication.factor=1": "broker 1, offsets.topic.replication.factor",
    "transaction.state.log.replication.factor=2": "broker 1, transaction.state.log.replication.factor",
    "transaction.state.log.min.isr=1": "broker 1, transaction.state.log.min.isr",
}


class Registry:
    """Answers whoever has the login: no subject is registered."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            known = self.headers.get("Authorization") == "Basic " + base64.b64encode(b"me:secret").decode()
            self.send_response(404 if known else 401)
            self.end_headers()

        def log_message(self, *_):
            pass

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *_):
        self.server.shutdown()


def wait_for(answers):
    for answer in answers.values():
        answer.result(30)


class World:
    def __init__(self, kafka):
        self.kafka = kafka
        self.dir = self.kafka.dir
        self.admin = AdminClient({"bootstrap.servers": self.kafka.brokers})
        self.runs = 0
        self.key = self.dir / "key"
        self.key.write_text("links are signed with this secret")
        self.key.chmod(0o600)
        (self.dir / "file").write_text("")
        self.settings = {
            "brokers": self.kafka.brokers,
            "instance": "one",
            "channels": "push",
            "topics.partitions": "2",
            "templates.dir": str(ROOT / "deploy/templates"),
            "state.dir": str(self.dir / "state"),
            "tracker.keys": f"1:{self.key}",
            "tracker.url": "https://track.example.com",
            "suppression.secret": "refusals are hashed with this secret",
            # What the brokers above would refuse otherwise.
            "kafka.transaction.timeout.ms": "9000",
            "kafka.session.timeout.ms": "20000",
            "log.level": "error",
        }

    def ask(self, more=None, offline=False, services=()):
        self.runs += 1
        settings = {key: value for key, value in {**self.settings, **(more or {})}.items() if value is not None}
        arguments = ["doctor", *(["--offline"] if offline else []), *(f"--service={service}" for service in services)]
        return tool(arguments, settings, self.dir / f"run-{self.runs}")

    def topics(self, action, **more):
        self.runs += 1
        return tool(["topics", action], {**self.settings, **{key.replace("_", "."): value for key, value in more.items()}}, self.dir / f"run-{self.runs}")

    def produce(self, topic, value, timestamp=0):
        producer = Producer({"bootstrap.servers": self.kafka.brokers})
        producer.produce(topic, key="c1", value=value, timestamp=timestamp)
        producer.flush(10)

    def alter(self, kind, name, key, value):
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        wait_for(self.admin.incremental_alter_configs([ConfigResource(kind, name, incremental_configs=[entry])]))


def in_settings(world):
    """What is set, and where it must show."""
    yield {"clock": f"driven:{world.dir}/file"}, "THREAT  clock:"
    yield {"templates.dir": "nowhere"}, "THREAT  templates.dir:", "channel"
    yield {"templates.dir": "nowhere"}, "advice  templates.dir:", "operator"
    yield {"state.dir": str(world.dir / "file")}, "THREAT  state.dir:", "operator"
    yield {"state.dir": str(world.dir / "file")}, "advice  state.dir:"
    yield {"state.reserve": "900000000"}, "THREAT  state.reserve:", "operator"
    yield {"kafka.enable.idempotence": "false"}, "THREAT  kafka.enable.idempotence:"
    yield {"kafka.partitioner": "consistent"}, "THREAT  kafka.partitioner:"
    yield {"kafka.sasl.username": "me"}, "THREAT  kafka.security.protocol:"
    yield {"sources.wait": "no"}, "THREAT  sources.wait:"
    yield {"tracker.url": "http://track.example.com"}, "THREAT  tracker.url:"
    yield {"tracker.keys": f"1:{world.dir}/no-key"}, "advice  files:"
    yield {"tracker.keys": f"1:{world.dir}/no-key"}, "no-key", "tracker"
    yield {"topics.prefix": "Shop"}, "THREAT  settings:"
    yield {"instance": None}, "advice  instance:"


def planted_in_settings(world):
    code, words = world.ask(offline=True)
    if code or "nothing threatens" not in words:
        yield f"all is well, and the doctor says: {words}"
    if (world.dir / "state").exists():
        yield "the doctor has made the state directory"
    for change, shows, *services in in_settings(world):
        code, words = world.ask(change, offline=True, services=services)
        if shows not in words:
            yield f"{change} was not found: {words}"
        if code != (0 if shows.startswith("advice") else 1):
            yield f"{change} ends with {code}"
    world.key.chmod(0o644)
    if "may be read by everybody" not in world.ask(offline=True)[1]:
        yield "a key that everybody may read was not found"
    world.key.chmod(0o600)


def planted_on_brokers(world):
    code, words = tool(["topics", "apply"], world.settings, world.dir / "apply")
    if code:
        yield words
    world.produce("registration", record(1, "registration", {"event_id": "r", "customer_id": "c1", "occurred_at": 0, "source": "", "attributes": {}}))
    code, words = world.ask()
    for shows in ("THREAT  topic", "THREAT  topics", "THREAT  settings"):
        if shows in words:
            yield f"topics are as they should be, and the doctor says: {words}"
    for setting, shows in BROKER.items():
        if "max" not in setting and shows not in words:
            yield f"{setting} was not found: {words}"
    _, words = world.ask({"kafka.transaction.timeout.ms": None, "kafka.session.timeout.ms": None})
    for setting, shows in BROKER.items():
        if shows not in words:
            yield f"{setting} was not found: {words}"
    # Several at once: each must be found beside the others.
    wait_for(world.admin.delete_topics(["journal", "revoke"]))
    world.alter(ResourceType.TOPIC, "changelog", "cleanup.policy", "delete")
    time.sleep(1)
    wait_for(world.admin.create_topics([NewTopic("revoke", 3, 1)]))
    # Brokers stamp records, so one that is ahead of us has a broker's clock behind it; here a producer's.
    world.alter(ResourceType.TOPIC, "input", "message.timestamp.type", "CreateTime")
    time.sleep(1)
    world.produce("cart", b"nobody reads this")
    world.produce("profile", b"\0\0\0\0\7" + b"x")
    world.produce("input", record(1, "registration", {"event_id": "r", "customer_id": "c1", "occurred_at": 0, "source": "", "attributes": {}}),
                  int(time.time() * 1000) + 3_600_000)
    code, words = world.ask({"topics.replication": "3"})
    if code != 1:
        yield f"so much is wrong, and the doctor ends with {code}"
    for shows in (
        "THREAT  topic journal: there is no topic",
        "THREAT  topic revoke: topic revoke has 3 partitions",
        "THREAT  topic changelog: topic changelog has cleanup.policy=delete",
        "have fewer copies than the 3",
        "THREAT  topic cart: 1 of its newest records are not in Confluent's frame",
        "THREAT  topic profile: its newest records have schema ids that are not known here: [7]",
        "THREAT  topic input: its newest record is 35",
    ):
        if shows not in words:
            yield f"not found: {shows}\nin {words}"
    _, words = world.ask({"registry.url": "http://127.0.0.1:9"})
    if "THREAT  registry.url: the registry gives no answer" not in words:
        yield f"a registry that is not there was not found: {words}"
    with Registry() as registry:
        login = {"registry.url": registry.url, "registry.user": "me", "registry.password": "secret"}
        for settings, is_known in ((login, True), ({**login, "registry.password": "guessed"}, False)):
            _, words = world.ask(settings)
            if ("THREAT  registry.url" in words) == is_known:
                yield f"a registry with a login, asked with {settings['registry.password']}: {words}"
    world.kafka.process.kill()
    _, words = world.ask()
    if "THREAT  brokers: " not in words:
        yield f"brokers that are gone were not found: {words}"


def planted_in_their_own(world):
    """Topics that brokers make for themselves: what is there counts, not what is set for later."""
    producer = Producer({"bootstrap.servers": world.kafka.brokers, "transactional.id": "probe"})
    producer.init_transactions(30)
    consumer = Consumer({"bootstrap.servers": world.kafka.brokers, "group.id": "probe"})
    consumer.commit(offsets=[TopicPartition("cart", 0, 0)], asynchronous=False)
    consumer.close()
    _, words = world.ask({"topics.replication": "3"})
    for shows in (
        "THREAT  topic __consumer_offsets: has partitions with 1 of 3 copies",
        "THREAT  topic __transaction_state: has partitions with 2 of 3 copies",
        "THREAT  topic __transaction_state: has min.insync.replicas=1",
    ):
        if shows not in words:
            yield f"not found: {shows}\nin {words}"


def planted_on_three(world):
    """What is confirmed is on two of three; topics with one copy are not stopped by wishes."""
    three, one = {"topics_replication": "3"}, {"topics_replication": "1", "topics_prefix": "lone"}
    for settings in (three, one):
        code, words = world.topics("apply", **settings)
        if code:
            yield words
    _, words = world.ask({"topics.replication": "3"})
    if "THREAT  topic" in words:
        yield f"two of three confirm, and the doctor says: {words}"
    for setting, shows in THREE.items():
        if f"THREAT  {shows}" not in words:
            yield f"{setting} was not found: {words}"
    yield from planted_in_their_own(world)
    world.alter(ResourceType.TOPIC, "changelog", "min.insync.replicas", "1")
    time.sleep(1)
    for words in (world.ask({"topics.replication": "3"})[1], world.topics("verify", **three)[1]):
        if "topic changelog has min.insync.replicas=1, but 2 is needed" not in words:
            yield f"one copy is enough for a commit, and nobody says so: {words}"
    code, words = world.topics("apply", **three)
    if code or "configure changelog: min.insync.replicas=1 -> 2" not in words or world.topics("verify", **three)[0]:
        yield f"it is not set right: {words}"
    code, words = world.topics("plan", **{**one, **three})
    if code or "configure" in words:
        yield f"with one copy nobody could write any more: {words}"


def main():
    if subprocess.run([PROGRAM, "doctor", "--help"], capture_output=True, check=False).returncode:
        print(f"{PROGRAM} knows no doctor: build it")
        return 1
    world = World(Kafka("\n".join(BROKER) + "\n"))
    try:
        findings = [finding for check in (planted_in_settings, planted_on_brokers) for finding in check(world)]
    finally:
        world.kafka.end()
    brokers = three_kafkas("\n".join(THREE) + "\n")
    try:
        findings += planted_on_three(World(brokers[0]))
    finally:
        for broker in brokers:
            broker.end()
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
