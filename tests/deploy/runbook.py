"""The runbook: a page for each alert and no other, its five parts, and nothing named in it that does not exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import catalogue
import metrics
import yaml

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "deploy/runbook"
PARTS = ["What it means", "For whom", "How to see", "What to do", "When it is over"]
GUIDES = {"README", "upgrade", "capacity", "security", "disaster"}
# An alert opens its dashboard with the installation that it is about.
CHOSEN = "var-installation={{ $labels.installation | urlquery }}"
# Of others: Kafka's client, the chart's values and Prometheus's own.
FOREIGN = re.compile(r"^(kafka|sasl|ssl|security|transaction|min|networkPolicy|operator|image|process|tools|templates\.(configMap|files)|cascade:)")


def alerts():
    for group in yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                yield rule


def recorded():
    for group in yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_text())["groups"]:
        yield from (rule["record"] for rule in group["rules"] if "record" in rule)


def annotated():
    dashboards = {path.stem for path in (ROOT / "deploy/grafana").glob("*.json")}
    for rule in alerts():
        name, notes = rule["alert"], rule["annotations"]
        if rule.get("labels", {}).get("severity") not in ("page", "ticket"):
            yield f"{name} has no severity"
        if notes.get("runbook_url") != f"deploy/runbook/{name}.md":
            yield f"{name} does not lead to its page"
        dashboard, _, chosen = notes.get("dashboard", "").partition("?")
        if dashboard.removeprefix("/d/cascade-") not in dashboards:
            yield f"{name} leads to no dashboard"
        if chosen != CHOSEN:
            yield f"{name} leads to a dashboard of whichever installation was looked at last"
        if not notes.get("summary") or not notes.get("action"):
            yield f"{name} does not say what is wrong and what to do"


def pages():
    names, files = {rule["alert"] for rule in alerts()}, {path.stem for path in RUNBOOK.glob("*.md")}
    yield from (f"{name} has no page" for name in sorted(names - files))
    yield from (f"{name}.md is about no alert" for name in sorted(files - names - GUIDES))
    index = (RUNBOOK / "README.md").read_text()
    for name in sorted(names & files):
        text = (RUNBOOK / f"{name}.md").read_text()
        if re.findall(r"^## (.*)$", text, re.M) != PARTS:
            yield f"{name}.md has not the parts {PARTS}"
        if any(not part.strip() for part in re.split(r"^## .*$", text, flags=re.M)[1:]):
            yield f"{name}.md has an empty part"
        if f"]({name}.md)" not in index:
            yield f"README.md leads from no cause to {name}"


def dangling():
    """Links, metrics, recorded series, settings that lead nowhere."""
    known, series = metrics.exported(), set(recorded())
    for path in sorted(RUNBOOK.glob("*.md")):
        text = path.read_text()
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            if not (RUNBOOK / link).exists():
                yield f"{path.name}: {link} does not exist"
        for name in metrics.NAME.findall(text):
            if name not in known and metrics.PARTS.sub("", name) not in known:
                yield f"{path.name}: {name} is exported by no service"
        for name in re.findall(r"\bcascade:[a-z0-9_:]+", text):
            if name not in series:
                yield f"{path.name}: {name} is recorded by no rule"
        for key in re.findall(r"`([a-z]+\.[a-z_]+)(?: = [^`]*)?`", text):
            if not catalogue.knows(key) and not FOREIGN.match(key) and not key.startswith(("send.", "attempt.")) and not key.endswith((".yaml", ".sh")):
                yield f"{path.name}: {key} is no setting"
        for script in re.findall(r"`((?:deploy|tests)/[a-z/._-]+)\b", text):
            if not (ROOT / script).exists():
                yield f"{path.name}: {script} does not exist"


def unknown_commands():
    """`cascade dlq show …` must be a command of the program, if the program is there."""
    program = os.environ.get("CASCADE_BIN") or str(Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "debug/cascade")
    if not Path(program).exists():
        return
    commands = set()
    for path in RUNBOOK.glob("*.md"):
        commands |= set(re.findall(r"`cascade ((?:[a-z]+ ?)+)", path.read_text().replace("\n", " ")))
    for command in sorted(commands):
        if subprocess.run([program, *command.split(), "--help"], capture_output=True, check=False).returncode:
            yield f"`cascade {command.strip()}` is no command"


def main():
    checks = (annotated, pages, dangling, unknown_commands)
    findings = sorted({finding for check in checks for finding in check()})
    print("\n".join(findings))
    return 1 if findings else 0


sys.exit(main())
