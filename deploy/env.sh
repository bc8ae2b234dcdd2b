# shellcheck shell=sh
# Where Cascade keeps what it builds and fetches. To be sourced (POSIX sh); every value that is already set stays.
# Nothing of it lies in the checkout, so a clean clone stays clean and a second clone finds everything warm.

: "${CASCADE_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/cascade}"
# Each checkout has a target directory of its own: cargo tells the sources of two checkouts apart by their times alone, and one
# would run what was built from the other. setup.sh takes over what others have compiled of foreign crates.
if [ -z "${CARGO_TARGET_DIR:-}" ]; then
    checkout=${here:-$PWD}
    while [ ! -e "$checkout/Cargo.lock" ] && [ "$checkout" != / ]; do checkout=$(dirname "$checkout"); done
    CARGO_TARGET_DIR=$CASCADE_CACHE/targets/$(printf %s "$checkout" | cksum | cut -d' ' -f1)
fi
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
