"""Rules and dashboards ask only for metrics that the services export, every alert was seen firing and keeping still, and deploy/METRICS.md
lists what there is.

    tests/deploy/metrics.py --write     writes that list anew, from the sources
"""

import json
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
NAME = re.compile(r"\bcascade_[a-z0-9_]+")
# A name and its help, as they stand in the sources; a backslash at its end joins a line to the next.
HELP = re.compile(r'"(cascade_[a-z0-9_]+)"\s*,\s*"((?:[^"\\]|\\.|\\\n)*)"', re.S)
PAGE = ROOT / "deploy/METRICS.md"
HEAD = """# Metrics

What the services show at `/metrics` of `ops.listen`, from the sources by `tests/deploy/metrics.py --write`. Every series has the label
`installation`; none has a customer's id, an address or a word of a message. A label whose values come from settings or data has at most 200 of
them in a process; what comes later is counted under `__other__`. Beside these there are `process_*`, as of any process.

| metric | part | what it is |
|---|---|---|
"""
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


def page():
    """One row for each name and part; parts are the directories of services/."""
    rows = set()
    for path in ROOT.glob("services/*/src/**/*.rs"):
        part = path.relative_to(ROOT / "services").parts[0]
        for name, text in HELP.findall(path.read_text()):
            rows.add((name, part, re.sub(r"\\\n\s*", "", text)))
    return HEAD + "".join(f"| `{name}` | {part} | {text} |\n" for name, part, text in sorted(rows))


def main():
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page())
        return 0
    findings = sorted({*missing(exported()), *untested()})
    if PAGE.read_text() != page():
        findings.append("deploy/METRICS.md is not what the sources say: tests/deploy/metrics.py --write")
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
