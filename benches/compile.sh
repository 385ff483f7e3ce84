#!/usr/bin/env bash
# What the derive costs those who compile it: a struct of 300 fields, by SikkerKeyConfig and by serde's Deserialize, in
# one run. `benches/compile.sh [ROUNDS] [FIELDS]` prints the least processor time of each, and the ratio (aim: at most 2).
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-5}
fields=${2:-300}
repository=$PWD
scratch=${CARGO_TARGET_DIR:-target}/compile-times
mkdir -p "$scratch"
cd "$scratch"
# Neither a cache of compilers' results, nor what an earlier round left.
export RUSTC_WRAPPER= CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never
unset CARGO_TARGET_DIR

# The same fields for both: text, a number, an option, a default. Nothing else differs but the derive and its call.
write_struct() { # ATTRIBUTE-OF-THE-DEFAULT FIELDS
    echo 'pub struct Many {'
    for i in $(seq "$2"); do
        case $((i % 4)) in
            0) echo "    pub f$i: String," ;;
            1) echo "    pub f$i: u16," ;;
            2) echo "    pub f$i: Option<String>," ;;
            3) echo "    $1 pub f$i: u32," ;;
        esac
    done
    echo '}'
}

write_crate() { # NAME
    local name=$1 number=$2
    mkdir -p "$name/src"
    {
        echo '[package]'
        echo "name = \"$name\""
        echo 'version = "0.0.0"'
        echo 'edition = "2024"'
        echo '[dependencies]'
        case $name in
            ours*) echo "sikkerkey = { path = \"$repository/sikkerkey\" }" ;;
            *) echo 'serde = { version = "1", features = ["derive"] }'; echo 'serde_json = "1"' ;;
        esac
        echo '[workspace]'
    } >"$name/Cargo.toml"
    {
        case $name in
            ours*)
                echo '#[derive(sikkerkey::SikkerKeyConfig)]'
                echo '#[sikkerkey(secret = "sk_many")]'
                write_struct '#[sikkerkey(default = 5)]' "$number"
                echo 'pub fn read(from: &sikkerkey::Snapshot) -> Result<Many, sikkerkey::ConfigError> {'
                echo '    sikkerkey::SikkerKeyConfig::from_snapshot(from)'
                echo '}'
                ;;
            *)
                echo 'fn five() -> u32 { 5 }'
                echo 'pub const FIVE: fn() -> u32 = five;'
                echo '#[derive(serde::Deserialize)]'
                write_struct '#[serde(default = "five")]' "$number"
                echo 'pub fn read(from: &str) -> Result<Many, serde_json::Error> { serde_json::from_str(from) }'
                ;;
        esac
    } >"$name/src/lib.rs"
}

write_crate ours "$fields"
write_crate theirs "$fields"
# The same crates around an empty struct: what starting the compiler and loading the dependencies takes.
write_crate ours-empty 0
write_crate theirs-empty 0
crates=(ours theirs ours-empty theirs-empty)

compile() { # CRATE: check or build, in its own folder, with the dependencies of its side
    cargo "$command" --quiet --manifest-path "$1/Cargo.toml" --target-dir "${1%-empty}-target" 2>"$1/build.log" || {
        cat "$1/build.log" >&2
        exit 1
    }
}

TIMEFORMAT='%U %S'
least() { awk -v a="$1" -v b="$2" 'BEGIN { print (a == "" || b < a) ? b : a }'; }
echo "| a struct of $fields fields | ours | serde | ratio | struct alone, ours | serde | ratio |"
echo '| --- | --- | --- | --- | --- | --- | --- |'
for command in check build; do
    declare -A cpu=()
    for crate in "${crates[@]}"; do compile "$crate"; done
    # In turns, so that each sees the same machine.
    for _ in $(seq "$rounds"); do
        for crate in "${crates[@]}"; do
            touch "$crate/src/lib.rs"
            { time compile "$crate"; } 2>"$crate/time"
            read -r user system <"$crate/time"
            cpu[$crate]=$(least "${cpu[$crate]:-}" "$(awk -v u="$user" -v s="$system" 'BEGIN { print u + s }')")
        done
    done
    awk -v command="$command" -v a="${cpu[ours]}" -v b="${cpu[theirs]}" -v c="${cpu[ours-empty]}" \
        -v d="${cpu[theirs-empty]}" 'BEGIN {
            printf "| cargo %s | %.2f s | %.2f s | %.2f | %.2f s | %.2f s | %.2f |\n",
                command, a, b, a / b, a - c, b - d, (a - c) / (b - d)
        }'
done
