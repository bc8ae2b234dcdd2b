"""deploy/compose.yaml: keeps to the Compose specification, and its files, services, scrape targets and settings exist."""

import json
import re
import sys
import tomllib
from pathlib import Path

import catalogue
import compose_spec
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


def unspecified(compose):
    try:
        compose_spec.PyCompose.from_json(json.dumps(compose)).validate()
    except ValueError as error:
        yield f"not by the specification: {error}"


def dangling(compose):
    """Names that lead nowhere."""
    services = compose["services"]
    for name, service in services.items():
        for other in service.get("depends_on", {}):
            if other not in services:
                yield f"{name} depends on {other}, which is no service"
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if not ((DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"]):
                yield f"{name} mounts {source}, which does not exist"
    build = compose["x-image"]["build"]
    if not (DEPLOY / build["context"] / build["dockerfile"]).exists():
        yield f"{build['dockerfile']} does not exist"
    for job in yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())["scrape_configs"]:
        for target in [target for config in job["static_configs"] for target in config["targets"]]:
            if target.split(":")[0] not in services:
                yield f"Prometheus scrapes {target}, which is no service"


def exposed(compose):
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                yield f"{name} publishes {port} to the whole network"


def unknown(compose):
    """Settings that cascade does not have."""
    settings = tomllib.loads((DEPLOY / "compose.toml").read_text())
    yield from (f"compose.toml: there is no setting {key}" for key in catalogue.flat(settings) if not catalogue.knows(key))
    for name, service in compose["services"].items():
        for variable in service.get("environment", {}):
            if not catalogue.knows_variable(variable):
                yield f"{name}: {variable} is no setting"
    for variable in re.findall(r"\b(CASCADE_[A-Z_]+)=", (DEPLOY / "Dockerfile").read_text()):
        if not catalogue.knows_variable(variable):
            yield f"Dockerfile: {variable} is no setting"
    for channel in settings["channels"]:
        if channel not in compose["services"]:
            yield f"the channel {channel} has no worker"


def main():
    # PyYAML resolves anchors and merges, as Compose does before it looks at the keys.
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    findings = [finding for check in (unspecified, dangling, exposed, unknown) for finding in check(compose)]
    print("\n".join(findings))
    return 1 if findings else 0


sys.exit(main())
