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

die() { printf 'released: %s\nfix: tests/reproduce/released.sh [--programs D --keys D]\n' "$1" >&2; exit 1; }

programs="" keys=""
while [ $# -gt 0 ]; do
    case $1 in
        --programs | --keys)
            [ -d "${2:-}" ] || die "$1 takes a folder that is there"
            declare "${1#--}=$(realpath -- "$2")"
            shift 2
            ;;
        *) die "unknown argument $1" ;;
    esac
done
[ -z "$programs" ] || [ -n "$keys" ] || die "--programs needs the keys that were compiled into them: --keys"
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
