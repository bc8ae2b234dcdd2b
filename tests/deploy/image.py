"""deploy/Dockerfile, as far as it can be judged without a builder: what it copies and calls exists, who it runs as, what it links."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PROGRAM = os.environ.get("CASCADE_BIN") or str(Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "debug/cascade")


def instructions():
    """Each as (word, rest), lines joined, comments gone; by stages."""
    text = "\n".join(line for line in (ROOT / "deploy/Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#"))
    stages = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if not line.strip():
            continue
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            stages.append([])
        stages[-1].append((word, " ".join(rest.split())))
    return stages


def build_stage(stage):
    words = dict(stage)
    toolchain = re.search(r'^rust-version = "([\d.]+)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    if not words["FROM"].startswith(f"rust:{toolchain}-"):
        yield f"builds with {words['FROM']}, but the workspace asks for Rust {toolchain}"
    known = (ROOT / "deploy/setup.sh").read_text()
    for run in (rest for word, rest in stage if word == "RUN" and "apt-get install" in rest):
        packages = re.search(r"--no-install-recommends (.*?) &&", run)[1].split()
        yield from (f"installs {package}, which deploy/setup.sh does not name" for package in packages if package not in known)
    if not any("--locked" in rest and "--profile dist" in rest for word, rest in stage if word == "RUN"):
        yield "does not build what Cargo.lock says, with the profile for containers"
    if "[profile.dist]" not in (ROOT / "Cargo.toml").read_text():
        yield "there is no profile dist"
    for source in re.findall(r"cp -r (\S+) /image", " ".join(rest for _, rest in stage)):
        if not (ROOT / source).exists():
            yield f"copies {source}, which does not exist"


def final_stage(stage):
    words = dict(stage)
    if not words["FROM"].endswith(":nonroot"):
        yield "runs as root"
    if not json.loads(words["ENTRYPOINT"]) == ["/cascade"]:
        yield "does not start the program itself, so signals would not reach it"
    check = json.loads(words["HEALTHCHECK"].partition("CMD ")[2])
    if Path(PROGRAM).exists() and subprocess.run([PROGRAM, *check[1:], "--help"], capture_output=True, check=False).returncode:
        yield f"its health check {check} is no command"
    chart = next(yaml.safe_load_all((ROOT / "helm/Chart.yaml").read_text()))
    version = re.search(r'^version = "([\d.]+)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    if chart["appVersion"] != version:
        yield f"the chart installs {chart['appVersion']}, the workspace is {version}"
    pod = (ROOT / "helm/templates/_pod.tpl").read_text() + (ROOT / "helm/templates/tracker.yaml").read_text()
    yield from (f"exposes {port}, which the chart does not know" for port in words["EXPOSE"].split() if port not in pod)
    if "runAsUser: 65532" not in pod:
        yield "the chart runs it as another user than the image is made for"


def linked():
    """The libraries of this build; what the image lacks is linked in there (zlib) or fails its own check (the rest)."""
    if not Path(PROGRAM).exists():
        return
    found = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=True).stdout
    allowed = re.compile(r"linux-vdso|ld-linux|lib(c|m|gcc_s|stdc\+\+|ssl|crypto|z)\.so")
    yield from (f"needs a library that the image lacks: {line.strip()}" for line in found.splitlines() if not allowed.search(line))


def main():
    stages = instructions()
    findings = [*build_stage(stages[0]), *final_stage(stages[-1]), *linked()]
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
