"""The same facts by every way in, a producer on Kafka, signed HTTP and a file, are the same bytes in the same place; and an import that was
killed goes on and leaves nothing out. Needs the built program; exits with 1 on any finding.

    tests/deploy/ways_in.py
"""

import base64
import hashlib
import hmac
import json
import sys
import time
import urllib.error
import urllib.request
from io import BytesIO

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

from private import ROOT, Kafka, Service, await_some, record, tool

SECRET = "events are signed with this secret"
LINES = 40_000
PARTITIONS = 2
NOW = 1_780_308_000_000


class World:
    def __init__(self):
        self.kafka = Kafka()
        self.dir = self.kafka.dir
        self.runs = 0
        for name, text in {"key": "links are signed with this secret", "secret": SECRET}.items():
            (self.dir / name).write_text(text)
        self.settings = {
            "brokers": self.kafka.brokers, "instance": "one", "channels": "push", "topics.partitions": str(PARTITIONS), "log.level": "error",
            "tracker.keys": f"1:{self.dir}/key", "tracker.listen": "127.0.0.1:0", "tracker.port_file": str(self.dir / "tracker.address"),
            "tracker.producers": f"crm:{self.dir}/secret",
        }
        self.settings["state.dir"] = str(self.dir / "state")
        self.producer = Producer({"bootstrap.servers": self.kafka.brokers, "partitioner": "murmur2_random"})
        self.eye = Consumer({"bootstrap.servers": self.kafka.brokers, "group.id": "eye"})
        self.tool("topics", "apply")

    def tool(self, *words):
        self.runs += 1
        code, said = tool(words, self.settings, self.dir / f"run-{self.runs}")
        return code, said

    def post(self, events, secret=SECRET, at=None):
        """The status of the answer and what it says."""
        self.runs += 1
        body, moment = json.dumps(events).encode(), str(int(at or time.time()))
        digest = hmac.new(secret.encode(), f"msg-{self.runs}.{moment}.".encode() + body, hashlib.sha256).digest()
        headers = {"webhook-id": f"msg-{self.runs}", "webhook-timestamp": moment, "webhook-signature": "v1," + base64.b64encode(digest).decode()}
        request = urllib.request.Request(f"http://{(self.dir / 'tracker.address').read_text().strip()}/events/crm", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def read(self, topic):
        """All that is committed: partition, key, value, headers."""
        consumer = Consumer({"bootstrap.servers": self.kafka.brokers, "group.id": "eye", "isolation.level": "read_committed",
                             "enable.auto.commit": False, "enable.partition.eof": True})
        partitions = list(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        found, ended = [], set()
        while len(ended) < len(partitions):
            for message in consumer.consume(5_000, 1.0):
                if message.error():
                    ended.add(message.partition())
                else:
                    found.append((message.partition(), message.key(), message.value(), dict(message.headers() or [])))
        consumer.close()
        return found

    def count(self, topic):
        def look():
            try:
                places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
                return [sum(self.eye.get_watermark_offsets(place, timeout=10)[1] for place in places)]
            except KafkaException:  # a broker that is busy with itself: it says so, and is asked again
                return None

        return await_some("the broker says where a topic ends", look, pause=0.01)[0]


def action(customer, event):
    return {"event_id": event, "customer_id": customer, "occurred_at": NOW, "action": "lead", "key": "k", "amount_minor": 0, "currency": "",
            "items": [], "attributes": {"points": "5"}}


def by_every_way(world):
    services = [Service([name], world.settings, world.dir / name) for name in ("tracker", "intake")]
    for service in services:
        await_some("a service is ready", service.is_ready)
    said = action("amy", "lead-1")
    world.producer.produce("action", key="amy", value=record(3, "action", said))
    world.producer.flush(30)
    if (answer := world.post({"type": "action", "data": said}))[0] != 204:
        yield f"an event is not taken: {answer}"
    (world.dir / "a.ndjson").write_text(json.dumps(said) + "\n")
    (world.dir / "a.csv").write_text("event_id,who,when,action,key,attributes.points\nlead-1,amy,2026-06-01T10:00:00Z,lead,k,5\n")
    for words in (["a.ndjson"], ["a.csv", "--map", "customer_id=who", "--map", "occurred_at=when"]):
        code, told = world.tool("import", str(world.dir / words[0]), "--kind", "action", *words[1:])
        if code:
            yield f"{words[0]} is not imported: {told}"
    records = world.read("action")
    if len(records) != 4 or len({(place, key, value) for place, key, value, _ in records}) != 1:
        yield f"four ways, and not the same bytes in one place: {records}"
    inputs = await_some("intake has taken all", lambda: (found := facts(world)) and len(found) == 4 and found)
    if any(fact != inputs[0] for fact in inputs):
        yield f"what the operator reads is not the same: {inputs}"
    yield from refused_alike(world)


def facts(world):
    schema = fastavro.parse_schema(fastavro.schema.load_schema(str(ROOT / "schemas/input.avsc")))
    read = [fastavro.schemaless_reader(BytesIO(value[5:]), schema) for _, key, value, _ in world.read("input") if key == b"amy"]
    return [fact["fact"] for fact in read]


def refused_alike(world):
    """What intake refuses, it refuses of everybody; what is no record, or is not signed, is not taken."""
    nobody, before = action("", "lead-2"), world.count("action")
    world.producer.produce("action", key="", value=record(3, "action", nobody))
    world.producer.flush(30)
    wrong = {**nobody, "ammount_minor": 5}
    answers = [
        (204, world.post([{"type": "action", "data": nobody}])),
        (400, world.post([{"type": "action", "data": action("amy", "lead-3")}, {"type": "action", "data": wrong}])),
        (401, world.post({"type": "action", "data": nobody}, secret="another secret of this length")),
        (401, world.post({"type": "action", "data": nobody}, at=time.time() - 301)),
        (413, world.post([{"type": "action", "data": nobody}] * 1_001)),
    ]
    yield from (f"{wanted} was expected: {answer}" for wanted, answer in answers if answer[0] != wanted)
    if '"event":1' not in answers[1][1][1]:
        yield f"which event does not fit is not told: {answers[1][1]}"
    if world.count("action") != before + 2:
        yield "something of what was refused is there"
    letters = await_some("both are dead letters", lambda: (found := world.read("dead-letter")) and len(found) == 2 and found)
    if len({value for _, _, value, _ in letters}) != 1 or {headers["cascade.error.code"] for *_, headers in letters} != {b"field_empty"}:
        yield f"dead letters differ: {letters}"


def comes_back_no_more(world):
    """What the operator refuses each time goes back as often as it is told to, and not for ever; the count goes through intake as well."""
    operator = Service(["operator"], world.settings, world.dir / "operator")
    await_some("the operator is ready", operator.is_ready)
    world.producer.produce("input", key="bob", value=b"nobody reads this")
    world.producer.flush(30)

    def letters():
        found = [headers for _, key, value, headers in world.read("dead-letter") if key == b"bob" and value]
        return [int(headers.get("cascade.redrive.count", b"0")) for headers in found if headers["cascade.error.stage"] == b"operator"]

    for times in range(3):
        await_some("the operator refuses it", lambda wanted=times + 1: len(letters()) == wanted)
        code, told = world.tool("dlq", "redrive", "--stage", "operator", "--yes")
        if code or "1 dead letters redriven" not in told:
            yield f"after {times} times it does not go back: {told}"
            return
    await_some("the operator refuses it", lambda: len(letters()) == 4)
    if letters() != [0, 1, 2, 3]:
        yield f"how often it came back is not counted: {letters()}"
    code, told = world.tool("dlq", "redrive", "--stage", "operator", "--yes")
    if "was redriven 3 times" not in told or "0 dead letters redriven" not in told:
        yield f"it goes back for ever: {told}"
    # A letter of intake that is right by now, as `dlq redrive` writes it.
    world.producer.produce("action", key="dan", value=record(3, "action", action("dan", "lead-9")), headers={"cascade.redrive.count": b"2"})
    world.producer.flush(30)
    taken = await_some("intake takes it", lambda: [headers for _, key, _, headers in world.read("input") if key == b"dan"])
    if taken != [{"cascade.redrive.count": b"2"}]:
        yield f"intake forgets how often it came back: {taken}"


def killed_and_goes_on(world):
    file = world.dir / "visits.ndjson"
    file.write_text("".join(f'{{"customer_id":"c{number}","occurred_at":{number + 1},"action":"visit"}}\n' for number in range(LINES)))
    words, before = ["import", str(file), "--kind", "action"], world.count("action")
    code, told = world.tool(*words, "--dry-run")
    if code or f"{LINES} records are right" not in told or world.count("action") != before:
        yield f"a rehearsal: {told}"
    running = Service(words, world.settings, world.dir / "killed")
    await_some("some of it is published", lambda: world.count("action") > before + 1_000, pause=0.001)
    running.end()
    killed_at = world.count("action") - before
    if killed_at >= LINES:
        yield "the import was faster than whoever was to kill it: nothing is shown"
    code, told = world.tool(*words)
    published = world.read("action")
    published = [value for _, key, value, _ in published if key.startswith(b"c")]
    if code or len(set(published)) != LINES:
        yield f"{len(set(published))} of {LINES} records are there: {told}"
    if len(published) > LINES + 1_000:
        yield f"{len(published) - LINES} records came twice: more than one portion"
    code, told = world.tool(*words)
    if code or "0 of them were published" not in told:
        yield f"a third time it was: {told}"
    print(f"killed after {killed_at} of {LINES}; {len(published) - LINES} came twice")


def main():
    world = World()
    findings = 0
    for look in (by_every_way, comes_back_no_more, killed_and_goes_on):
        for finding in look(world):
            print(finding, flush=True)
            findings += 1
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
