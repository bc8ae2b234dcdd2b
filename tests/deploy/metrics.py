"""Rules and dashboards ask only for metrics that the services export, and every alert was seen firing and keeping still."""

import json
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
NAME = re.compile(r"\bcascade_[a-z0-9_]+")
PARTS = re.compile(r"_(bucket|sum|count)$")


def exported():
    """Names as they stand in the services' sources: in one metrics.rs each, as whole literals so that they can be searched for."""
    literal = re.compile(r'"(cascade_[a-z0-9_]+)"')
    return {name for path in ROOT.glob("services/*/src/**/*.rs") for name in literal.findall(path.read_text())}


def expressions():
    for group in yaml.safe_load((PROMETHEUS / "rules.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            yield f"rule {rule.get('alert') or rule['record']}", rule["expr"]
    for path in sorted((ROOT / "deploy/grafana").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield f"{path.name}, panel {panel['title']}", target["expr"]


def missing(known):
    for where, expression in expressions():
        for name in NAME.findall(expression):
            if name not in known and PARTS.sub("", name) not in known:
                yield f"{where}: {name} is exported by no service"


def untested():
    rules = yaml.safe_load((PROMETHEUS / "rules.yaml").read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    seen = {True: set(), False: set()}
    for test in yaml.safe_load((PROMETHEUS / "rules.test.yaml").read_text())["tests"]:
        for case in test.get("alert_rule_test", []):
            seen[bool(case["exp_alerts"])].add(case["alertname"])
    yield from (f"{alert} was never seen firing" for alert in sorted(alerts - seen[True]))
    yield from (f"{alert} was never seen keeping still" for alert in sorted(alerts - seen[False]))


def main():
    findings = sorted({*missing(exported()), *untested()})
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
