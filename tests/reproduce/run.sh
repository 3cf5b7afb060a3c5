#!/usr/bin/env bash
# A change that puts a folder's name into a program is found by scripts/reproduce and explained; without it the same
# program is reproduced, and held against a published copy and a published statement. Takes the smallest program: seven
# builds of measured-boot.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# owes CODE NAME PATTERN… -- COMMAND…: the exit code, and lines that match.
owes() {
    local code=$1 name=$2 patterns=() found=0 pattern
    shift 2
    while [ "$1" != -- ]; do patterns+=("$1"); shift; done
    shift
    "$@" >"$work/out" 2>&1 </dev/null || found=$?
    if [ "$found" != "$code" ]; then
        echo "FAILED $name: exit $found, owed $code"
        sed 's/^/    /' "$work/out"
        failed=1
        return
    fi
    for pattern in "${patterns[@]}"; do
        if ! grep -qE -- "$pattern" "$work/out"; then
            echo "FAILED $name: no line matches $pattern"
            sed 's/^/    /' "$work/out"
            failed=1
            return
        fi
    done
    echo "ok: $name"
}

git -c init.defaultBranch=main clone --quiet --no-local "$here" "$work/repository"
cd "$work/repository"
git config user.name Tester
git config user.email tester@example.invalid
good=$(git rev-parse HEAD)

owes 1 "an unknown program" 'no program "gateway"' 'fix: ' -- scripts/reproduce --program gateway
owes 1 "a commit that is not there" 'does not have commit' -- scripts/reproduce --commit "$(printf '9%.0s' {1..40})"
owes 1 "a file that is no program's" 'name it with --program' -- scripts/reproduce --against Cargo.toml
owes 1 "a file that is not there" 'nowhere is not there' 'fix: ' -- scripts/reproduce --against nowhere
owes 1 "a key that is not there" 'release key nowhere.pem' 'fix: ' -- scripts/reproduce --release-public-keys nowhere.pem
owes 1 "a statement that is none" 'Cargo.toml is no statement' 'fix: ' -- scripts/reproduce --provenance Cargo.toml

# What a careless line does.
line='    eprintln!("{}", env!("CARGO_MANIFEST_DIR"));'
sed -i "/^fn main() /a\\$line" measured-boot/src/main.rs
git commit --quiet --all --message "A program that knows where it was built"
git diff --quiet "$good" && { echo "FAILED: the change did not change main.rs"; exit 1; }
owes 6 "a program that holds its folder" '^DIFFERENT: measured-boot' '^ +\.rodata: ' 'paths only in the first build' \
    '/a/source/measured-boot' '/another/length/source/measured-boot' 'holds the name of a folder' 'NOT reproduced' \
    -- scripts/reproduce --program measured-boot

git -c advice.detachedHead=false checkout --quiet "$good"
owes 0 "the same without it" '^equal: measured-boot' "^reproduced: commit $good" \
    -- scripts/reproduce --program measured-boot --keep "$work/kept"
# Against a published copy: one build each, of which the first is spared by altering what is compared.
cp "$work/kept/measured-boot" "$work/measured-boot"
printf '\1' | dd of="$work/measured-boot" bs=1 seek="$(($(stat -c %s "$work/measured-boot") / 2))" conv=notrunc status=none
owes 6 "one byte of a published program" '^DIFFERENT: measured-boot' "first differing byte: offset $(($(stat -c %s "$work/measured-boot") / 2))" \
    -- scripts/reproduce --against "$work/kept/measured-boot" --against "$work/measured-boot"
grep -q '^equal: measured-boot' "$work/out" || { echo "FAILED: the published program itself is not equal"; failed=1; }

# Against what a statement says of it: one build each.
# states SHA256 [CHANGE]: of measured-boot, otherwise what CHANGE makes of it.
states() {
    jq -n --arg sha256 "$1" --arg commit "$good" '{payloadType: "application/vnd.in-toto+json", signatures: [], payload: ({
        subject: [{name: "measured-boot", digest: {sha256: $sha256}}],
        predicate: {buildDefinition: {externalParameters: {gitCommit: $commit, releasePublicKeys: []}}}} | '"${2:-.}"' | @json | @base64)}'
}
# A statement of somebody who wants more than to be believed.
said=.predicate.buildDefinition.externalParameters
for change in "$said.repository = \"https://x\ncargo::rustc-link-arg=-wrapper\"" "$said.repository = \"https://x y\"" \
    "$said.repository = \"https://x\n\"" "$said.gitCommit = \"HEAD\"" "$said.gitCommit = \"\"" "$said.gitCommit += \"\n\"" \
    "$said.gitCommit = \"HEAD^{/.}\"" "$said.releasePublicKeys = [\"/dev/zero\"]" \
    "$said.releasePublicKeys = [(\"0\" * 64) + \"\n\"]" '.subject[0].digest.sha256 += "\n"' '.subject[0].name = "bridge\u001b[2J"' \
    '.subject = {}' '.subject = []'; do
    states "$(printf '0%.0s' {1..64})" "$change" >"$work/statement.json"
    owes 1 "a statement with $change" 'is no statement of a build' 'fix: ' -- scripts/reproduce --provenance "$work/statement.json"
done
states "$(sha256sum <"$work/kept/measured-boot" | cut -d' ' -f1)" >"$work/statement.json"
owes 1 "a program of which the statement says nothing" 'names no SHA-256 of bridge' 'one of: measured-boot' \
    -- scripts/reproduce --provenance "$work/statement.json" --program bridge
owes 0 "what a statement names" '^equal: measured-boot' "^reproduced: commit $good" \
    -- scripts/reproduce --provenance "$work/statement.json"
states "$(printf '0%.0s' {1..64})" >"$work/statement.json"
owes 6 "another program than the statement names" '^DIFFERENT: measured-boot' 'the statement: 0000' 'NOT reproduced' \
    -- scripts/reproduce --provenance "$work/statement.json" --program measured-boot
exit "$failed"
