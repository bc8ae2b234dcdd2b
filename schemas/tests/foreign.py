"""Reads and writes our records with fastavro, which shares no code with the product.

Takes one JSON object a line: {"name", "schema" (file), "bytes" (hex of a framed record), "json" (the expected value)}.
Answers one a line: {"name", "read" (what fastavro reads from the bytes), "written" (hex of what it writes of the value)}.
Last it writes a cart as a producer in Python would: with a datetime, and without the fields that have defaults.
"""

import datetime
import io
import json
import pathlib
import sys
import uuid

import fastavro

UTC = datetime.timezone.utc
EPOCH = datetime.datetime.fromtimestamp(0, UTC)
MILLISECOND = datetime.timedelta(milliseconds=1)


def plain(value):
    """What fastavro reads, in the form of our JSON."""
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // MILLISECOND
    if isinstance(value, bytes):  # an id, or a row's marks: six bytes each, so never sixteen
        return str(uuid.UUID(bytes=value)) if len(value) == 16 else value.decode("latin-1")
    if isinstance(value, tuple):  # a record in a union, with its full name
        name, record = value
        return {name.rsplit(".", 1)[-1]: plain(record)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def typed(value, schema, names):
    """A value of our JSON, in the form that fastavro writes with this schema."""
    if isinstance(schema, str) and schema in names:
        schema = names[schema]
    if isinstance(schema, list):
        if "null" in schema:
            return None if value is None else typed(value, next(s for s in schema if s != "null"), names)
        (name, record), = value.items()
        full = "dev.cascade." + name
        return full, typed(record, names[full], names)
    if schema == "bytes":
        return value.encode("latin-1")
    if not isinstance(schema, dict):
        return value
    kind = schema["type"]
    if kind == "record":
        return {field["name"]: typed(value[field["name"]], field["type"], names) for field in schema["fields"]}
    if kind == "array":
        return [typed(item, schema["items"], names) for item in value]
    if kind == "fixed":
        return uuid.UUID(value).bytes
    return value


def write(schema, value, identifier):
    """The value in a Confluent frame."""
    datum = io.BytesIO()
    fastavro.schemaless_writer(datum, schema, value)
    return (b"\0" + identifier + datum.getvalue()).hex()


def main():
    schemas = pathlib.Path(sys.argv[1])
    for line in sys.stdin:
        task = json.loads(line)
        names = {}
        schema = fastavro.parse_schema(json.loads((schemas / task["schema"]).read_text()), names)
        framed = bytes.fromhex(task["bytes"])
        datum = io.BytesIO(framed[5:])
        read = fastavro.schemaless_reader(
            datum, schema, None, return_record_name=True, return_record_name_override=True
        )
        assert framed[0] == 0 and not datum.read(), f"{task['name']}: the datum does not fill the frame"
        written = write(schema, typed(task["json"], schema, names), framed[1:5])
        print(json.dumps({"name": task["name"], "read": plain(read), "written": written}))

    cart = {
        "event_id": "from-python",
        "customer_id": "клиент",
        "occurred_at": datetime.datetime(2026, 3, 1, 10, 0, tzinfo=UTC),
        "cart_id": "cart-9",
        "items": [{"sku": "tea-250"}],
    }
    schema = fastavro.parse_schema(json.loads((schemas / "cart.avsc").read_text()))
    print(json.dumps({"name": "a producer's cart", "read": None, "written": write(schema, cart, bytes([0, 0, 0, 7]))}))


main()
