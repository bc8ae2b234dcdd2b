# shellcheck shell=sh
# Where Cascade keeps what it builds and fetches. To be sourced (POSIX sh); every value that is already set stays.
# Nothing of it lies in the checkout, so a clean clone stays clean and a second clone finds everything warm.

: "${CASCADE_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/cascade}"
: "${CARGO_TARGET_DIR:=$CASCADE_CACHE/target}"
: "${KAFKA_VERSION:=4.3.0}"
: "${KAFKA_LIBS:=$CASCADE_CACHE/kafka-$KAFKA_VERSION}"
: "${CASCADE_VENV:=$CASCADE_CACHE/venv}"
export CASCADE_CACHE CARGO_TARGET_DIR KAFKA_VERSION KAFKA_LIBS CASCADE_VENV

# RocksDB and librdkafka are C++: with ccache a lost target directory costs minutes instead of a quarter of an hour.
if [ -d /usr/lib/ccache ]; then
    case ":$PATH:" in
        *:/usr/lib/ccache:*) ;;
        *) PATH=/usr/lib/ccache:$PATH; export PATH ;;
    esac
fi
