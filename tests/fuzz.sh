#!/usr/bin/env bash
# Throws whatever may come at everything that reads what others wrote (tests/fuzz/src/readers.rs), and exits with 1 if one of them
# panics, hangs or takes too much memory. The input that did it is named.
#
#   tests/fuzz.sh [SECONDS] [TARGET...]
#
# SECONDS for each target, 60 if nothing is said; without targets all of them. Beginnings are the campaigns, timelines and golden
# records of this checkout; what was found on the way is kept below ~/.cache/cascade/fuzz, so that the next run goes on from there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)
# shellcheck source=../deploy/env.sh
. "$root/deploy/env.sh"
seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} != 0 ] || targets=(campaign prices condition row timeline bounce receipt hook frame link post)

kept=$CASCADE_CACHE/fuzz
PATH=$CASCADE_CACHE/tools/bin:$PATH
# The sanitizers of a stable compiler are locked, not left out.
export RUSTC_BOOTSTRAP=1
command -v cargo-fuzz >/dev/null || cargo install --locked --root "$CASCADE_CACHE/tools" cargo-fuzz@0.13.2

seeds() {
    local to=$1
    case $2 in
        campaign) find "$root/deploy/campaigns" -name '*.yaml' ! -name prices.yaml -exec cp {} "$to" \; ;;
        prices) cp "$root/deploy/campaigns/prices.yaml" "$to" ;;
        timeline) find "$root/deploy/campaigns" -name '*.timeline' -exec cp {} "$to" \; ;;
        bounce) cp "$root"/services/channels/src/bounce/samples/*.eml "$to" ;;
        hook) grep -hoP '"body": \K.*(?=, "read_as")' "$root"/services/channels/src/transport/posts/*.json | split -l 1 -a 3 - "$to/" ;;
        receipt) grep -oP '"text": "\K[^"]+' "$root/services/channels/src/transport/smpp/receipt/samples.json" | split -l 1 -a 2 - "$to/" ;;
        # A receipt, a reply behind a user data header in UCS-2, and one with a TLV, each as a deliver_sm.
        frame)
            printf '\x00\x00\x00\x39\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x01790\x00\x01\x01Shop\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x11id:7 stat:DELIVRD' >"$to/receipt"
            printf '\x00\x00\x00\x32\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01\x01790\x00\x01\x01Shop\x00\x40\x00\x00\x00\x00\x00\x00\x08\x00\x0a\x05\x00\x03\x07\x02\x01\x04\x14\x04\x30' >"$to/reply"
            printf '\x00\x00\x00\x2e\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x03\x00\x01\x01790\x00\x01\x01Shop\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x1e\x00\x027\x00' >"$to/tlv"
            ;;
        link)
            find "$root/deploy/templates" -name '*.html' -exec cp {} "$to" \;
            printf 'https://shop.example/cart?a=1&b=2' >"$to/target"
            printf '<a href="https:&#x2f;&#x2f;shop.example&#x2f;?a=1&amp;b=2">x</a><A\nHREF = '"'http://b.example/'"'>' >"$to/page"
            ;;
        post)
            printf '[{"send_id":"6f1c1c5e-8d1f-5a77-9c54-3f3d1b2a4c5d","customer_id":"c9","channel":"sms","status":"undelivered","occurred_at":99,"code":"x"}]' >"$to/receipts"
            printf '{"send_id":"6f1c1c5e-8d1f-5a77-9c54-3f3d1b2a4c5d","customer_id":"c9","channel":"call","outcome":"agreed"}' >"$to/outcome"
            printf '[{"type":"action","data":{"event_id":"o-17","customer_id":"c1","occurred_at":7,"action":"purchase"}}]' >"$to/events"
            ;;
        row) cp "$root"/schemas/golden/v1/{row,budget,address}.bin "$to" ;;
        condition)
            # Each on a file of its own: what stands behind `where`, `when` and `key`, and in the tests.
            { grep -rhoP '\b(where|when|key): \K[^#{}]+' "$root/deploy/campaigns" --include='*.yaml'
              grep -hoP '^ *\("\K[^"]+' "$root/services/campaign/src/predicate/tests.rs"; } |
                sed 's/^"//; s/" *$//; s/ *$//' | split -l 1 -a 4 - "$to/" ;;
        *) echo "fuzz: there is no target $2: see tests/fuzz/fuzz_targets" >&2; exit 2 ;;
    esac
}

cd "$here/fuzz"
failed=()
for target in "${targets[@]}"; do
    mkdir -p "$kept/corpus/$target" "$kept/seeds/$target" "$kept/found/$target"
    seeds "$kept/seeds/$target" "$target"
    printf '\n== %s\n' "$target"
    CARGO_TARGET_DIR=$kept/target cargo fuzz run --fuzz-dir . "$target" "$kept/corpus/$target" "$kept/seeds/$target" -- \
        -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$kept/found/$target/" || failed+=("$target")
done
[ ${#failed[@]} = 0 ] || { echo "fuzz: failed: ${failed[*]}. The inputs are in $kept/found" >&2; exit 1; }
