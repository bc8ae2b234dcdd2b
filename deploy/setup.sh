#!/usr/bin/env bash
# Installs what building and running Cascade needs and this machine lacks: system packages and the jars of Apache Kafka.
#
#   deploy/setup.sh
#
# Says what it does; does nothing (in well under a second) when everything is there; two runs at once wait for each other.
# Installing system packages needs Debian (or a child of it) and root. Otherwise it names what is missing and exits with 1.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/env.sh"

has() { command -v "$1" >/dev/null; }
say() { printf '%s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Prints the Debian packages whose work nothing on this machine does. Probes ask for the thing itself, not for the
# package, so that tools installed in another way count and other distributions get an honest list.
missing_packages() {
    has cc && has c++ || echo build-essential
    has cmake || echo cmake
    has clang || echo clang
    compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null || [ -n "${LIBCLANG_PATH:-}" ] || echo libclang-dev
    has ccache || echo ccache
    # The compiler and Maven also build the worker in Java that tests run (schemas/workers/java).
    has java && has javac || echo default-jdk-headless
    has mvn || echo maven
    has promtool || echo prometheus
    # A test makes real bounces with it, in a directory of its own. A mail server that is there is not replaced: they exclude each other.
    [ -x /usr/sbin/postfix ] || has sendmail || [ -x /usr/sbin/sendmail ] || echo postfix
    has pgrep || echo procps
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    if has pkg-config; then
        pkg-config --exists openssl || echo libssl-dev
        pkg-config --exists libsasl2 || echo libsasl2-dev
        pkg-config --exists zlib || echo zlib1g-dev
        pkg-config --exists libcurl || echo libcurl4-openssl-dev
    else
        printf '%s\n' pkg-config libssl-dev libsasl2-dev zlib1g-dev libcurl4-openssl-dev
    fi
}

install_packages() {
    local missing=$*
    has apt-get || fail "missing: $missing. They are named as Debian names them; please install your system's equivalents."
    [ "$(id -u)" = 0 ] || fail "missing: $missing. Please run as root: apt-get install --no-install-recommends $missing"
    say "Installing system packages: $missing"
    export DEBIAN_FRONTEND=noninteractive
    keep_services_off
    apt-get -qq update || say "The package lists could not be refreshed; trying with those at hand."
    # shellcheck disable=SC2086 # a list of words
    apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends $missing >/dev/null ||
        fail "apt-get could not install: $missing. Its message is above."
    allow_services
    # Only their tools are wanted, not a Prometheus that scrapes this machine from the next boot on, nor a mail server.
    local service
    for service in prometheus postfix; do
        case " $missing " in
            *" $service "*) ! has systemctl || systemctl --quiet disable "$service" 2>/dev/null || true ;;
        esac
    done
}

# Debian starts the service of a package as it is installed, unless this file forbids it.
policy=/usr/sbin/policy-rc.d
keep_services_off() {
    [ ! -e "$policy" ] || return 0
    printf '#!/bin/sh\n# from deploy/setup.sh of Cascade\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap allow_services EXIT
}
allow_services() {
    if grep -qs 'setup.sh of Cascade' "$policy"; then rm -f "$policy"; fi
}

# Kafka 4 starts on Java 17 or newer. Which Java a machine uses is its owner's choice: an older one is named, not replaced.
check_java() {
    local version
    version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
    [ "${version:-0}" -ge 17 ] || fail "the java in the PATH ($(command -v java)) is version ${version:-unknown}, but Kafka needs 17 or newer."
}

broker_is_there() { [ -e "$KAFKA_LIBS/kafka-clients-$KAFKA_VERSION.jar" ]; }

fetch_broker() {
    say "Fetching Apache Kafka $KAFKA_VERSION (44 MB) by Maven into $KAFKA_LIBS"
    local scratch
    scratch=$(mktemp -d "$CASCADE_CACHE/kafka.XXXXXX")
    cp "$here/kafka/pom.xml" "$scratch/"
    # Maven writes colour codes even where it writes nothing else.
    mvn -q -B -f "$scratch/pom.xml" -Dkafka.version="$KAFKA_VERSION" \
        org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$scratch/libs" 2>&1 | sed $'s/\e\\[[0-9;]*m//g' >&2 || {
        rm -rf "$scratch"
        fail "Maven could not fetch Kafka. Its message is above; is Maven Central (or your mirror of it) reachable?"
    }
    # Renamed in one step: whoever sees the directory sees all of it.
    rm -rf "$KAFKA_LIBS"
    mkdir -p "$(dirname "$KAFKA_LIBS")"
    mv "$scratch/libs" "$KAFKA_LIBS"
    rm -rf "$scratch"
}

# A broker with an archive of its classes starts in three seconds instead of five; every test run starts some. Only a
# convenience, so a failure is not one of the setup's.
archive_is_there() { [ -e "$KAFKA_LIBS/kafka.jsa" ]; }
make_archive() {
    say "Starting Kafka once to archive its classes (50 MB), so that later starts are quicker"
    local scratch broker
    scratch=$(mktemp -d "$CASCADE_CACHE/archive.XXXXXX")
    KAFKA_ARCHIVE=$scratch/kafka.jsa KAFKA_CALLER=$$ "$here/kafka/start.sh" "$scratch/broker" 9>&- &
    broker=$!
    while kill -0 "$broker" 2>/dev/null && [ ! -e "$scratch/broker/bootstrap" ]; do sleep 0.1; done
    kill "$broker" 2>/dev/null || true
    wait "$broker" 2>/dev/null || true
    mv "$scratch/kafka.jsa" "$KAFKA_LIBS/kafka.jsa" 2>/dev/null || say "That did not work; brokers will start without it."
    rm -rf "$scratch"
}

# What other checkouts have compiled of foreign crates, RocksDB above all, is good for this one, too: the directory of a checkout
# that is gone is taken over, else the newest one is copied. Our own crates are always built anew.
take_over_target() {
    local donor found='' is_orphan=''
    # Cargo was here before us: nothing is to be taken over.
    if [ -d "$CARGO_TARGET_DIR/debug" ]; then
        (cd "$here/.." && pwd) >"$CARGO_TARGET_DIR/checkout"
        return
    fi
    rm -rf "$CARGO_TARGET_DIR"
    for donor in "$CASCADE_CACHE"/targets/* "$CASCADE_CACHE/target"; do
        [ -d "$donor/debug" ] || continue
        if [ ! -d "$(cat "$donor/checkout" 2>/dev/null)" ]; then
            found=$donor is_orphan=yes
        elif [ -z "$is_orphan" ] && { [ -z "$found" ] || [ "$donor/debug" -nt "$found/debug" ]; }; then
            found=$donor
        fi
    done
    if [ "$is_orphan" ]; then
        say "Taking over compiled libraries from a checkout that is gone"
        mv "$found" "$CARGO_TARGET_DIR"
    elif [ "$found" ]; then
        say "Copying compiled libraries from another checkout ($(du -sh "$found" | cut -f1))"
        rm -rf "$CARGO_TARGET_DIR.new"
        # Nobody builds there meanwhile.
        flock "$found/debug/.cargo-lock" cp -a --reflink=auto "$found" "$CARGO_TARGET_DIR.new"
        mv "$CARGO_TARGET_DIR.new" "$CARGO_TARGET_DIR"
    fi
    mkdir -p "$CARGO_TARGET_DIR"
    (cd "$here/.." && cargo clean --quiet --workspace)
    (cd "$here/.." && pwd) >"$CARGO_TARGET_DIR/checkout"
}

has cargo || fail "missing: cargo. Please install Rust 1.95 or newer (rustup.rs); this script does not choose a toolchain for you."
mkdir -p "$CASCADE_CACHE"
exec 9>"$CASCADE_CACHE/setup.lock"
flock 9

missing=$(missing_packages | tr '\n' ' ')
[ -z "$missing" ] || install_packages "${missing% }"
check_java
broker_is_there || fetch_broker
archive_is_there || make_archive
case $CARGO_TARGET_DIR in
    "$CASCADE_CACHE"/targets/*) [ -e "$CARGO_TARGET_DIR/checkout" ] || take_over_target ;;
    # Somebody's own choice.
    *) ;;
esac
