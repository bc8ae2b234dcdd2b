"""deploy/compose.yaml: keeps to the Compose specification, and its files, services and scrape targets exist."""

import json
import sys
from pathlib import Path

import compose_spec
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


def main():
    # PyYAML resolves anchors and merges, as Compose does before it looks at the keys.
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    findings = []
    try:
        compose_spec.PyCompose.from_json(json.dumps(compose)).validate()
    except ValueError as error:
        findings.append(f"not by the specification: {error}")
    services = compose["services"]
    for name, service in services.items():
        for other in service.get("depends_on", {}):
            if other not in services:
                findings.append(f"{name} depends on {other}, which is no service")
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            there = (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"]
            if not there:
                findings.append(f"{name} mounts {source}, which does not exist")
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                findings.append(f"{name} publishes {port} to the whole network")
    build = compose["x-image"]["build"]
    if not (DEPLOY / build["context"] / build["dockerfile"]).exists():
        findings.append(f"{build['dockerfile']} does not exist")
    for job in yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())["scrape_configs"]:
        for target in [target for config in job["static_configs"] for target in config["targets"]]:
            if target.split(":")[0] not in services:
                findings.append(f"Prometheus scrapes {target}, which is no service")
    print("\n".join(findings))
    return 1 if findings else 0


sys.exit(main())
