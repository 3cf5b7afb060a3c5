#!/usr/bin/env bash
# Builds all programs twice with two people's release keys compiled in and compares them; then the two sign what came out,
# and the gateway serves it (tests/tests/released.rs).
#
#   tests/reproduce/released.sh                        builds
#   tests/reproduce/released.sh --programs D --keys D  with programs that were built with the keys alice.pem and bob.pem
#                                                      of that folder
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PATH="$HOME/.cargo/bin:$PATH"

programs="" keys=""
while [ $# -gt 0 ]; do
    case $1 in
        --programs) programs=$(realpath -e -- "${2:?--programs takes a folder}"); shift 2 ;;
        --keys) keys=$(realpath -e -- "${2:?--keys takes a folder}"); shift 2 ;;
        *) echo "released: unknown argument $1" >&2; echo "fix: tests/reproduce/released.sh [--programs D --keys D]" >&2; exit 1 ;;
    esac
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "$keys" ]; then
    keys=$work/keys
    mkdir "$keys"
    for person in alice bob; do
        openssl genpkey -algorithm ed25519 -out "$keys/$person.pem"
        openssl pkey -in "$keys/$person.pem" -pubout -out "$keys/$person.public.pem"
    done
fi
if [ -z "$programs" ]; then
    programs=$work/built
    scripts/reproduce --release-public-keys "$keys/alice.public.pem,$keys/bob.public.pem" --keep "$programs"
fi
# A folder of their own: the statement is written beside the gateway.
mkdir "$work/programs"
cp "$programs/enclave" "$work/programs/"
# Verifier, manifest tool and helpers are this tree's.
cargo build --quiet --locked -p attestation-verifier -p measured-boot -p enclave -p sealgate-tests --bins
SEALGATE_PROGRAMS=$work/programs SEALGATE_RELEASE_KEYS=$keys \
    cargo test --quiet --locked --workspace --test released -- --ignored
