"""A private Kafka and services of Cascade on it, for checks that need them for a moment."""

import atexit
import http.server
import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import tomllib
from io import BytesIO
from pathlib import Path

import fastavro

ROOT = Path(__file__).parents[2]
PROGRAM = os.environ.get("CASCADE_BIN") or str(Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "debug/cascade")


def free_ports(count):
    """Below those that the kernel gives to whoever connects: one of these could be taken again before it is bound."""
    ports = []
    while len(ports) < count:
        port = random.randrange(10_000, 32_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        if port not in ports:
            ports.append(port)
    return ports


def await_some(what, look, patience=60, pause=0.1):
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(pause)
    raise SystemExit(f"waited in vain until {what}")


class Kafka:
    """A broker on loopback; `settings` are further properties, in which @SECURED@ is a second port."""

    def __init__(self, settings="", users=(), ports=(), form="--standalone --feature eligible.leader.replicas.version=0"):
        """Other `ports` and another `form`: one of several, which is ready when the others are there."""
        self.dir = Path(tempfile.mkdtemp(prefix="cascade-private-"))
        plain, self.secured, control = ports or free_ports(3)
        self.brokers = f"127.0.0.1:{plain}"
        home = self.dir / "kafka"
        home.mkdir()
        (home / "port").write_text(f"{plain}\n")
        (self.dir / "settings").write_text(settings.replace("@SECURED@", str(self.secured)).replace("@PLAIN@", str(plain)).replace("@CONTROL@", str(control)))
        scram = [f"--add-scram SCRAM-SHA-256=[name={user},password={user}-password]" for user in users]
        environment = {**os.environ, "KAFKA_CALLER": str(os.getpid()), "KAFKA_SETTINGS": str(self.dir / "settings"),
                       "KAFKA_FORMAT": " ".join([form, *scram])}
        self.process = subprocess.Popen([ROOT / "deploy/kafka/start.sh", home], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        atexit.register(self.end)
        self.is_ready = lambda: (home / "bootstrap").exists() or self.ended()
        if not ports:
            await_some("the broker is ready", self.is_ready, 180)

    def ended(self):
        if self.process.poll() is not None:
            raise SystemExit(f"the broker ended:\n{(self.dir / 'kafka/kafka.log').read_text()[-2000:]}")

    def end(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def three_kafkas(settings=""):
    """Brokers of one cluster."""
    free = free_ports(9)
    ports = [free[first : first + 3] for first in (0, 3, 6)]
    voters = ",".join(f"{number}@127.0.0.1:{control}" for number, (_, _, control) in enumerate(ports, 1))
    own = "listeners=PLAINTEXT://127.0.0.1:@PLAIN@,CONTROLLER://127.0.0.1:@CONTROL@\nadvertised.listeners=PLAINTEXT://127.0.0.1:@PLAIN@\n"
    brokers = [Kafka(f"node.id={number}\ncontroller.quorum.voters={voters}\n{own}{settings}", ports=ports[number - 1], form=" ") for number in (1, 2, 3)]
    for broker in brokers:
        await_some("three brokers are ready", broker.is_ready, 180)
    return brokers


class Service:
    """A process of ours: its words, and whether it is ready. Whatever happens, it ends with this program."""

    def __init__(self, arguments, settings, directory):
        directory.mkdir(parents=True, exist_ok=True)
        self.ops = directory / "ops"
        self.ops.unlink(missing_ok=True)
        self.log = directory / "log"
        (directory / "cascade.toml").write_text("".join(f'"{key}" = {json.dumps(value)}\n' for key, value in settings.items()))
        tomllib.loads((directory / "cascade.toml").read_text())
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CASCADE_")}
        environment |= {"CASCADE_CONFIG": str(directory / "cascade.toml"), "CASCADE_OPS_PORT_FILE": str(self.ops)}
        with self.log.open("w") as log:
            self.process = subprocess.Popen([PROGRAM, *arguments], env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=directory)
        atexit.register(self.end)

    def words(self):
        return self.log.read_text()

    def is_ready(self):
        if not self.ops.exists():
            return False
        asked = subprocess.run([PROGRAM, "health", "--ready", "--address", self.ops.read_text().strip()], capture_output=True, check=False)
        return asked.returncode == 0

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def tool(arguments, settings, directory):
    """Runs a command to its end: exit code and words."""
    service = Service(arguments, settings, directory)
    return service.process.wait(120), service.words()


def record(number, name, value):
    """Bytes in Confluent's frame, under the id that is built in."""
    schema = fastavro.parse_schema(fastavro.schema.load_schema(str(ROOT / f"schemas/{name}.avsc")))
    out = BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return b"\0" + (1_000_000_000 + 1000 * number + 1).to_bytes(4, "big") + out.getvalue()


# Answers a registration by a push.
PROBE = """campaign: probe
version: 1
trigger: {on: registration}
stop: delivered
steps:
  - {name: hello, channel: push, at: trigger, template: welcome}
"""


def profile(customer, now):
    """Somebody with an address and a consent for push, as Avro takes it."""
    consent = {"channel": "push", "granted": True, "at": now, "source": "", "text_version": ""}
    return {"event_id": f"p-{customer}", "customer_id": customer, "occurred_at": now, "contacts": [{"channel": "push", "address": "token"}],
            "consents": [consent], "time_zone": "UTC", "locale": None, "attributes": {}, "erased": False, "formerly": []}


def registration(customer, now):
    return {"event_id": f"r-{customer}", "customer_id": customer, "occurred_at": now, "source": "", "attributes": {}}


class Provider:
    """Takes everything, and counts; with another `status` it answers that, and takes nothing."""

    def __init__(self):
        self.taken = taken = []
        self.status = 200
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if provider.status == 200:
                    taken.append(body)
                self.send_response(provider.status)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/push"
