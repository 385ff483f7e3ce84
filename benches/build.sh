#!/usr/bin/env bash
# What a client costs those who build it: the crates that it brings along, and a clean release build of an empty
# program that depends on it. `benches/build.sh [ROUNDS]`; needs a C compiler, as each of them does.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-1}
repository=$PWD
scratch=${CARGO_TARGET_DIR:-target}/build-times
mkdir -p "$scratch"
cd "$scratch"
# What was built before would be found through a cache of compilers' results.
export RUSTC_WRAPPER= CARGO_TERM_COLOR=never
unset CARGO_TARGET_DIR

clients=(sikkerkey vaultrs aws_secretsmanager_caching)
declare -A source=(
    [sikkerkey]="path = \"$repository/sikkerkey\""
    [vaultrs]='version = "=0.8.0"'
    [aws_secretsmanager_caching]='version = "=2.1.0"'
)

declare -A crates
for client in "${clients[@]}"; do
    mkdir -p "$client/src"
    echo 'fn main() {}' >"$client/src/main.rs"
    # Its own workspace: the one around it is not meant.
    cat >"$client/Cargo.toml" <<EOF
[package]
name = "build-time"
version = "0.0.0"
edition = "2024"

[dependencies]
$client = { ${source[$client]} }

[workspace]
EOF
    cargo fetch --quiet --manifest-path "$client/Cargo.toml"
    # As .ci/run counts; neither the empty program nor the client itself.
    all=$(cargo tree --manifest-path "$client/Cargo.toml" -e normal,build --prefix none | sed 's/ (.*//' | sort -u | wc -l)
    crates[$client]=$((all - 2))
done

# In turns, so that each sees the same machine. The processors' time depends less on what else runs there.
TIMEFORMAT='%R %U %S'
declare -A wall cpu
least() { awk -v a="$1" -v b="$2" 'BEGIN { print (a == "" || b < a) ? b : a }'; }
for round in $(seq "$rounds"); do
    for client in "${clients[@]}"; do
        rm -rf "$client/target"
        { time cargo build --release --quiet --offline --manifest-path "$client/Cargo.toml" \
            --target-dir "$client/target" 2>"$client/build.log"; } 2>"$client/time" || {
            cat "$client/build.log" >&2
            exit 1
        }
        read -r real user system <"$client/time"
        used=$(awk -v u="$user" -v s="$system" 'BEGIN { print u + s }')
        echo "round $round, $client: $real s, $used s of processors" >&2
        wall[$client]=$(least "${wall[$client]:-}" "$real")
        cpu[$client]=$(least "${cpu[$client]:-}" "$used")
    done
done

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
echo '| client | crates | time | ours by theirs | processor time | ours by theirs |'
echo '| --- | --- | --- | --- | --- | --- |'
for client in "${clients[@]}"; do
    printf '| %s | %d | %.1f s | %s | %.1f s | %s |\n' "$client" "${crates[$client]}" \
        "${wall[$client]}" "$(ratio "${wall[sikkerkey]}" "${wall[$client]}")" \
        "${cpu[$client]}" "$(ratio "${cpu[sikkerkey]}" "${cpu[$client]}")"
done
