#!/usr/bin/env python3
"""Makes the files of this folder by snp-create-id-block (package sev-snp-measure of PyPI) and `cryptography`.

    ../measure/make.py && ../../../target/sev-snp-measure-0.0.13/bin/python make.py
"""

import base64
import json
import pathlib
import subprocess
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

HERE = pathlib.Path(__file__).resolve().parent
DIGEST = bytes(range(48))


def key(name):
    """Made once: the answers depend on it."""
    path = HERE / f"test_only_{name}_key.pem"
    if not path.exists():
        private = ec.generate_private_key(ec.SECP384R1())
        kind = serialization.PrivateFormat.PKCS8 if name == "id" else serialization.PrivateFormat.TraditionalOpenSSL
        path.write_bytes(private.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))
    private = serialization.load_pem_private_key(path.read_bytes(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (HERE / f"test_only_{name}_key.pub.pem").write_bytes(public)
    return private


def signature(private, message):
    """RFC 6979: r and s."""
    der = private.sign(message, ec.ECDSA(hashes.SHA384(), deterministic_signing=True))
    return ["%096x" % part for part in utils.decode_dss_signature(der)]


def main():
    id_key, author_key = key("id"), key("author")
    program = pathlib.Path(sys.executable).parent / "snp-create-id-block"
    files = [HERE / f"test_only_{name}_key.pem" for name in ("id", "author")]
    text = subprocess.run(
        [program, "--measurement", base64.b64encode(DIGEST), "--idkey", files[0], "--authorkey", files[1]],
        check=True, capture_output=True, text=True).stdout
    fields = dict(part.split("=", 1) for part in text.splitlines()[0].split(","))
    block, auth = (base64.b64decode(fields[name]) for name in ("id-block", "id-auth"))
    (HERE / "by_snp_create_id_block.block.bin").write_bytes(block)
    (HERE / "by_snp_create_id_block.auth.bin").write_bytes(auth)
    digests = [base64.b64decode(line.split(": ")[1]).hex() for line in text.splitlines()[1:3]]
    answer = {
        "launchDigest": DIGEST.hex(),
        "idKeyDigest": digests[0],
        "authorKeyDigest": digests[1],
        "idBlock": fields["id-block"],
        "idBlockSignature": signature(id_key, block),
        "idKeySignature": signature(author_key, auth[0x240:0x240 + 0x404]),
    }
    (HERE / "answers.json").write_text(json.dumps(answer, indent=2) + "\n")


main()
