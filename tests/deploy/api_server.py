"""The chart on a real API server: installed, upgraded and rolled back by deploy/cluster.sh, and taken away again.

etcd, kube-apiserver, kube-controller-manager and kubectl are real, as is helm, which also runs the chart's hooks. There are no machines:
`Nodes` below says of each pod what a kubelet would say. So what is shown is that the server takes every manifest (also under the
"restricted" Pod Security Standard), that controllers roll pods out and back, and what happens when they do not become ready; not images,
probes and volumes.

    tests/deploy/api_server.py       needs go, etcd (Debian: etcd-server) and openssl

The first run compiles Kubernetes: twenty minutes on two cores; what it builds is kept below ~/.cache/cascade.
"""

import base64
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KUBERNETES, HELM = "v1.34.2", "v3.22.0"
PROGRAMS = Path(os.environ.get("CASCADE_CACHE") or Path.home() / ".cache/cascade") / "api-server" / KUBERNETES
NAMESPACE, RELEASE = "shop", "shop"
# The image of a version that never becomes ready.
BROKEN = "broken"
VALUES = {
    "kafka": {"brokers": "kafka.example.com:9093"},
    "settings": {"kafka.security.protocol": "SASL_SSL"},
    "secrets": [{"setting": "kafka.sasl.password", "secret": "kafka-user", "key": "password"}],
    "channels": {
        "canary": {"enabled": True, "settings": {"transport.kind": "nowhere"}},
        "sms": {
            "enabled": True,
            "replicas": 2,
            "settings": {
                "transport.kind": "http",
                "transport.url": "https://sms.example.com/send",
                "transport.bearer.file": "/etc/cascade/secrets/token",
            },
            "secrets": [{"name": "token", "secret": "sms-provider", "key": "token"}],
            "egress": [{"ports": [{"port": 443, "protocol": "TCP"}]}],
        },
    },
    "canary": {"enabled": True},
    "networkPolicy": {"enabled": True, "kafka": {"ports": [9093]}},
    "tools": {"enabled": True},
    "tracker": {"ingress": {"enabled": True, "className": "nginx", "tlsSecret": "track-tls"}},
    "monitoring": {"dashboards": {"enabled": True}},
}
SECRETS = {"kafka-user": "password", "sms-provider": "token", "cascade-links": "signing-key"}


def build():
    """Compiles what is missing."""
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    flags = ["-trimpath", "-ldflags", f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES}"]
    for name in ["kube-apiserver", "kube-controller-manager", "kubectl"]:
        if not (PROGRAMS / name).exists():
            print(f"Compiling {name} {KUBERNETES}", flush=True)
            command = ["go", "build", *flags, "-o", str(PROGRAMS / name), f"k8s.io/kubernetes/cmd/{name}"]
            subprocess.run(command, cwd=HERE / "api_server", check=True)
    if not (PROGRAMS / "helm").exists():
        print(f"Compiling helm {HELM}", flush=True)
        environment = {**os.environ, "GOBIN": str(PROGRAMS)}
        subprocess.run(["go", "install", f"helm.sh/helm/v3/cmd/helm@{HELM}"], env=environment, check=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def certificates(to):
    """An authority, the server's certificate, an administrator's, and the pair that signs service accounts' tokens."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=to, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=authority", "-days", "2")
    for name, subject, extension in [
        ("api", "/CN=api", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        ("admin", "/O=system:masters/CN=admin", "extendedKeyUsage=clientAuth"),
    ]:
        (to / f"{name}.ext").write_text(extension)
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"),
            *("-extfile", f"{name}.ext", "-out", f"{name}.crt"),
        )
    openssl("genrsa", "-out", "sa.key", "2048")
    openssl("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")


class Cluster:
    """A control plane on loopback for as long as the block lasts."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.processes = []
        self.url = None

    def start(self, *command):
        log = (self.directory / f"{Path(command[0]).name}.log").open("w")
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def __enter__(self):
        certificates(self.directory)
        pki = self.directory
        store, peers, api, manager = (free_port() for _ in range(4))
        self.url = f"https://127.0.0.1:{api}"
        peer = f"http://127.0.0.1:{peers}"
        try:
            self.start(
                *("etcd", f"--data-dir={pki / 'etcd'}", f"--listen-client-urls=http://127.0.0.1:{store}"),
                *(f"--advertise-client-urls=http://127.0.0.1:{store}", f"--listen-peer-urls={peer}"),
                *(f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"),
            )
            self.start(
                *(str(PROGRAMS / "kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{store}", "--bind-address=127.0.0.1"),
                *(f"--secure-port={api}", "--advertise-address=127.0.0.1", f"--cert-dir={pki / 'certs'}"),
                *(f"--tls-cert-file={pki / 'api.crt'}", f"--tls-private-key-file={pki / 'api.key'}", f"--client-ca-file={pki / 'ca.crt'}"),
                *(f"--service-account-key-file={pki / 'sa.pub'}", f"--service-account-signing-key-file={pki / 'sa.key'}"),
                *("--service-account-issuer=https://127.0.0.1", "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC"),
                "--endpoint-reconciler-type=none",
            )
            self.write_kubeconfig()
            self.await_ready()
            self.start(
                *(str(PROGRAMS / "kube-controller-manager"), f"--kubeconfig={self.kubeconfig}", "--bind-address=127.0.0.1"),
                *(f"--secure-port={manager}", f"--service-account-private-key-file={pki / 'sa.key'}"),
                *(f"--root-ca-file={pki / 'ca.crt'}", "--leader-elect=false"),
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    @property
    def kubeconfig(self):
        return self.directory / "kubeconfig"

    def write_kubeconfig(self):
        def encoded(name):
            return base64.b64encode((self.directory / name).read_bytes()).decode()

        name = "test"
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": name,
                    "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
                    "clusters": [{"name": name, "cluster": {"server": self.url, "certificate-authority-data": encoded("ca.crt")}}],
                    "users": [
                        {"name": name, "user": {"client-certificate-data": encoded("admin.crt"), "client-key-data": encoded("admin.key")}}
                    ],
                }
            )
        )

    def ask(self, path, method="GET", body=None):
        """One call of the API as the administrator."""
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        context.load_cert_chain(self.directory / "admin.crt", self.directory / "admin.key")
        headers = {"content-type": "application/merge-patch+json" if method == "PATCH" else "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310, loopback
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:  # noqa: S310, loopback
            text = answer.read()
        return json.loads(text) if text.startswith(b"{") else text

    def await_ready(self):
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                self.ask("/readyz")
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
        sys.exit("the API server does not become ready:\n" + (self.directory / "kube-apiserver.log").read_text()[-3000:])


class Nodes(threading.Thread):
    """Says of each pod what a kubelet would: it runs and is ready, or has done its work; a broken image never is."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster

    def run(self):
        while True:
            try:
                for pod in self.cluster.ask(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]:
                    self.tend(pod)
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass  # the next round asks again; at the end there is nobody to ask
            time.sleep(0.2)

    def tend(self, pod):
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}"
        if "deletionTimestamp" in pod["metadata"]:
            self.cluster.ask(f"{path}?gracePeriodSeconds=0", "DELETE")
        elif pod["status"]["phase"] == "Pending":
            containers = pod["spec"]["containers"]
            if any(container["image"].endswith(f":{BROKEN}") for container in containers):
                return
            ends = pod["spec"]["restartPolicy"] == "Never"
            state = {"terminated": {"exitCode": 0, "reason": "Completed"}} if ends else {"running": {}}
            status = {
                "phase": "Succeeded" if ends else "Running",
                "conditions": [{"type": kind, "status": "True"} for kind in ["PodScheduled", "Initialized", "ContainersReady", "Ready"]],
                "containerStatuses": [
                    {"name": one["name"], "image": one["image"], "imageID": "", "ready": not ends, "restartCount": 0, "state": state}
                    for one in containers
                ],
            }
            self.cluster.ask(f"{path}/status", "PATCH", {"status": status})


class Checks:
    """What an operator of the cluster does, in order."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.values = cluster.directory / "values.yaml"
        self.environment = {
            **os.environ,
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "KUBECONFIG": str(cluster.kubeconfig),
            "HELM_CACHE_HOME": str(cluster.directory / "helm"),
        }
        self.found = 0

    def cluster_sh(self, action, *flags, values=VALUES, patience="60s"):
        """`values` None: without any."""
        self.values.write_text(yaml.safe_dump(values))
        given = ["-f", str(self.values)] if action in ("install", "upgrade") and values else []
        command = [str(ROOT / "deploy/cluster.sh"), action, RELEASE, *flags, "-n", NAMESPACE, *given]
        environment = {**self.environment, "CASCADE_PATIENCE": patience}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)

    def run(self, *command):
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True, timeout=120).stdout

    def check(self, what, holds, said=""):
        print(f"{'ok      ' if holds else 'FOUND   '} {what}", flush=True)
        if not holds:
            self.found += 1
            print(said[-3000:])

    def images(self):
        """Images of the services' pods that are there and not about to go."""
        pods = self.cluster.ask(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
        kept = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"] and pod["spec"]["restartPolicy"] == "Always"]
        return {container["image"].rpartition(":")[2] for pod in kept for container in pod["spec"]["containers"]}

    def names(self, kind):
        return sorted(item["metadata"]["name"] for item in json.loads(self.run("kubectl", "-n", NAMESPACE, "get", kind, "-o", "json"))["items"])

    def await_that(self, what, holds, said=str):
        until = time.monotonic() + 60
        while not holds() and time.monotonic() < until:
            time.sleep(0.2)
        self.check(what, holds(), said())

    def all(self):
        restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.cluster.ask("/api/v1/namespaces", "POST", {"metadata": {"name": NAMESPACE, "labels": restricted}})
        done = self.cluster_sh("install")
        missing = done.returncode == 78 and all(name in done.stderr for name in SECRETS)
        self.check("without its Secrets nothing is installed, and all of them are named", missing and not self.names("pods"), done.stderr)
        for name, key in SECRETS.items():
            body = {"metadata": {"name": name}, "stringData": {key: "a secret of sixteen bytes"}}
            self.cluster.ask(f"/api/v1/namespaces/{NAMESPACE}/secrets", "POST", body)

        done = self.cluster_sh("install")
        self.check("an installation becomes ready and is tested", done.returncode == 0, done.stdout + done.stderr)
        expected = {"intake": 2, "operator": 2, "tracker": 2, "canary": 1, "tools": 1, "channel-canary": 1, "channel-sms": 2}
        running = self.names("pods")
        for service, count in expected.items():
            pods = [name for name in running if name.startswith(f"shop-cascade-{service}-") and "test" not in name]
            self.check(f"{service} has {count} pods", len(pods) == count, f"{running}")
        self.check("a second installation of the same name is refused", self.cluster_sh("install").returncode == 64)
        first = self.images()

        wrong = {**VALUES, "tracker": {**VALUES["tracker"], "ingress": {"enabled": True, "tlsSecret": "Not A Name"}}}
        before = self.run("helm", "history", RELEASE, "-n", NAMESPACE, "-o", "json")
        done = self.cluster_sh("upgrade", values=wrong)
        same = self.run("helm", "history", RELEASE, "-n", NAMESPACE, "-o", "json") == before
        self.check("what the server refuses changes nothing", done.returncode != 0 and same, done.stdout + done.stderr)

        smaller = {**VALUES, "image": {"tag": "2.0.0"}, "operator": {"replicas": 1}}
        done = self.cluster_sh("upgrade", values=smaller)
        self.check("an upgrade shows what changes", "+        image: cascade:2.0.0" in done.stdout, done.stdout + done.stderr)
        self.check("an upgrade becomes ready and is tested", done.returncode == 0, done.stdout + done.stderr)
        self.await_that("every pod runs the new version", lambda: self.images() == {"2.0.0"})
        self.await_that("the volume of the replica that was scaled away goes", lambda: self.names("pvc") == ["state-shop-cascade-operator-0"])

        done = self.cluster_sh("upgrade", values=None)
        is_same = done.returncode == 0 and "image: cascade" not in done.stdout and "replicas:" not in done.stdout
        self.check("an upgrade without values shows that nothing changes", is_same, done.stdout + done.stderr)
        self.check("and nothing does", self.images() == {"2.0.0"}, f"{self.images()}")

        broken = {**VALUES, "image": {"tag": BROKEN}}
        done = self.cluster_sh("upgrade", values=broken, patience="15s")
        has_told = done.returncode == 1 and "rollback" in done.stderr
        self.check("a version that does not become ready is said to be so, with the way back", has_told, done.stderr)
        # The topics' job is the first to run a new version: what cannot even start never reaches a service.
        self.check("and no service runs it", self.images() == {"2.0.0"}, f"{self.images()}")
        done = self.cluster_sh("rollback", "1")
        self.check("the first version comes back", done.returncode == 0, done.stdout + done.stderr)
        self.await_that("every pod runs it", lambda: self.images() == first)
        done = self.cluster_sh("status")
        self.check("its status is told", done.returncode == 0 and "deployed" in done.stdout, done.stdout + done.stderr)

        larger = {**VALUES, "operator": {"storage": {"size": "40Gi"}}}
        done = self.cluster_sh("upgrade", values=larger)
        self.check("the size of the volumes is not changed in place", done.returncode != 0 and ("volumeClaimTemplates" in done.stdout + done.stderr
                   or "Forbidden" in done.stderr), done.stdout + done.stderr)
        before = self.run("kubectl", "-n", NAMESPACE, "get", "pod", "shop-cascade-operator-0", "-o", "jsonpath={.metadata.uid}")
        self.run("kubectl", "-n", NAMESPACE, "delete", "statefulset", "shop-cascade-operator", "--cascade=orphan")
        done = self.cluster_sh("upgrade", values=larger)
        self.check("with its StatefulSet made anew it is", done.returncode == 0, done.stdout + done.stderr)
        after = self.run("kubectl", "-n", NAMESPACE, "get", "pod", "shop-cascade-operator-0", "-o", "jsonpath={.metadata.uid}")
        self.check("and its pod has gone on", before == after)

        self.run("helm", "uninstall", RELEASE, "-n", NAMESPACE, "--wait")
        # Of the version that was broken its job stands there until its five minutes are over, to be looked at: helm keeps a hook that failed.
        kinds = "statefulsets,deployments,services,ingresses,networkpolicies,poddisruptionbudgets,configmaps,pods"
        kept = {"kube-root-ca.crt", "shop-cascade-topics"}

        def left():
            return {name for name in self.names(kinds) if name not in kept and not name.startswith("shop-cascade-topics-")}

        self.await_that("nothing of it is left but its volumes' claims", lambda: not left(), lambda: f"{left()}")
        return self.found


def main():
    for tool in ["go", "etcd", "openssl"]:
        if shutil.which(tool) is None:
            sys.exit(f"there is no {tool} in the PATH (Debian: etcd is in etcd-server)")
    build()
    with tempfile.TemporaryDirectory() as directory, Cluster(directory) as cluster:
        checks = Checks(cluster)
        nodes = Nodes(cluster)
        nodes.start()
        found = checks.all()
    sys.exit(f"{found} found" if found else 0)


if __name__ == "__main__":
    main()
