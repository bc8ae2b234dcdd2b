#!/usr/bin/env bash
# Runs one private Kafka broker on loopback, in the foreground.
#
#   deploy/kafka/start.sh DIR
#
# DIR/bootstrap      appears once the broker is ready and holds its address, 127.0.0.1:PORT
# DIR/kafka.log      the broker's log, appended to over restarts
# DIR/tmp            what the JVM and its libraries unpack, emptied at the next start
# DIR/data           its data; started again on the same DIR, the broker keeps data and port. Remove DIR/bootstrap before,
#                    or the first look may find the file of the run before
#
# The caller's child process becomes the broker itself (exec): SIGTERM ends it cleanly, SIGKILL leaves nothing behind.
#
# KAFKA_HEAP=192m    the JVM's heap
# KAFKA_CALLER=PID   if set, the broker also ends within seconds once this process is gone, however that one died
# KAFKA_BENCH=1      for measurements: 1 GB of heap, full JIT, Kafka's own thread and buffer defaults, a broker that may be late
# KAFKA_SETTINGS=FILE further properties; they hold against those of server.properties
# KAFKA_FORMAT=ARGS  how DIR/data is formatted, instead of as a lone node
# KAFKA_ARCHIVE=FILE leave an archive of the loaded classes on exit; setup.sh makes one, which saves two seconds a start
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../env.sh"

[ $# = 1 ] || { echo "usage: deploy/kafka/start.sh DIR" >&2; exit 64; }
[ -e "$KAFKA_LIBS/kafka-clients-$KAFKA_VERSION.jar" ] ||
    { echo "Kafka is not in $KAFKA_LIBS: please run deploy/setup.sh first." >&2; exit 69; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
rm -rf "$dir/tmp"
mkdir "$dir/tmp"
log=$dir/kafka.log
touch "$log"
rm -f "$dir/bootstrap"

port=0
[ ! -e "$dir/port" ] || port=$(<"$dir/port")

settings=("$here/server.properties")
if [ "${KAFKA_BENCH:-0}" = 1 ]; then
    settings+=("$here/large.properties")
    jvm=(-Xms1g -Xmx1g)
else
    settings+=("$here/small.properties")
    # The first JIT tier and the serial collector: up in half the time, in half the memory.
    jvm=("-Xmx${KAFKA_HEAP:-192m}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1)
    # An archive of another JVM or of moved jars is ignored, silently.
    [ ! -e "$KAFKA_LIBS/kafka.jsa" ] || jvm+=("-XX:SharedArchiveFile=$KAFKA_LIBS/kafka.jsa" -Xlog:cds=off -Xlog:cds+dynamic=off)
fi
[ -z "${KAFKA_SETTINGS:-}" ] || settings+=("$KAFKA_SETTINGS")
sed -e "s|@DIR@|$dir|" -e "s|@PORT@|$port|" "${settings[@]}" >"$dir/server.properties"
jvm+=(-XX:-UsePerfData -XX:+ExitOnOutOfMemoryError "-Djava.io.tmpdir=$dir/tmp" "-Dlog4j2.configurationFile=$here/log4j2.yaml" -cp "$KAFKA_LIBS/*")

if [ ! -e "$dir/data/meta.properties" ]; then
    # With eligible leader replicas, the partitions of a lone broker that crashed have no leader for a moment, in which its
    # transaction coordinator takes them for deleted and forgets the markers of commits that it has confirmed (KAFKA-20734).
    # Without them that is seldom, but it happens: what must survive a broker's restart needs more than one.
    format=(--standalone --feature eligible.leader.replicas.version=0)
    [ -z "${KAFKA_FORMAT:-}" ] || read -ra format <<<"$KAFKA_FORMAT"
    java "${jvm[@]}" kafka.tools.StorageTool format "${format[@]}" \
        -t p8fFEbKGQ22B6M_Da_vCBw -c "$dir/server.properties" >>"$log" 2>&1 ||
        { echo "Kafka could not format $dir/data; the reason is in $log." >&2; exit 1; }
fi

alive() { # a process that was killed but not yet waited for counts as dead
    local state
    state=$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null) && [ "$state" != Z ]
}

# Waits for the line that says the broker is ready, then publishes its address. The controller announces its port first,
# the broker last.
publish_address() {
    local broker=$1 seen=$2 ports
    until [ -n "$(tail -c "+$((seen + 1))" "$log" | sed -n '/Kafka Server started/p')" ]; do
        alive "$broker" || return 0
        sleep 0.1
    done
    ports=$(tail -c "+$((seen + 1))" "$log" | sed -n 's/.*Awaiting socket connections on 127\.0\.0\.1:\([0-9]*\)\..*/\1/p')
    echo "${ports##*$'\n'}" >"$dir/port"
    echo "127.0.0.1:${ports##*$'\n'}" >"$dir/bootstrap.new"
    mv "$dir/bootstrap.new" "$dir/bootstrap"
}

# Ends the broker once the caller is gone.
follow_caller() {
    local broker=$1 caller=$2
    while alive "$caller"; do
        alive "$broker" || return 0
        sleep 1
    done
    kill "$broker" 2>/dev/null || return 0
    for _ in {1..50}; do
        alive "$broker" || return 0
        sleep 0.1
    done
    kill -9 "$broker" 2>/dev/null || true
}

# Detached from this process and from the caller's pipes: neither a zombie of the broker nor a reason for anybody to wait.
broker=$$
seen=$(stat -c %s "$log")
(
    {
        publish_address "$broker" "$seen"
        [ -z "${KAFKA_CALLER:-}" ] || follow_caller "$broker" "$KAFKA_CALLER"
    } </dev/null >/dev/null 2>&1 &
)
[ -z "${KAFKA_ARCHIVE:-}" ] || jvm+=("-XX:ArchiveClassesAtExit=$KAFKA_ARCHIVE")
exec java "${jvm[@]}" kafka.Kafka "$dir/server.properties" </dev/null >>"$log" 2>&1
