#!/usr/bin/env bash
# Tries scripts/verify-bundle on bundles of a simulated boot, on one fault after another, on the software processor's
# vectors, and, where SEALGATE_EXTRA_VECTORS names them, on genuine AMD reports. Needs what the script needs, cargo and
# util-linux. Every case says the exit code it owes; the last line counts. --full tries every mutation as well.
# Wherever the script judges a file under a named test root, attestation-verifier judges it too and must end alike: same
# exit code, same word.
set -u -o pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
script=$project/scripts/verify-bundle
full=${1:-}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What the script leaves behind would be seen here.
mkdir "$work/tmp" "$work/results" "$work/made"
export TMPDIR=$work/tmp
cases=0
workers=$(nproc)

# verdict NAME CODE LAST PATTERN COMMAND…: in the background. LAST is a glob for the last line; PATTERN, if given, must
# be a regular expression that some line matches, or, after !, that none does.
verdict() {
    cases=$((cases + 1))
    while [ "$(jobs -rp | wc -l)" -ge "$workers" ]; do wait -n; done
    judge "$work/results/$cases" "$@" &
}

judge() {
    local result=$1 name=$2 code=$3 last=$4 pattern=$5 found wrong=
    shift 5
    "$@" >"$result.out" 2>"$result.err" </dev/null
    found=$?
    [ $found = "$code" ] || wrong="exit $found, owed $code"
    # shellcheck disable=SC2254  # a glob is meant
    case $(tail -n 1 "$result.out") in $last) ;; *) wrong+="; last line is not $last" ;; esac
    case $pattern in
    '') ;;
    '!'*) ! grep -qE -- "${pattern#!}" "$result.out" || wrong+="; a line matches ${pattern#!}" ;;
    *) grep -qE -- "$pattern" "$result.out" || wrong+="; no line matches $pattern" ;;
    esac
    wrong+=$(other_opinion "$name" "$found" "$(tail -n 1 "$result.out")" "$@")
    # Nothing of bash's, jq's or openssl's own may reach a reader.
    if [ -s "$result.err" ] && grep -qv '^usage: verify-bundle' "$result.err"; then wrong+="; it wrote to standard error"; fi
    if [ -z "$wrong" ]; then
        echo ok >"$result"
    else
        { echo "FAILED $name: ${wrong#; }"; sed 's/^/    /' "$result.out" "$result.err"; } >"$result"
    fi
}

# other_opinion NAME EXIT LAST COMMAND…: what attestation-verifier says differently, if it has a say: a named test root,
# a readable file, and no fault of usage.
other_opinion() {
    local name=$1 code=$2 last=$3 said word
    # The script looks for a name twice in the raw text, so it cannot let names be written in two ways.
    [ "$1" != "an escape in a member's name" ] || return 0
    shift 3
    [ "$1" = "$script" ] && [ "$code" != 1 ] || return 0
    case " $* " in *' --trust-root '*) ;; *) return 0 ;; esac
    word=$("$verifier" bundle "${@:2}" --json 2>/dev/null)
    said=$?
    word=$(jq -r .verdict <<<"$word" 2>/dev/null)
    [ $said = "$code" ] || printf '; attestation-verifier ends with %s (%s)' "$said" "$word"
    case $last in "$word" | "$word":*) ;; *) printf '; attestation-verifier says %s' "$word" ;; esac
}

# ---- a simulated boot ------------------------------------------------------------------------------------------------

cargo build -q --manifest-path "$project/Cargo.toml" -p software-psp --example bundles || exit 1
cargo build -q --manifest-path "$project/Cargo.toml" -p attestation-verifier || exit 1
target=$(cargo metadata --manifest-path "$project/Cargo.toml" --format-version 1 --no-deps | jq -r .target_directory)
verifier=$target/debug/attestation-verifier
"$target/debug/examples/bundles" "$work/made" || exit 1
good=$work/made/good.json root=$work/made/root.der
nonce=$(jq -r .fresh.nonce "$good")
accepted='accepted (test root)'
test_root='rejected: the root is a test root, name it with --trust-root'

verdict "a simulated bundle, root and nonce named" 0 "$accepted" '!FAIL' "$script" --trust-root "$root" --nonce "$nonce" "$good"
verdict "it says whom a gateway has paid" 0 "$accepted" '^says +state payTo +0x(70){20} 0x(71){20}$' "$script" --trust-root "$root" "$good"
verdict "it says which TLS keys a gateway has" 0 "$accepted" '^says +state tls +(75){32} (74){32}$' "$script" --trust-root "$root" "$good"
verdict "without a nonce it says so" 0 "$accepted" 'not checked +nonce .*no-nonce' "$script" --trust-root "$root" "$work/made/no-nonce.json"
verdict "root not named: every link, then the sentence" 3 "$test_root" 'pass +fresh possession' "$script" "$good"
verdict "at a time within all dates" 0 "$accepted" '' "$script" --trust-root "$root" --at 2026-06-01T00:00:00Z "$good"
verdict "before the certificates" 3 'rejected: boot dates:*' '' "$script" --trust-root "$root" --at 2025-12-31T23:59:59Z "$good"
verdict "after the certificates" 3 'rejected: boot dates:*' '' "$script" --trust-root "$root" --at 2055-01-01T00:00:00Z "$good"
verdict "another nonce" 6 'rejected: nonce:*' '' "$script" --trust-root "$root" --nonce "${nonce%??}00" "$good"
verdict "a nonce, and none answered" 6 'rejected: nonce:*' '' "$script" --trust-root "$root" --nonce "$nonce" "$work/made/no-nonce.json"
openssl x509 -inform DER -in "$root" -out "$work/root.pem"
verdict "the root as PEM" 0 "$accepted" '' "$script" --trust-root "$work/root.pem" "$good"
verdict "another root named" 3 "rejected: root:*" '' "$script" --trust-root "$project/tests/vectors/psp/genoa/ark.der" "$good"
for file in "$work/made"/[0-9]-*.json; do
    name=$(basename "$file" .json)
    case $name in
    *-milan-* | *-genoa-* | *-turin-*) of=$work/made/root-$(sed -E 's/.*-(milan|genoa|turin)-.*/\1/' <<<"$name").der ;;
    *) of=$root ;;
    esac
    last='rejected: *' rows=
    [ "${name%%-*}" != 0 ] || last=$accepted rows='!FAIL'
    # Provider keys live for a year, revocation lists less.
    verdict "$name" "${name%%-*}" "$last" "$rows" "$script" --trust-root "$of" --at 2026-06-01T00:00:00Z "$file"
done

# No genuine bundle exists here, so the word for real hardware is tried with this root in the place of AMD's Genoa.
sum() { sha256sum | cut -d ' ' -f 1; }
sed "s/4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1/$(sum <"$root")/
    s/5464738c1546aed5f2cecf1dc98c5c960a92e8913238a61711bc90ec6e828521/$(jq -r .certificates.intermediate "$good" | base64 -d | sum)/" \
    "$script" >"$work/other-pins"
hardware=$work/made/6-core-says-baremetal.json
verdict "hardware of a pinned root" 5 'rejected: code:*' '!FAIL' bash "$work/other-pins" "$hardware"
verdict "hardware of a pinned root, whatever code" 0 accepted '!FAIL' bash "$work/other-pins" --code none "$hardware"
verdict "hardware of a pinned root, and a broken link" 6 'rejected: nonce:*' '' bash "$work/other-pins" --nonce "${nonce%??}00" "$hardware"
verdict "a pinned root, and the core says simulated" 6 'rejected: platform:*' '' bash "$work/other-pins" "$good"
verdict "a grade that is none of this script's" 1 'rejected: --code *' '' "$script" --code host "$good"
sed 's/^    Genoa) set -- \([0-9a-f]*\) .*/    Genoa) set -- \1 0 0 ;;/; /5464738c/d; /197e6107/d' "$script" |
    sed "s/4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1/$(sum <"$root")/" >"$work/other-ask"
verdict "a pinned root, an intermediate that is not pinned" 3 'rejected: intermediate:*' '' bash "$work/other-ask" "$hardware"

# ---- usage -----------------------------------------------------------------------------------------------------------

verdict "no argument and nothing attached" 1 'rejected: *' '' "$script"
verdict "no such file" 1 'rejected: *' '' "$script" "$work/none"
verdict "a directory" 1 'rejected: *' '' "$script" "$work"
verdict "two files" 1 'rejected: *' '' "$script" "$good" "$good"
verdict "an unknown option" 1 'rejected: *' '' "$script" --fast "$good"
verdict "an option without its value" 1 'rejected: *' '' "$script" "$good" --nonce
verdict "a short nonce" 1 'rejected: *' '' "$script" --nonce abcd "$good"
verdict "a nonce with a space" 1 'rejected: *' '' "$script" --nonce "$nonce " "$good"
verdict "a day that does not exist" 1 'rejected: *' '' "$script" --at 2026-02-30T00:00:00Z "$good"
verdict "a trust root that is no certificate" 1 'rejected: *' '' "$script" --trust-root "$good" "$good"

# A machine that lacks a part is told which, and gets no verdict.
mkdir "$work/bin" "$work/old" "$work/without"
for tool in bash openssl jq base64 od tr head wc mktemp rm cat date sha256sum sha512sum; do
    ln -s "$(command -v $tool)" "$work/bin/$tool"
done
verdict "nothing but the tools it names" 0 "$accepted" '' env "PATH=$work/bin" bash "$script" --trust-root "$root" "$good"
cp -r "$work/bin/." "$work/without" && rm "$work/without/openssl"
verdict "no openssl" 1 'rejected: this script needs openssl*' '' env "PATH=$work/without" bash "$script" "$good"
cp -r "$work/bin/." "$work/old" && rm "$work/old/openssl"
printf '#!/bin/sh\necho " -verify  Verify with public key" >&2\n' >"$work/old/openssl" && chmod +x "$work/old/openssl"
verdict "an openssl before 3.0" 1 'rejected: *3.0 or later can' '' env "PATH=$work/old" bash "$script" "$good"

# ---- malformed and altered -------------------------------------------------------------------------------------------

# altered NAME CODE FILTER: the good bundle after a jq filter.
altered() {
    jq -c "$3" "$good" >"$work/altered-$cases.json" || exit 1
    verdict "$1" "$2" 'rejected: *' '' "$script" --trust-root "$root" "$work/altered-$cases.json"
}
# text NAME CODE SED: the good bundle's text, edited.
text() {
    sed "$3" "$good" >"$work/altered-$cases.json" || exit 1
    cmp -s "$good" "$work/altered-$cases.json" && { echo "the edit '$3' of '$1' changes nothing"; exit 1; }
    verdict "$1" "$2" 'rejected: *' '' "$script" --trust-root "$root" "$work/altered-$cases.json"
}
# flip PATH OFFSET: a filter that flips one bit of a base64 member.
flip() {
    local text byte
    text=$(jq -r "$1" "$good" | base64 -d | od -An -v -tx1 | tr -d ' \n')
    byte=$(printf %02x $((16#${text:2*$2:2} ^ 1)))
    printf '%s = "%s"' "$1" "$(printf '%b' "$(sed 's/../\\x&/g' <<<"${text:0:2*$2}$byte${text:2*$2+2}")" | base64 -w0)"
}

: >"$work/empty"
verdict "an empty file" 2 'rejected: *' '' "$script" "$work/empty"
echo '"bundle"' >"$work/string"
verdict "a string" 2 'rejected: *' '' "$script" "$work/string"
head -c 9000 "$good" >"$work/short"
verdict "a truncated file" 2 'rejected: *' '' "$script" "$work/short"
cat "$good" "$good" >"$work/twice"
verdict "two bundles in one file" 2 'rejected: *' '' "$script" "$work/twice"
head -c 3145729 /dev/zero | tr '\0' ' ' >"$work/long"
verdict "a file over 3 MiB" 2 'rejected: *' '' "$script" "$work/long"
text "a member twice" 2 's/^{/{"v":1,/'
text "a member twice, the last one ours" 2 's/"v":1/"v":2,"v":1/'
text "an escape in a member's name" 2 's/"boot"/"\\u0062oot"/'
text "1.0 for 1" 2 's/"v":1/"v":1.0/'
text "digits in capitals" 2 '/./s/"nonce":"a2/"nonce":"A2/'
altered "an unknown member" 2 '.extra = null'
altered "a missing null" 2 'del(.quote)'
altered "something where null is owed" 2 '.log = {}'
altered "version 2" 2 '.v = 2'
altered "no state" 2 '.states = []'
altered "a line break in base64" 2 '.core = .core[:76] + "\n" + .core[76:]'
altered "a shell's words in base64" 2 '.core = "$(touch x)AA"'
altered "stray bits in base64" 2 '.boot.report |= .[:-2] + "F="'
altered "a report of another length" 2 '.boot.report |= .[:-4]'
altered "a root that is no certificate" 2 '.certificates.root = "AAAA"'
altered "a revocation list that is none" 2 '.certificates.crls = ["AAAA"]'
altered "a byte after a certificate" 2 '.boot.vek |= (if endswith("==") then .[:-2] + "AA" elif endswith("=") then .[:-1] + "A" else . + "AA==" end)'
altered "a core in another layout" 2 '.core |= (@base64d | fromjson | tojson | sub(","; ", ") | @base64)'
altered "a core with 1.0 for 1" 2 '.core |= (@base64d | sub("16384"; "16384.0") | @base64)'
altered "a core with a new member" 2 '.core |= (@base64d | fromjson | .extra = 1 | tojson | @base64)'
# state NAME CODE FILTER: the newest state after a jq filter, canonical again; its signature is then of another.
state() {
    altered "$1" "$2" ".states[1].bytes |= (@base64d | fromjson | $3 | tojson | @base64)"
}
state "a payee in the prefix of an address" 2 '.payTo[0] |= "0x" + .'
state "a payee of 21 bytes" 2 '.payTo[0] += "00"'
state "a payee in capitals" 2 '.payTo[0] = ("ab" * 20 | ascii_upcase)'
state "payees out of order" 2 '.payTo |= reverse'
state "a payee twice" 2 '.payTo |= [.[0], .[0]]'
state "a payee that is null" 2 '.payTo = [null]'
state "payees as a text" 2 '.payTo |= .[0]'
state "no payees" 2 'del(.payTo)'
state "a receipt account of 32 bytes" 2 '.receipt = .jwks'
state "a fee payer that is a number" 2 '.feePayer = 1'
state "token keys that are an account" 2 '.jwks = .receipt'
state "token keys themselves" 2 '.jwks = {keys: []}'
state "an import key" 2 '.import = {key: .jwks, notAfter: 1}'
state "a witness policy" 2 '.witnessPolicy = .jwks'
state "prices that are false" 2 '.prices = false'
state "another payee" 3 '.payTo[0] = "09" * 20'
state "one payee less" 3 '.payTo |= .[1:]'
state "no payee" 3 '.payTo = []'
state "other token keys" 3 '.jwks = "09" * 32'
state "no fee payer" 3 '.feePayer = null'
state "no prices" 3 '.prices = null'
# carrying NAME CODE LAST PATTERN FILTER: a release manifest after a jq filter. It decides nothing here, whoever signed it.
made_release='{release: ("{}" | @base64), signatures: [{key: ("02" * 32), value: ("09" * 64)}, {key: ("03" * 32), value: ("09" * 64)}]}'
carrying() {
    jq -c ".release = ($made_release | $5)" "$good" >"$work/carrying-$cases.json" || exit 1
    verdict "$1" "$2" "$3" "$4" "$script" --trust-root "$root" "$work/carrying-$cases.json"
}
carrying "a release manifest" 0 "$accepted" '^not checked +release ' .
carrying "a release manifest that nobody signed" 0 "$accepted" '^not checked +release ' '.signatures = []'
carrying "a release manifest with a new member" 2 'rejected: *' '' '.threshold = 1'
carrying "a release manifest without signatures" 2 'rejected: *' '' 'del(.signatures)'
carrying "a release key twice" 2 'rejected: *' '' '.signatures |= [.[0], .[0]]'
carrying "release keys out of order" 2 'rejected: *' '' '.signatures |= reverse'
carrying "nine release keys" 2 'rejected: *' '' '.signatures |= [range(2; 11) as $n | .[0] | .key = ("0\($n % 10)" * 32)]'
carrying "a release key of small order" 2 'rejected: *' '' '.signatures[0].key = "00" * 32'
carrying "a release manifest with stray bits" 2 'rejected: *' '' '.release |= .[:-2] + "1="'
carrying "a release manifest of 64 KiB" 0 "$accepted" '^not checked +release ' '.release = (" " * 65536 | @base64)'
carrying "a release manifest of more" 2 'rejected: *' '' '.release = (" " * 65537 | @base64)'
# A provenance file likewise: whatever it is, it is for those who name release keys.
for text in '"{}"' '" " * 65536'; do
    jq -c ".provenance = ($text | @base64)" "$good" >"$work/provenance-$cases.json" || exit 1
    verdict "a provenance file" 0 "$accepted" '^not checked +provenance ' "$script" --trust-root "$root" "$work/provenance-$cases.json"
done
altered "a provenance file of more" 2 '.provenance = (" " * 65537 | @base64)'
altered "a provenance file with stray bits" 2 '.provenance = "e31="'
altered "a provenance file that is an object" 2 '.provenance = {}'
altered "a provenance file that is false" 2 '.provenance = false'
altered "a release manifest that is false" 2 '.release = false'
altered "an index beyond the count" 2 '.fresh.index = 3'
altered "another index" 6 '.fresh.index = 1'
altered "another count" 6 '.fresh.count = 4'
altered "a longer path" 6 '.fresh.path += [.fresh.path[0]]'
altered "a shorter path" 6 '.fresh.path = []'
altered "another purpose" 6 '.fresh.purpose = "tls"'
altered "the newest state left out" 6 '.states |= .[:1]'
altered "state 0 left out" 6 '.states |= .[1:]'
altered "a state's signature of another" 3 '.states[1].signature = .states[0].signature'
altered "possession of the other report" 6 '.boot.possession = .fresh.possession'
altered "the reports exchanged" 6 '. as $b | .boot.report = $b.fresh.report | .fresh.report = $b.boot.report'
altered "a VLEK it says" 3 '.certificates.vekKind = "vlek"'
altered "the root as intermediate" 3 '.certificates.intermediate = .certificates.root'
altered "one bit of the measurement" 3 "$(flip .boot.report 144)"
altered "one bit of the report data" 3 "$(flip .fresh.report 80)"
altered "one bit of R" 3 "$(flip .boot.report 672)"
altered "a byte after the signature" 2 "$(flip .boot.report 1183)"
altered "one bit of the VCEK's signature" 3 "$(flip .boot.vek 1200)"

# ---- the served script -----------------------------------------------------------------------------------------------

served=$work/verify.sh
{ cat "$script"; base64 "$good"; echo SEALGATE_BUNDLE_BASE64; } >"$served"
verdict "served, from a file" 0 "$accepted" '' bash "$served" --trust-root "$root"
verdict "served, piped" 0 "$accepted" '' bash -c 'cat "$1" | bash -s -- --trust-root "$2"' - "$served" "$root"
verdict "served, root not named" 3 "$test_root" 'pass +boot signature' bash "$served"
verdict "served, networking off" 0 "$accepted" '' unshare -rn bash "$served" --trust-root "$root"
verdict "served, another file named" 2 'rejected: *' '' bash "$served" "$work/string"
jq --rawfile script "$served" '.offlineVerification = {script: $script, sha256: "0", command: "bash"}' "$good" >"$work/answer.json"
verdict "the gateway's whole answer, saved" 0 "$accepted" '' "$script" --trust-root "$root" "$work/answer.json"
jq -r .offlineVerification.script "$work/answer.json" >"$work/verbatim.sh"
verdict "the verbatim command" 3 "$test_root" '' bash "$work/verbatim.sh"
if [ "$(sed "/<<'SEALGATE_BUNDLE_BASE64'\$/q" "$work/verbatim.sh" | sha256sum)" != "$(sha256sum <"$script")" ]; then
    echo "FAILED: the program part of a served script is not the file"
    exit 1
fi
# Wherever a download ends, nothing is accepted.
size=$(wc -c <"$served") program=$(wc -c <"$script")
for cut in 0 1200 3000 20000 $((program - 60)) $((program - 30)) $((program - 1)) "$program" $((program + 500)) $((size - 3000)) $((size - 40)); do
    head -c "$cut" "$served" >"$work/cut-$cut.sh"
    if [ "$cut" -le 1200 ]; then
        # So early nothing but comments has arrived; all there is to say is: not accepted.
        verdict "cut at byte $cut" 0 '' '' bash "$work/cut-$cut.sh" --trust-root "$root"
    else
        verdict "cut at byte $cut" "$([ "$cut" -gt $((program - 2)) ] && [ "$cut" -le "$program" ] && echo 1 || echo 2)" 'rejected: *' '' \
            bash "$work/cut-$cut.sh" --trust-root "$root"
    fi
done
sed "s/^base64//; \$d" "$served" | sed '$s/.$/_/' >"$work/damaged.sh"
verdict "not base64" 2 'rejected: *' '' bash "$work/damaged.sh" --trust-root "$root"

# ---- reports in a bundle that they do not bind -----------------------------------------------------------------------

# Rows that pass for a good report whatever core it was wrapped with: all but "boot report data" and "boot possession".
others='^FAIL +(root|intermediate|revocation|core|platform|state|nonce|boot (chain|dates|signature|report  |firmware|chip|policy))'
b64() { base64 -w0 "$1"; }

# wrapped NAME BASE REPORT VEK INTERMEDIATE ROOT [CRL]: a bundle in $bundle.
wrapped() {
    local kind=vcek crl='[]'
    case $(openssl x509 -inform DER -in "$4" -noout -subject) in *SEV-VLEK*) kind=vlek ;; esac
    [ -z "${7:-}" ] || crl="[\"$(b64 "$7")\"]"
    bundle=$work/wrapped-$1.json
    jq -c --arg report "$(b64 "$3")" --arg vek "$(b64 "$4")" --arg intermediate "$(b64 "$5")" --arg root "$(b64 "$6")" \
        --arg kind "$kind" --argjson crls "$crl" '.boot.report = $report | .boot.vek = $vek | .fresh = null |
        .certificates = {vekKind: $kind, intermediate: $intermediate, root: $root, crls: $crls}' "$2" >"$bundle"
}

# report NAME CODE COMMAND…: a report that owes CODE by itself; the bundle around it fails by its binding in any case.
report() {
    local name=$1 code=$2
    shift 2
    case $code in
    0) verdict "$name" 6 'rejected: *' "!$others" "$@" ;;
    6) verdict "$name" 6 'rejected: *' '^FAIL +boot (firmware|chip)' "$@" ;;
    # Binding outranks policy, so the row tells.
    5) verdict "$name" 6 'rejected: *' '^FAIL +boot policy' "$@" ;;
    *) verdict "$name" "$code" 'rejected: *' '' "$@" ;;
    esac
}

vectors=$project/tests/vectors/psp
while IFS=$'\t' read -r id code at report vek intermediate trust crl; do
    wrapped "$id" "$work/made/no-nonce.json" "$vectors/$report" "$vectors/$vek" "$vectors/$intermediate" "$vectors/$trust" \
        ${crl:+"$vectors/$crl"}
    # A list of another root rejects where the caller names it; in a bundle it tells nothing.
    case $id in *crl-of-*) code=0 ;; esac
    report "$id" "$code" "$script" --trust-root "$vectors/$trust" --at "$at" "$bundle"
    # The lists lapse at the end of 2026; what they revoked stays revoked.
    [ "$code" != 4 ] || report "$id, list lapsed" 4 "$script" --trust-root "$vectors/$trust" --at 2027-06-01T00:00:00Z "$bundle"
done < <(jq -r '.[] | [.id, .exit, .at, .report, .vek, .intermediate, .trust_root, (.crl[0]? // "")] | @tsv' "$vectors/manifest.json")

# alike AT BUNDLE SCRIPT-ROW=VERIFIER-ROW…: ends with the word alike if script and verifier give these rows one outcome.
alike() {
    local at=$1 file=$2 said judged pair mine theirs different=
    shift 2
    said=$("$script" --at "$at" "$file")
    judged=$("$verifier" bundle --json --at "$at" "$file" 2>/dev/null)
    for pair in "$@"; do
        mine=$(sed -nE "s/^(pass|FAIL|not checked) +${pair%=*}  .*/\1/p" <<<"$said" | tr 'FAIL ' 'fail_')
        theirs=$(jq -r --arg name "${pair#*=}" '.checks[] | select(.name == $name) | .outcome' <<<"$judged")
        [ -n "$mine" ] && [ "$mine" = "$theirs" ] || different+=" ${pair%=*}: $mine, ${pair#*=}: $theirs;"
    done
    printf '%s\n' "$said" "${different:-alike}"
}

# azure ID AT: a genuine blob and quote in a bundle whose core names the genuine key. What core and nonce bind fails, and
# all that is Azure's own does not.
azure() {
    local dir=$SEALGATE_EXTRA_VECTORS/snp/reports/$1 spki signature pcrs row=pass
    for part in hcl-report.bin tpm-ak.pem tpm-quote.msg tpm-quote.sig tpm-pcrs.json; do [ -f "$dir/$part" ] || return 0; done
    [ "$(wc -c <"$dir/tpm-quote.sig")" = 256 ] || return 0
    spki=$(openssl pkey -pubin -in "$dir/tpm-ak.pem" -outform DER 2>/dev/null | base64 -w0)
    signature=$({ printf '\x00\x14\x00\x0b\x01\x00' && cat "$dir/tpm-quote.sig"; } | base64 -w0)
    pcrs=$(jq -c '.pcrs | to_entries | map({pcr: (.key | tonumber), sha256: .value}) | sort_by(.pcr)' "$dir/tpm-pcrs.json")
    jq -c --arg hcl "$(b64 "$dir/hcl-report.bin")" --arg spki "$spki" --arg attest "$(b64 "$dir/tpm-quote.msg")" \
        --arg signature "$signature" --argjson pcrs "$pcrs" '.hcl = $hcl
        | .quote = {attest: $attest, signature: $signature, pcrs: $pcrs}
        | .core |= (@base64d | fromjson | .platform = "azure" | .boot = "paravisor"
            | .vtpm = {akName: null, akSpki: $spki, ekName: null, kind: "paravisor"} | tojson | @base64)' \
        "$work/wrapped-$1.json" >"$work/azure-$1.json" || exit 1
    # The oldest blobs name no endorsement key and are refused.
    grep -aq HCLEkPub "$dir/hcl-report.bin" || row=FAIL
    # The states in it are signed over another core.
    verdict "genuine blob $1" 3 'rejected: state signatures: *' "^$row +runtime data" "$script" --at "$2" "$work/azure-$1.json"
    verdict "genuine blob $1, row by row" 0 alike '' alike "$2" "$work/azure-$1.json" 'runtime data=runtime-data' \
        vtpm=vtpm 'boot quote=quote' 'boot chain=chain' 'boot signature=signature' 'boot chip=chip-id' 'boot firmware=tcb'
}

genuine() {
    local snp=$SEALGATE_EXTRA_VECTORS/snp base=$work/made/6-core-says-baremetal.json id product kind verdict vek at code
    jq -c '.fresh = null' "$base" >"$work/base.json"
    while IFS=$'\t' read -r id product verdict; do
        vek=$snp/reports/$id/vek.der
        [ -f "$vek" ] || continue
        kind=ask
        case $(openssl x509 -inform DER -in "$vek" -noout -subject) in *SEV-VLEK*) kind=asvk ;; esac
        product=$(openssl x509 -inform DER -in "$vek" -noout -issuer | sed 's/.*-//' | tr A-Z a-z)
        at=$(date -u -d "$(openssl x509 -inform DER -in "$vek" -noout -startdate | cut -d= -f2) + 1 day" +%FT%TZ)
        wrapped "$id" "$work/base.json" "$snp/reports/$id/report.bin" "$vek" "$snp/certs/$product-$kind.der" "$snp/certs/$product-ark.der"
        code=0
        [ "$verdict" = valid ] || code=5
        report "genuine $id" $code "$script" --at "$at" "$bundle"
        verdict "genuine $id, row by row" 0 alike '' alike "$at" "$bundle" 'boot chain=chain' 'boot signature=signature' \
            'boot firmware=tcb' 'boot chip=chip-id' intermediate=intermediate
        azure "$id" "$at"
        printf '%s\t%s\t%s\n' "$id" "$at" "$bundle" >>"$work/genuine"
    done < <(jq -r '.[] | [.id, .product, .verdict_strict] | @tsv' "$snp/manifest.json")
}

mutations() {
    local snp=$SEALGATE_EXTRA_VECTORS/snp id offset xor at base
    while IFS=$'\t' read -r id offset xor; do
        IFS=$'\t' read -r _ at base < <(grep "^$id"$'\t' "$work/genuine") || continue
        jq -r .boot.report "$base" | base64 -d >"$work/report"
        printf '%b' "\\x$(printf %02x $((16#$(od -An -tx1 -j$((offset)) -N1 "$work/report" | tr -d ' ') ^ xor)))" |
            dd of="$work/report" bs=1 seek=$((offset)) conv=notrunc status=none
        jq -c --arg report "$(b64 "$work/report")" '.boot.report = $report' "$base" >"$work/mutated-$cases.json"
        # Signed bytes fail as what they say (2, 5, 6) or by the signature (3), never by our own binding alone.
        verdict "genuine $id ^ $offset" 3 'rejected: *' '' only_worse_than_binding "$script" --at "$at" "$work/mutated-$cases.json"
    done < <(jq -r '.[] | select(.offset and .expect == "reject") | [.case, .offset, .xor] | @tsv' "$snp/mutations.json")
}

only_worse_than_binding() {
    local code
    "$@"
    code=$?
    case $code in 2 | 3) return 3 ;; *) return $code ;; esac
}

sets="the software processor's vectors"
if [ -n "${SEALGATE_EXTRA_VECTORS:-}" ]; then
    genuine
    sets+=", genuine reports"
    if [ "$full" = --full ]; then
        mutations
        sets+=", their mutations"
    fi
else
    sets+="; not genuine reports (SEALGATE_EXTRA_VECTORS is not set)"
fi

wait
failed=0
for result in $(seq 1 $cases); do
    [ "$(head -n 1 "$work/results/$result")" = ok ] && continue
    failed=$((failed + 1))
    cat "$work/results/$result"
done
left=$(ls -A "$TMPDIR")
[ -z "$left" ] || { echo "FAILED: left behind in TMPDIR: $left"; failed=$((failed + 1)); }
echo "verify-bundle: $((cases - failed)) of $cases cases as they should be ($sets)"
echo "cases: $((cases - failed)) passed, $failed failed"
[ $failed = 0 ]
