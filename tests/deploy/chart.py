"""The Helm chart: lints, renders for several installations, is valid for Kubernetes and keeps to its own promises."""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import catalogue
import crds
import helm_python as helm
import kubernetes_validate as kubernetes
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CHART = Path(__file__).parents[2] / "helm"
PROGRAM = os.environ.get("CASCADE_BIN") or str(Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "debug/cascade")
# Every way to a provider, as the page to copy from has them.
SECTIONS = tomllib.loads((CHART.parent / "deploy/channels.toml").read_text().replace("/run/secrets/", "/etc/cascade/secrets/"))["channel"]
# A text stays a text, also where it reads as something else.
SECTIONS["text"]["transport"]["source"] = "12345"
SECTIONS["viber"]["transport"]["sender"] = "true"
KUBERNETES = ["1.28", "1.31", "1.34", "1.37"]

INSTALLATIONS = {
    "defaults": {},
    "everything on": {
        "image": {"digest": "sha256:" + "0" * 64, "pullSecrets": [{"name": "registry"}]},
        "channels": {
            "canary": {"enabled": True, "settings": {"transport.kind": "nowhere"}},
            "email": {
                "enabled": True,
                "settings": {"transport.kind": "email", "transport.host": "mail", "transport.port": 2525, "transport.from": "a@shop.example"},
                "egress": [{"ports": [{"port": 2525, "protocol": "TCP"}]}],
            },
            "sms": {
                "enabled": True,
                "replicas": 2,
                "settings": {
                    "transport.kind": "http",
                    "transport.url": "https://sms.example.com/send",
                    "transport.bearer.file": "/etc/cascade/secrets/token",
                },
                "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 443, "protocol": "TCP"}]}],
                "autoscaling": {"max": 8, "authentication": "kafka-user"},
                "secrets": [{"name": "token", "secret": "sms-provider", "key": "token"}],
            },
        },
        "topics": {"prefix": "shop", "partitions": 64},
        "kafka": {
            "principals": {
                "operator": {
                    "settings": {"sasl.username": "cascade-operator", "session.timeout.ms": 30000},
                    "secrets": [{"property": "sasl.password", "secret": "kafka-operator", "key": "password"}],
                },
                "channel-sms": {"secrets": [{"property": "ssl.key.password", "secret": "kafka-sms", "key": "password"}]},
                "test": {"secrets": [{"property": "sasl.password", "secret": "kafka-tools", "key": "password"}]},
                "tools": {"secrets": [{"property": "sasl.password", "secret": "kafka-tools", "key": "password"}]},
            }
        },
        "settings": {"tracker.producers": "crm:/etc/cascade/secrets/crm", "kafka.security.protocol": "SASL_SSL", "kafka.queue.buffering.max.kbytes": 1000000, "kafka.enable.x": True, "trace.endpoint": "http://collector.traces:4318"},
        "secrets": [{"setting": "kafka.sasl.password", "secret": "kafka-user", "key": "password"}],
        "suppression": {"secret": "refusals", "key": "secret"},
        "tracker": {
            "keys": [{"id": id, "secret": "links", "key": f"key-{id}"} for id in (7, 6)],
            "secrets": [{"name": "crm", "secret": "crm-events", "key": "secret"}],
            "ingress": {"enabled": True, "className": "nginx", "annotations": {"team": "crm"}, "tlsSecret": "track-tls"},
        },
        "networkPolicy": {
            "enabled": True,
            "kafka": {"peers": [{"namespaceSelector": {"matchLabels": {"name": "kafka"}}}], "ports": [9092, 9093]},
            "registry": [{"ports": [{"port": 8081}]}],
            "traces": [{"to": [{"namespaceSelector": {}}], "ports": [{"port": 4318}]}],
            "metrics": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "tracker": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
        },
        "monitoring": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "rules": {"enabled": True, "runbooks": "https://runbooks.example.com/cascade/", "grafana": "https://grafana.example.com"},
            "dashboards": {"enabled": True},
        },
        "canary": {"enabled": True},
        "tools": {"enabled": True},
        "templates": {
            "configMap": "messages",
            "files": [{"path": f"earlier/monday/{name}", "configMap": "messages-monday", "key": name} for name in ("cart.email.txt", "_foot.txt")],
        },
        "operator": {"replicas": 3, "shards": 4, "storage": {"className": "fast"}},
        "podAnnotations": {"team": "crm"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "crm", "operator": "Exists"}],
    },
    "every way to a provider": {"channels": {name: {"enabled": True, "settings": section} for name, section in SECTIONS.items()}},
    "topics made elsewhere": {"topics": {"apply": False, "prefix": "eu-1.shop"}, "disruptionBudgets": {"enabled": False}},
    "behind a gateway": {
        "tracker": {"url": "https://track.example.com:8443", "gateways": [{"name": "public", "namespace": "gateways"}]},
        "networkPolicy": {"enabled": True},
        # Its provider is nobody.
        "channels": {"canary": {"enabled": True, "settings": {"transport": {"kind": "nowhere"}}}},
        "monitoring": {"rules": {"enabled": True}},
    },
}

# Values that must be refused, and a word of the reason.
REFUSED = {
    "a misspelt value": ({"operater": {}}, "operater"),
    "brokers without a port": ({"kafka": {"brokers": "kafka"}}, "brokers"),
    "a prefix in capitals": ({"topics": {"prefix": "Shop"}}, "prefix"),
    "a prefix with its dot": ({"topics": {"prefix": "shop."}}, "prefix"),
    "half a digest": ({"image": {"digest": "sha256:12"}}, "digest"),
    "a channel that is no DNS label": ({"channels": {"SMS": {"enabled": True}}}, "SMS"),
    "a worker without a provider": ({"channels": {"sms": {"enabled": True}}}, "sms is enabled and has no settings"),
    "half a secret of refusals": ({"suppression": {"secret": "refusals"}}, "key"),
    "links without a key": ({"tracker": {"keys": []}}, "keys"),
    "a canary without a worker": ({"canary": {"enabled": True}}, "its messages need a worker"),
    "negative replicas": ({"intake": {"replicas": -1}}, "replicas"),
    "more replicas than partitions": ({"operator": {"replicas": 9}}, "9 replicas share 8 partitions"),
    "a policy that names no port": ({"networkPolicy": {"registry": [{"to": []}]}}, "ports"),
    "brokers at a port that is denied": ({"kafka": {"brokers": "a:9092,b:9093"}, "networkPolicy": {"enabled": True}}, "the broker b:9093"),
    "traces to a collector that is denied": ({"settings": {"trace.endpoint": "http://collector:4318"}, "networkPolicy": {"enabled": True}}, "trace.endpoint"),
    "a worker that is cut off from its provider": ({"channels": {"sms": {"enabled": True, "settings": {"transport.kind": "http"}}}, "networkPolicy": {"enabled": True}}, "set channels.sms.egress"),
    "the same where its transport is a table": ({"channels": {"sms": {"enabled": True, "settings": {"transport": {"kind": "http"}}}}, "networkPolicy": {"enabled": True}}, "set channels.sms.egress"),
    "a registry that is denied": ({"settings": {"registry.url": "http://registry:8081"}, "networkPolicy": {"enabled": True}}, "networkPolicy.registry"),
    "templates beside none": ({"templates": {"files": [{"path": "earlier/a/b.sms.txt", "configMap": "a", "key": "b"}]}}, "templates.configMap"),
    "a template outside": ({"templates": {"configMap": "a", "files": [{"path": "../b", "configMap": "a", "key": "b"}]}}, "path"),
    "a peer that is none": ({"networkPolicy": {"tracker": [{"namespace": "a"}]}}, "tracker"),
    "a scale without an end": ({"channels": {"sms": {"enabled": True, "autoscaling": {}}}}, "max"),
    "a secret in plain sight": ({"secrets": [{"setting": "kafka.sasl.password", "value": "hunter2"}]}, "secrets"),
    "a principal of nobody": ({"kafka": {"principals": {"sms": {}}}}, "there is no sms"),
    "a setting that has a value of its own": ({"settings": {"brokers": "a:1"}}, "brokers"),
}

findings = []


def expect(truth, complaint):
    if not truth:
        findings.append(complaint)


def pod_of(manifest):
    if manifest["kind"] == "Pod":
        return manifest["spec"]
    return manifest["spec"]["template"]["spec"]


def is_for_tools(manifest):
    """It only waits for whoever runs a tool in it: nobody asks how it is."""
    return manifest["metadata"]["name"].endswith("-tools")


def check_restricted(where, pod):
    """What Pod Security's level "restricted" asks, and a little more."""
    security = pod.get("securityContext", {})
    expect(security.get("runAsNonRoot") is True, f"{where}: may run as root")
    expect(security.get("seccompProfile", {}).get("type") == "RuntimeDefault", f"{where}: no seccomp profile")
    expect(pod.get("automountServiceAccountToken") is False, f"{where}: mounts a token it never uses")
    expect(pod.get("enableServiceLinks") is False, f"{where}: service variables would look like settings")
    for container in pod["containers"]:
        inner = container.get("securityContext", {})
        expect(inner.get("allowPrivilegeEscalation") is False, f"{where}: privileges may escalate")
        expect(inner.get("readOnlyRootFilesystem") is True, f"{where}: root file system is writable")
        expect(inner.get("capabilities", {}).get("drop") == ["ALL"], f"{where}: keeps capabilities")
        expect("memory" in container.get("resources", {}).get("limits", {}), f"{where}: no memory limit")


def check_service(where, manifest):
    """A pod that runs for ever: probes on the operations port, an identity that is the pod's name, selectors that match."""
    spec, pod = manifest["spec"], pod_of(manifest)
    serves = not is_for_tools(manifest)
    labels = spec["template"]["metadata"]["labels"]
    selected = spec["selector"]["matchLabels"]
    expect(selected.items() <= labels.items(), f"{where}: its selector does not select its pods")
    for container in pod["containers"]:
        for probe, path in [("startupProbe", "/health"), ("livenessProbe", "/health"), ("readinessProbe", "/ready")] if serves else []:
            expect(container.get(probe, {}).get("httpGet") == {"path": path, "port": "ops"}, f"{where}: {probe} is not {path}")
        instance = [one for one in container["env"] if one["name"] == "CASCADE_INSTANCE"]
        field = instance and instance[0]["valueFrom"]["fieldRef"]["fieldPath"]
        expect(field == "metadata.name", f"{where}: its identity is not the pod's name")
        named = {volume["name"] for volume in pod["volumes"]}
        named |= {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
        for mount in container["volumeMounts"]:
            expect(mount["name"] in named, f"{where}: mounts {mount['name']}, which is no volume of it")


def check_whole(where, manifests):
    for manifest in manifests:
        if manifest["kind"] == "ConfigMap" and "cascade.toml" in manifest["data"]:
            for key in tomllib.loads(manifest["data"]["cascade.toml"]):
                expect(catalogue.knows(key), f"{where}: cascade has no setting {key}")
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    expect(len(names) == len(set(names)), f"{where}: two manifests share a name")
    roles = {one["spec"]["template"]["spec"]["containers"][0]["args"][0] for one in manifests if one["kind"] in ("StatefulSet", "Deployment")}
    expect({"intake", "operator", "tracker"} <= roles, f"{where}: only {roles} are deployed")
    operator = [one for one in manifests if one["kind"] == "StatefulSet" and one["metadata"]["name"].endswith("-operator")]
    expect(len(operator) == 1 and operator[0]["spec"].get("volumeClaimTemplates"), f"{where}: the operator has no volume")


def check_installation(name, values, chart):
    manifests = []
    for path, text in chart.render(values, name="shop", namespace="demo").items():
        if not path.endswith(".txt"):
            manifests += [(path, manifest) for manifest in yaml.safe_load_all(text) if manifest]
    for path, manifest in manifests:
        where = f"{name}: {path}: {manifest['kind']} {manifest['metadata']['name']}"
        if crds.knows(manifest):
            try:
                crds.validate(manifest)
            except Exception as error:  # noqa: BLE001, every refusal is a finding
                findings.append(f"{where}: {error}")
            continue
        for version in KUBERNETES:
            try:
                # A kind without a schema raises here too; the command-line tool would only warn.
                kubernetes.validate(manifest, version, strict=True)
            except Exception as error:  # noqa: BLE001, every refusal is a finding
                findings.append(f"{where}: Kubernetes {version} refuses it: {error}")
        if manifest["kind"] in ("StatefulSet", "Deployment", "Job", "Pod"):
            check_restricted(where, pod_of(manifest))
            for key in ("nodeSelector", "tolerations"):
                expect(pod_of(manifest).get(key) == values.get(key), f"{where}: {key} is {pod_of(manifest).get(key)}")
        if manifest["kind"] in ("StatefulSet", "Deployment"):
            check_service(where, manifest)
    check_whole(name, [manifest for _, manifest in manifests])
    return [manifest for _, manifest in manifests]


def check_settings(manifests):
    """Numbers and truths must reach the file as a human wrote them, not as Helm's floats."""
    text = next(one["data"]["cascade.toml"] for one in manifests if one["kind"] == "ConfigMap" and "cascade.toml" in one["data"])
    for line in [
        '"topics.partitions" = "64"',
        '"kafka.queue.buffering.max.kbytes" = "1000000"',
        '"kafka.enable.x" = "true"',
        '"channels" = "canary,email,push,sms,telegram,viber,whatsapp"',
        '"channel.email.transport.port" = 2525',
        '"tracker.keys" = "7:/etc/cascade/keys/7,6:/etc/cascade/keys/6"',
        '"ops.installation" = "demo/shop"',
    ]:
        expect(line in text.splitlines(), f"settings: {line} is not in\n{text}")


def nested(flat):
    """Sections with dotted keys, as they are meant."""
    tree = {}
    for key, value in flat.items():
        *places, last = key.split(".")
        inner = tree
        for place in places:
            inner = inner.setdefault(place, {})
        inner[last] = value
    return tree


def check_sections(where, values, manifests):
    """A channel's section reaches the file as it stands in the values: texts as texts, lists and tables whole."""
    text = next(one["data"]["cascade.toml"] for one in manifests if one["kind"] == "ConfigMap" and "cascade.toml" in one["data"])
    file = tomllib.loads(text)
    for name, channel in values.get("channels", {}).items():
        start = f"channel.{name}."
        found = nested({key.removeprefix(start): value for key, value in file.items() if key.startswith(start)})
        expect(found == nested(channel.get("settings", {})), f"{where}: the section of {name} is {found}")


def secret_files(text, folder):
    """The files that a configuration names, which would be mounted: keys of the kinds that providers give."""
    curve = ec.generate_private_key(ec.SECP256R1())
    key = curve.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    signing = rsa.generate_private_key(65537, 2048).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    account = {"type": "service_account", "project_id": "shop", "client_email": "push@shop.example", "private_key": signing, "token_uri": "https://oauth2.example/token"}
    for name in set(re.findall(r"/etc/cascade/((?:secrets|keys)/[A-Za-z0-9._-]+)", text)):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(key if name.endswith((".p8", ".pem")) else json.dumps(account) if name.endswith(".json") else "a-secret" if "smsc" in name else "a-secret-of-sixteen-bytes-and-more")
        path.chmod(0o600)


def check_understood(where, manifests, folder):
    """The program, where it is built, takes the file: the doctor reads every section as its service would, and finds nothing."""
    if not Path(PROGRAM).exists():
        return
    text = next(one["data"]["cascade.toml"] for one in manifests if one["kind"] == "ConfigMap" and "cascade.toml" in one["data"])
    folder = Path(folder)
    secret_files(text, folder)
    path = folder / "cascade.toml"
    path.write_text(text.replace("/etc/cascade/", f"{folder}/").replace('"/templates"', f'"{CHART.parent}/deploy/templates"'))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CASCADE_")} | {"WEBHOOK_FORMER": "the secret before"}
    command = [PROGRAM, "doctor", "--offline", "--config", path]
    judged = subprocess.run(command, capture_output=True, text=True, check=False, env={**environment, "CASCADE_INSTANCE": "pod-0"})
    expect(judged.returncode == 0, f"{where}: the program does not take its settings: {judged.stdout}{judged.stderr}")
    explained = subprocess.run([PROGRAM, "config", "explain", "--config", path], capture_output=True, text=True, check=False, env=environment)
    rows = {row.split()[0] for row in explained.stdout.splitlines() if row.split()}
    for channel in sorted({key.split(".")[1] for key in tomllib.loads(text) if key.startswith("channel.")}):
        expect(any(row.startswith(f"channel.{channel}.transport") for row in rows), f"{where}: no worker would see the section of {channel}")


def check_secrets(manifests):
    """Each pod gets the secrets it needs and no others."""
    mounted = {}
    for manifest in manifests:
        if manifest["kind"] in ("StatefulSet", "Deployment", "Job", "Pod"):
            volumes = pod_of(manifest)["volumes"]
            sources = [source for volume in volumes for source in volume.get("projected", {}).get("sources", [])]
            mounted[manifest["metadata"]["name"]] = {source["secret"]["name"] for source in sources if "secret" in source}
    wanted = {
        "shop-cascade-intake": {"kafka-user", "refusals"},
        "shop-cascade-operator": {"kafka-operator", "refusals"},
        "shop-cascade-topics": {"kafka-user"},
        "shop-cascade-canary": {"kafka-user"},
        "shop-cascade-channel-canary": {"kafka-user", "links"},
        "shop-cascade-channel-email": {"kafka-user", "links"},
        "shop-cascade-test": {"kafka-tools"},
        "shop-cascade-tools": {"kafka-tools", "refusals"},
        "shop-cascade-channel-sms": {"kafka-user", "kafka-sms", "links", "sms-provider"},
        "shop-cascade-tracker": {"kafka-user", "links", "crm-events"},
    }
    expect(mounted == wanted, f"secrets: mounted are {mounted}")


def check_doctor_of_tools(manifests):
    """In the pod for tools nothing is mounted that services alone need: the doctor says that it is not there, and threatens with nothing."""
    if not Path(PROGRAM).exists():
        return
    text = next(one["data"]["cascade.toml"] for one in manifests if one["kind"] == "ConfigMap" and "cascade.toml" in one["data"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cascade.toml"
        # Nobody makes a directory below a file.
        path.write_text(re.sub(r"(?<=[\":])/(?=etc/cascade|state|templates)", f"{path}/", text))
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CASCADE_")} | {"CASCADE_INSTANCE": "tools-0"}
        command = [PROGRAM, "doctor", "--offline", "--config", path]
        judged = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        expect(judged.returncode == 0 and "THREAT" not in judged.stdout, f"tools: the doctor says {judged.stdout}{judged.stderr}")
        for place in ("state", "templates", "etc/cascade/keys/7", "etc/cascade/secrets/token"):
            expect(f"{path}/{place} is not here" in judged.stdout, f"tools: the doctor says nothing of {place}: {judged.stdout}")


def check_templates(manifests):
    """Whoever renders finds the templates, those of an earlier day in their directory."""
    for manifest in (one for one in manifests if one["kind"] == "StatefulSet" and "-channel-" in one["metadata"]["name"]):
        volume = next(one for one in pod_of(manifest)["volumes"] if one["name"] == "templates")
        sources = [source["configMap"] for source in volume["projected"]["sources"]]
        whole = [one["name"] for one in sources if "items" not in one]
        placed = {item["path"]: (one["name"], item["key"]) for one in sources for item in one.get("items", [])}
        wanted = {f"earlier/monday/{name}": ("messages-monday", name) for name in ("cart.email.txt", "_foot.txt")}
        expect(whole == ["messages"] and placed == wanted, f"templates: {manifest['metadata']['name']} has {whole} and {placed}")


def check_principals(manifests, folder):
    """Who has a principal of its own speaks to Kafka as that, and nobody else does; the program, where it is built, understands it."""
    environments = {}
    for manifest in (one for one in manifests if one["kind"] in ("StatefulSet", "Deployment", "Job", "Pod")):
        container = pod_of(manifest)["containers"][0]
        environments[manifest["metadata"]["name"]] = {one["name"]: one.get("value") for one in container["env"]}
    named = {name: one["CASCADE_KAFKA_SASL_USERNAME"] for name, one in environments.items() if "CASCADE_KAFKA_SASL_USERNAME" in one}
    expect(named == {"shop-cascade-operator": "cascade-operator"}, f"principals: named are {named}")
    for name, one in environments.items():
        expect(one.get("CASCADE_KAFKA_SASL_PASSWORD_FILE") == "/etc/cascade/secrets/kafka.sasl.password", f"principals: {name} has no password")
    if not Path(PROGRAM).exists():
        return
    ours = {key: value for key, value in environments["shop-cascade-operator"].items() if value and not key.endswith("_FILE") and key != "CASCADE_CONFIG"}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CASCADE_")} | ours
    command = [PROGRAM, "config", "explain", "--config", Path(folder) / "cascade.toml"]
    explained = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    rows = [row.split() for row in explained.stdout.splitlines()]
    for key, value in (("kafka.sasl.username", "cascade-operator"), ("kafka.session.timeout.ms", "30000")):
        expect(any(row[:2] == [key, value] for row in rows), f"principals: {key} is not {value}: {explained.stdout}{explained.stderr}")


def selected(manifests, labels):
    """Names of what runs with these labels."""
    pods = [one for one in manifests if one["kind"] in ("StatefulSet", "Deployment", "Job")]
    return {one["metadata"]["name"] for one in pods if labels.items() <= one["spec"]["template"]["metadata"]["labels"].items()}


def check_network(where, manifests):
    """Everything is denied but what is named: one policy holds for all, with both directions; the others only add."""
    policies = {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "NetworkPolicy"}
    everybody = selected(manifests, {})
    general = [spec for spec in policies.values() if selected(manifests, spec["podSelector"]["matchLabels"]) == everybody]
    expect(len(general) == 1 and set(general[0]["policyTypes"]) == {"Ingress", "Egress"}, f"{where}: nothing denies by default")
    for name, spec in policies.items():
        for rule in (*spec.get("ingress", []), *spec.get("egress", [])):
            expect(rule.get("ports"), f"{where}: {name} opens every port")
        picked = selected(manifests, spec["podSelector"]["matchLabels"])
        expect(picked or name.endswith("-test"), f"{where}: {name} is about no pod")
    tests = next(one for one in manifests if one["kind"] == "Pod")["metadata"]["labels"]
    for rule in general[0]["ingress"]:
        peers = [peer["podSelector"]["matchLabels"] for peer in rule.get("from", []) if peer.keys() == {"podSelector"}]
        expect("from" not in rule or any(labels.items() <= tests.items() for labels in peers), f"{where}: `helm test` may ask nobody for health")


def check_grace(manifests):
    """A worker finishes its calls before it is killed; the tracker serves on for a while, answers and publishes what it has."""
    source = (CHART.parent / "services/channels/src/worker.rs").read_text()
    finish = int(re.search(r"const FINISH: Duration = Duration::from_secs\((\d+)\)", source)[1])
    for manifest in (one for one in manifests if one["kind"] == "StatefulSet" and "-channel-" in one["metadata"]["name"]):
        grace = pod_of(manifest)["terminationGracePeriodSeconds"]
        expect(grace >= finish + 10, f"{manifest['metadata']['name']} is killed after {grace} s, and may finish calls for {finish} s")
    source = (CHART.parent / "services/tracker/src/server.rs").read_text()
    drain = int(re.search(r"const DRAIN: Duration = Duration::from_secs\((\d+)\)", source)[1])
    page = (CHART.parent / "deploy/SETTINGS.md").read_text()
    wanted = int(re.search(r"\| `tracker.linger` \| `(\d+)`", page)[1]) + 2 * drain
    grace = next(pod_of(one)["terminationGracePeriodSeconds"] for one in manifests if one["kind"] == "Deployment" and one["metadata"]["name"].endswith("-tracker"))
    expect(grace >= wanted + 10, f"the tracker is killed after {grace} s, and may take {wanted} s to end")


def check_monitoring(manifests):
    """One source for the rules, wherever they are read; every service is scraped, and every member can be drained."""
    rules = next(one for one in manifests if one["kind"] == "PrometheusRule")
    written = yaml.safe_load((CHART.parent / "deploy/prometheus/rules.yaml").read_text())
    text = yaml.safe_dump(rules["spec"], width=10_000)
    expect("https://runbooks.example.com/cascade/CascadeStalled.md" in text, "rules: runbooks are not where they are said to be")
    expect("https://grafana.example.com/d/cascade-operator?var-installation={{ $labels.installation | urlquery }}" in text, "rules: dashboards are not where they are said to be")
    back = text.replace("https://runbooks.example.com/cascade/", "deploy/runbook/").replace("https://grafana.example.com", "")
    expect(yaml.safe_load(back) == written, "rules: the chart's are not those of deploy/prometheus")
    monitor = next(one for one in manifests if one["kind"] == "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    services = [one for one in manifests if one["kind"] == "Service" and any(port["name"] == "ops" for port in one["spec"]["ports"])]
    scraped = set()
    for service in services:
        if monitor.items() <= service["metadata"]["labels"].items():
            scraped |= selected(manifests, service["spec"]["selector"])
    members = {one["metadata"]["name"] for one in manifests if one["kind"] in ("StatefulSet", "Deployment") and not is_for_tools(one)}
    expect(scraped == members, f"monitoring: not scraped are {members - scraped}")
    drained = set()
    for budget in (one for one in manifests if one["kind"] == "PodDisruptionBudget"):
        drained |= selected(manifests, budget["spec"]["selector"]["matchLabels"])
    expect(drained == members, f"no disruption budget is for {members - drained}")
    boards = {key for one in manifests if one["kind"] == "ConfigMap" for key in one["data"] if key.endswith(".json")}
    expect(len(boards) == len(list((CHART.parent / "deploy/grafana").glob("*.json"))), f"monitoring: dashboards are {boards}")


def check_scaling(manifests):
    """A number that KEDA sets is set by nobody else; what it watches is what the worker reads."""
    scaled = next(one for one in manifests if one["kind"] == "ScaledObject")
    target = next(one for one in manifests if one["kind"] == "StatefulSet" and one["metadata"]["name"] == scaled["spec"]["scaleTargetRef"]["name"])
    expect("replicas" not in target["spec"], "scaling: chart and KEDA fight over the number of replicas")
    watched = scaled["spec"]["triggers"][0]["metadata"]
    expect(watched["topic"] == "shop.send.sms" and watched["consumerGroup"] == "shop.send.sms.workers", f"scaling: {watched} is watched")


def check_transactional_ids(chart, values):
    """The notes name each id that a replica will use, so that nobody has to grant a prefix."""
    notes = next(text for path, text in chart.render(values, name="shop", namespace="demo").items() if path.endswith("NOTES.txt"))
    found = set(re.findall(r"^  [a-z-]+ +(\S.*)$", notes.partition("one by one")[2].partition("A customer's story")[0], re.M))
    wanted = {f"shop.intake.shop-cascade-intake-{number}" for number in range(2)}
    wanted |= {f"shop.operator-shop-cascade-operator-{number}-{shard}" for number in range(3) for shard in range(4)}
    # As many as KEDA may make of it.
    wanted |= {f"shop.send.sms.workers.shop-cascade-channel-sms-{number}" for number in range(8)}
    wanted |= {f"shop.send.{channel}.workers.shop-cascade-channel-{channel}-0" for channel in ("canary", "email")}
    wanted |= {"cascade-shop.campaign", "cascade-shop.campaign, cascade-redrive-shop.dead-letter, cascade-release-shop.input"}
    expect(found == wanted, f"transactional ids: {found ^ wanted}")


def templates_of(chart, values):
    """Pods of services, by the name of what runs them."""
    texts = [text for path, text in chart.render(values, name="shop", namespace="demo").items() if not path.endswith(".txt")]
    manifests = [manifest for text in texts for manifest in yaml.safe_load_all(text) if manifest]
    members = [one for one in manifests if one["kind"] in ("StatefulSet", "Deployment") and not is_for_tools(one)]
    return {one["metadata"]["name"].removeprefix("shop-cascade-"): one["spec"]["template"] for one in members}


def check_rolling(chart):
    """A change rolls the pods that read it, and no others: each step of an operator is a restore."""
    before = templates_of(chart, INSTALLATIONS["everything on"])
    for change, rolled in [
        ({"channels": {"sms": {"settings": {"rate_per_second": 3}}}}, {"channel-sms"}),
        ({"channels": {"email": {"settings": {"hook.kind": "http"}}}}, {"channel-email", "tracker"}),
        ({"settings": {"log.level": "debug"}}, set(before)),
    ]:
        after = templates_of(chart, merged(INSTALLATIONS["everything on"], change))
        found = {name for name in after if after[name] != before[name]}
        expect(found == rolled, f"rolling: {change} rolls {sorted(found)}")


def merged(values, change):
    both = {key: merged(values[key], change[key]) for key in values.keys() & change.keys() if isinstance(change[key], dict)}
    return {**values, **change, **both}


def check_refusals(chart):
    for name, (values, word) in REFUSED.items():
        try:
            chart.validate_schema(values)
            chart.render(values, name="shop", namespace="demo")
        except helm.HelmError as error:
            expect(word in str(error), f"{name}: refused for another reason: {error}")
        else:
            findings.append(f"{name} was accepted")


def main():
    for message in helm.lint(CHART, strict=True)["messages"]:
        # 1 is information; the missing icon is one.
        expect(message["severity"] <= 1, f"lint: {message['path']}: {message['error']}")
    chart = helm.Chart.load(CHART)
    for name, values in INSTALLATIONS.items():
        manifests = check_installation(name, values, chart)
        check_sections(name, values, manifests)
        with tempfile.TemporaryDirectory() as folder:
            check_understood(name, manifests, folder)
            if name == "everything on":
                check_principals(manifests, folder)
        if name == "everything on":
            check_settings(manifests)
            check_secrets(manifests)
            check_templates(manifests)
            check_doctor_of_tools(manifests)
            check_monitoring(manifests)
            check_scaling(manifests)
            check_transactional_ids(chart, values)
            check_grace(manifests)
        if values.get("networkPolicy"):
            check_network(name, manifests)
    check_rolling(chart)
    check_refusals(chart)
    print("\n".join(findings))
    return 1 if findings else 0


sys.exit(main())
