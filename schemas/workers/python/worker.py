"""A channel's worker in Python: takes commands from `send.<channel>`, says in `feedback` what became of them.

    pip install -r requirements.txt
    BROKERS=localhost:9092 CHANNEL=push PROVIDER_URL=https://gateway.example/messages python worker.py

What it must keep to stands in ../README.md. Replace `hand_over` by your provider; the rest stays.
"""
import datetime, io, json, os, pathlib, signal, time, urllib.error, urllib.request

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from fastavro import parse_schema, schemaless_reader, schemaless_writer

CHANNEL, PROVIDER_URL = os.environ["CHANNEL"], os.environ["PROVIDER_URL"]
PREFIX = os.environ.get("TOPICS_PREFIX", "") and os.environ["TOPICS_PREFIX"] + "."
SEND, REVOKE, FEEDBACK = f"{PREFIX}send.{CHANNEL}", f"{PREFIX}revoke", f"{PREFIX}feedback"
# `skip`: a message whose outcome is unknown is not sent again (paid channels); `resend`: it is, with the same id.
SKIP = os.environ.get("ON_UNKNOWN", "resend") == "skip"
# Further properties of your cluster, such as security.protocol, go in here.
KAFKA = {"bootstrap.servers": os.environ["BROKERS"]}
# Without read_committed one sees commands of transactions that were given up, and sends what nobody decided.
READ = {**KAFKA, "isolation.level": "read_committed", "enable.auto.commit": False, "fetch.wait.max.ms": 25}
SCHEMAS = pathlib.Path(os.environ.get("SCHEMAS", pathlib.Path(__file__).parents[2]))
# Schema ids of these files. A newer Cascade may write newer ones: then this worker stops until it has them, too.
IDS = {"send": 1_000_008_001, "revoke": 1_000_009_001, "feedback": 1_000_005_001}
AVRO = {name: parse_schema(json.loads((SCHEMAS / f"{name}.avsc").read_text())) for name in IDS}
LOOK_IS_GOOD_FOR = 1.0  # seconds from the question what is withdrawn to the call of the provider


def decode(name, value):
    """A zero byte, the schema id in four bytes, the datum."""
    if value[:5] != b"\0" + IDS[name].to_bytes(4, "big"):
        raise ValueError(f"not a record of {name}.avsc as I know it: take the schemas of the Cascade that wrote it")
    return schemaless_reader(io.BytesIO(value[5:]), AVRO[name])


def encode(name, record):
    out = io.BytesIO(b"\0" + IDS[name].to_bytes(4, "big"))
    out.seek(5)
    schemaless_writer(out, AVRO[name], record)
    return out.getvalue()


class Withdrawals:
    """What was withdrawn. Partition p of `revoke` belongs to partition p of `send.<channel>`; a client of its own, in no group."""

    def __init__(self):
        self.ids, self.next = set(), {}
        self.client = Consumer({**READ, "group.id": f"{SEND}.withdrawals", "enable.partition.eof": True})
        partitions = self.client.list_topics(REVOKE, timeout=30).topics[REVOKE].partitions
        self.client.assign([TopicPartition(REVOKE, partition, OFFSET_BEGINNING) for partition in partitions])

    def look(self, partition):
        """Reads this partition to where it ends now. Returns the moment of the question."""
        asked = time.monotonic()
        end = self.client.get_watermark_offsets(TopicPartition(REVOKE, partition), timeout=30)[1]
        while self.next.get(partition, 0) < end:
            record = self.client.poll(1.0)
            if record is None:
                continue
            if record.error() and not record.error().name() == "_PARTITION_EOF":
                raise KafkaException(record.error())
            if record.error():  # where a partition ends, which may be behind markers that nobody sees
                self.next[record.partition()] = max(record.offset(), self.next.get(record.partition(), 0))
                continue
            self.next[record.partition()] = record.offset() + 1
            withdrawn = decode("revoke", record.value())
            if withdrawn["channel"] in ("", CHANNEL):
                self.ids.add(withdrawn["send_id"])
        return asked


def hand_over(send):
    """Calls the provider. Returns statuses to tell, a code and the provider's id; no statuses: not taken for now."""
    message = {key: send[key] for key in ("send_id", "template", "locale", "fields")} | {"to": send["address"]}
    headers = {"content-type": "application/json", "idempotency-key": send["send_id"]}
    request = urllib.request.Request(PROVIDER_URL, json.dumps(message).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            body = response.read()
    except urllib.error.HTTPError as error:
        if error.code in (400, 410, 422):  # what speaks of this message alone, and never of all: no key that has run out
            return ["REFUSED"], f"http_{error.code}", None
        return ([], None, None) if error.code < 500 or error.code == 503 else unknown(f"http_{error.code}")
    except OSError as error:
        is_not_reached = isinstance(getattr(error, "reason", None), ConnectionRefusedError)
        return ([], None, None) if is_not_reached else unknown("no_answer")
    try:  # whatever stands there, it has been taken
        said = json.loads(body)
    except ValueError:
        said = None
    said = said if isinstance(said, dict) else {}
    # DELIVERED or FAILED at once, where the provider knows it; else its receipts tell (see the contract).
    later = [said["status"].upper()] if said.get("status") in ("delivered", "failed") else []
    return ["ACCEPTED"] + later, None, said.get("provider_id")


def unknown(code):
    return (["UNKNOWN"], code, None) if SKIP else ([], None, None)


def tell(producer, send, status, code=None, provider_id=None):
    """Each fact has one id, so that a repeat changes nothing. Returns once Kafka has it. No address, no text in it."""
    fact = {
        "event_id": f"{send['send_id']}/{status}", "customer_id": send["customer_id"], "send_id": send["send_id"],
        "occurred_at": datetime.datetime.now(datetime.timezone.utc), "channel": CHANNEL, "status": status,
        "provider": "python", "provider_id": provider_id, "code": code,
    }
    failed = []
    report = lambda error, _: failed.append(error) if error else None
    producer.produce(FEEDBACK, encode("feedback", fact), key=send["customer_id"], on_delivery=report)
    if producer.flush(60) or failed:
        raise KafkaException(failed and failed[0] or "feedback was not taken in time")


def main():
    # Java's partitioner, so that all that is told of a customer stands in one order, whoever tells it.
    producer = Producer({**KAFKA, "enable.idempotence": True, "partitioner": "murmur2_random"})
    withdrawals, settled = Withdrawals(), {}
    commands = Consumer({**READ, "group.id": f"{SEND}.workers", "auto.offset.reset": "earliest"})
    commands.subscribe([SEND])
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    while not stopped:
        record = commands.poll(1.0)
        if record is None:
            continue
        if record.error():
            raise KafkaException(record.error())
        send = decode("send", record.value())
        asked = withdrawals.look(record.partition())
        if send["send_id"] in settled:  # a command may stand there twice
            statuses, code, provider_id = [], None, None
        elif send["send_id"] in withdrawals.ids:
            statuses, code, provider_id = ["REVOKED"], None, None
        elif datetime.datetime.now(datetime.timezone.utc) > send["send_before"]:
            statuses, code, provider_id = ["EXPIRED"], None, None
        else:
            if SKIP:  # whoever dies from here on has sent at most once
                commands.commit(record, asynchronous=False)
            is_fresh = time.monotonic() - asked < LOOK_IS_GOOD_FOR
            statuses, code, provider_id = hand_over(send) if is_fresh else ([], None, None)
            if not statuses:  # another turn; whoever was withdrawn meanwhile is seen then
                time.sleep(1.0 if is_fresh else 0.0)
                commands.seek(TopicPartition(SEND, record.partition(), record.offset()))
                continue
        for status in statuses:
            tell(producer, send, status, code, provider_id)
        settled[send["send_id"]] = None
        if len(settled) > 100_000:
            del settled[next(iter(settled))]
        commands.commit(record, asynchronous=False)
    commands.close()  # so that the others need not wait for a time-out


if __name__ == "__main__":
    main()
