"""deploy/compose.yaml: keeps to the Compose specification; its files, services, scrape targets and settings exist; everything of ours runs in it."""

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


def missing(compose):
    """Everything of ours runs and is scraped, and each channel that a campaign here or the default names has a worker."""
    ours = {name: service["command"] for name, service in compose["services"].items() if service.get("image") == "cascade"}
    served = {command[1] for command in ours.values() if command[0] == "channel"}
    settings = tomllib.loads((DEPLOY / "compose.toml").read_text())
    default = re.search(r'setting\("channels", Some\("([^"]+)"\)', catalogue.SOURCE.read_text())[1].split(",")
    named = {channel for path in (DEPLOY / "campaigns").glob("*.yaml") for channel in re.findall(r"^ +channel: ([a-z_]+)$", path.read_text(), re.M)}
    for channel in sorted({*settings["channels"], *settings["channel"], *default, *named, "canary"}):
        if channel not in served:
            yield f"the channel {channel} has no worker"
        if channel not in settings["channels"] or channel not in settings["channel"]:
            yield f"compose.toml: the channel {channel} has no section, or is not among the channels"
    yield from (f"nobody runs {role}" for role in ("intake", "operator", "tracker", "canary") if [role] not in ours.values())
    jobs = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())["scrape_configs"]
    scraped = {target.split(":")[0] for job in jobs for config in job["static_configs"] for target in config["targets"]}
    yield from (f"Prometheus does not scrape {name}" for name, command in ours.items() if command[0] != "topics" and name not in scraped)


def main():
    # PyYAML resolves anchors and merges, as Compose does before it looks at the keys.
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    findings = [finding for check in (unspecified, dangling, exposed, unknown, missing) for finding in check(compose)]
    print("\n".join(findings))
    return 1 if findings else 0


sys.exit(main())
