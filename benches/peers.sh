#!/usr/bin/env bash
# How long backtrail needs for a capture beside what its users have: one run, the tools by turns, each as often. Prints for each tool the
# seconds of every round (wall, user + system), the peak memory, and the median wall time as a multiple of backtrail's.
#
#   benches/peers.sh [MEBIBYTES [ROUNDS]]     2048 and 3 by default
#
# Debian: apt-get install nfdump argus-server libndpi-bin tshark tcpdump time. A tool that is not there is left out and said.
set -euo pipefail
cd "$(dirname "$0")/.."
size=${1:-2048} rounds=${2:-3}
target=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d "${TMPDIR:-/tmp}/backtrail-peers.XXXXXX")
trap 'rm -rf "$work"' EXIT

cargo build --release --bin backtrail --example make-capture
"$target/release/examples/make-capture" "$work/big.pcap" "$size"
cat "$work/big.pcap" >/dev/null

run() {
    local name=$1
    shift
    if ! command -v "$1" >/dev/null; then
        echo "$name is not installed: left out" >&2
        return 0
    fi
    rm -rf "$work/out" && mkdir "$work/out"
    /usr/bin/time -o "$work/time" -f '%e %U %S %M' "$@" >/dev/null 2>&1 || echo "$name ended with an error" >&2
    read -r wall user system memory < <(tail -n 1 "$work/time")
    echo "$name $wall $(echo "$user + $system" | bc) $memory" >>"$work/figures"
}

for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    run backtrail "$target/release/backtrail" ingest --case "$work/out/case" "$work/big.pcap"
    run nfpcapd nfpcapd -r "$work/big.pcap" -w "$work/out"
    run argus argus -r "$work/big.pcap" -w "$work/out/argus"
    run ndpiReader ndpiReader -q -i "$work/big.pcap"
    run tcpdump tcpdump -r "$work/big.pcap" -w /dev/null
    run tshark tshark -n -q -z conv,ip -r "$work/big.pcap"
done

awk '
    { wall[$1] = wall[$1] " " $2; cpu[$1] = cpu[$1] " " $3; if ($4 > most[$1]) most[$1] = $4; n[$1]++; all[$1, n[$1]] = $2 }
    function median(tool,   i, j, v, x, k) {
        k = n[tool]
        for (i = 1; i <= k; i++) v[i] = all[tool, i] + 0
        for (i = 1; i <= k; i++) for (j = i + 1; j <= k; j++) if (v[j] < v[i]) { x = v[i]; v[i] = v[j]; v[j] = x }
        return k % 2 ? v[(k + 1) / 2] : (v[k / 2] + v[k / 2 + 1]) / 2
    }
    END {
        own = median("backtrail")
        printf "%-11s %-26s %-26s %9s %9s\n", "tool", "wall s", "cpu s", "peak MB", "x wall"
        for (tool in n) printf "%-11s %-26s %-26s %9.0f %9.2f\n", tool, wall[tool], cpu[tool], most[tool] / 1024, median(tool) / own
    }' "$work/figures"
