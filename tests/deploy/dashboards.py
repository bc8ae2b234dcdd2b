"""Grafana dashboards: whole JSON, unique ids, panels that do not overlap, queries that parse, on the datasource variable."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import util
from itertools import combinations
from pathlib import Path

DASHBOARDS = sorted((Path(__file__).parents[2] / "deploy/grafana").glob("*.json"))
SERIES = re.compile(r"\b((?:cascade|process)_[a-z0-9_]+|ALERTS)\b(\{[^}]*\})?")


def overlap(one, other):
    a, b = one["gridPos"], other["gridPos"]
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
    return not (beside or above)


def check(path):
    dashboard = json.loads(path.read_text())
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    if len(ids) != len(set(ids)):
        yield "two panels share an id"
    for one, other in combinations(panels, 2):
        if overlap(one, other):
            yield f"{one['title']} and {other['title']} overlap"
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    for variable in ("DS_PROMETHEUS", "installation"):
        if variable not in variables:
            yield f"no variable {variable}"
    for panel in panels:
        title, place = panel["title"], panel["gridPos"]
        if place["x"] + place["w"] > 24:
            yield f"{title} is wider than the page"
        if panel["type"] == "row":
            continue
        if not panel["targets"]:
            yield f"{title} asks nothing"
        if not panel["fieldConfig"]["defaults"].get("unit"):
            yield f"{title} has no unit"
        for target in panel["targets"]:
            if target["datasource"]["uid"] != "${DS_PROMETHEUS}":
                yield f"{title} is bound to one datasource"
            for name, labels in SERIES.findall(target["expr"]):
                if 'installation="$installation"' not in labels:
                    yield f"{title} adds up {name} of all installations"


def unparsable(path):
    """promtool judges rules only, so each query becomes one."""
    if not shutil.which("promtool"):
        return
    panels = json.loads(path.read_text())["panels"]
    queries = [target["expr"].replace("$__rate_interval", "5m") for panel in panels for target in panel.get("targets", [])]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump({"groups": [{"name": "queries", "rules": rules}]}, file)
        file.flush()
        judged = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True, check=False)
    if judged.returncode:
        yield judged.stderr.strip()


def stale(path):
    """Whether it is as the generator writes it."""
    spec = util.spec_from_file_location("make", path.parent / "make.py")
    make = util.module_from_spec(spec)
    spec.loader.exec_module(make)
    if path.read_text() != make.text(path.stem):
        yield "differs from what deploy/grafana/make.py writes: run it"


def main():
    if not DASHBOARDS:
        print("there is no dashboard")
        return 1
    findings = [f"{path.name}: {finding}" for path in DASHBOARDS for finding in (*check(path), *unparsable(path), *stale(path))]
    print("\n".join(findings))
    return 1 if findings else 0


sys.exit(main())
