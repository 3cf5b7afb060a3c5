#!/usr/bin/env python3
"""Plays a boot into a fresh swtpm, quotes its registers with keys of every kind, and writes it all beside this script.

usage: make.py      needs swtpm, swtpm_setup, tpm2-tools and openssl. Keys are new each time, so every file changes.
"""
import hashlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NONCE = hashlib.sha256(b"the nonce of these vectors").hexdigest()
CORE = hashlib.sha256(b"the core of these vectors").digest()
REGISTERS = "sha256:0,1,2,3,4,5,6,7,11,12,13,14,15"
GLOBAL = bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")
CMDLINE = "root=/dev/mapper/root ro quiet"


def digest(data):
    return hashlib.sha256(data).digest()


class Log:
    """A crypto-agile event log with the SHA-256 bank alone."""

    def __init__(self):
        spec = b"Spec ID Event03\0" + struct.pack("<IBBBBIHHB", 1, 0, 2, 6, 2, 1, 0xB, 32, 0)
        self.bytes = struct.pack("<II20xI", 0, 3, len(spec)) + spec
        self.extends = []

    def event(self, pcr, kind, measured, data):
        self.bytes += struct.pack("<III", pcr, kind, 1) + struct.pack("<H", 0xB) + digest(measured)
        self.bytes += struct.pack("<I", len(data)) + data
        self.extends.append((pcr, digest(measured)))


def variable(name, value):
    return GLOBAL + struct.pack("<QQ", len(name), len(value)) + name.encode("utf-16-le") + value


def boot():
    log = Log()
    version = "Sealgate".encode("utf-16-le") + b"\0\0"
    log.event(0, 0x8, version, version)
    for name, value in (("SecureBoot", b"\1"), ("PK", b"a platform key"), ("KEK", b"a key exchange key")):
        log.event(7, 0x80000001, variable(name, value), variable(name, value))
    calling = b"Calling EFI Application from Boot Option"
    log.event(4, 0x80000007, calling, calling)
    for pcr in range(8):
        log.event(pcr, 0x4, bytes(4), bytes(4))
    log.event(4, 0x80000003, b"Authenticode content of the unified kernel image", b"a device path")
    sections = ((".linux", b"a kernel"), (".osrel", b"NAME=Sealgate\n"), (".cmdline", CMDLINE.encode() + b"\0"),
                (".initrd", b"an initial file system"))
    for name, content in sections:
        said = name.encode("utf-16-le") + b"\0\0"
        log.event(11, 0xD, name.encode() + b"\0", said)
        log.event(11, 0xD, content, said)
    leaving = b"Exit Boot Services Invocation"
    log.event(5, 0x80000007, leaving, leaving)
    return log


class Tpm:
    def __init__(self):
        self.state = tempfile.mkdtemp()
        self.port = self.free_ports()
        subprocess.run(["swtpm_setup", "--tpm2", "--tpmstate", self.state, "--pcr-banks", "sha1,sha256,sha384", "--overwrite"],
                       check=True, stdout=subprocess.DEVNULL)
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state}",
             "--server", f"type=tcp,port={self.port},bindaddr=127.0.0.1",
             "--ctrl", f"type=tcp,port={self.port + 1},bindaddr=127.0.0.1", "--flags", "not-need-init,startup-clear"])
        time.sleep(1)

    @staticmethod
    def free_ports():
        while True:
            with socket.socket() as one, socket.socket() as two:
                one.bind(("127.0.0.1", 0))
                port = one.getsockname()[1]
                try:
                    two.bind(("127.0.0.1", port + 1))
                    return port
                except OSError:
                    continue

    def run(self, *command):
        environment = dict(os.environ, TPM2TOOLS_TCTI=f"swtpm:host=127.0.0.1,port={self.port}")
        return subprocess.run(command, check=True, env=environment, capture_output=True, text=True, cwd=self.state).stdout

    def path(self, name):
        return os.path.join(self.state, name)

    def keep(self, source, *target):
        shutil.copyfile(self.path(source), os.path.join(HERE, *target))

    def end(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.state)


def write(data, *path):
    with open(os.path.join(HERE, *path), "wb") as file:
        file.write(data)


def quote(tpm, name, selection, hash_name, scheme, folder, file):
    scheme = ["--scheme", scheme] if scheme else []
    tpm.run("tpm2_quote", "-c", f"{name}.ctx", "-l", selection, "-q", NONCE, "-g", hash_name, *scheme,
            "-m", "q.msg", "-s", "q.sig")
    tpm.run("tpm2_flushcontext", "-t")
    tpm.keep("q.msg", folder, f"{file}.msg")
    tpm.keep("q.sig", folder, f"{file}.sig")


def main():
    tpm, log = Tpm(), boot()
    try:
        for pcr, value in log.extends:
            tpm.run("tpm2_pcrextend", f"{pcr}:sha256={value.hex()}")
        for phase in ("enter-initrd", "leave-initrd"):
            tpm.run("tpm2_pcrextend", f"11:sha256={digest(phase.encode()).hex()}")
        tpm.run("tpm2_pcrextend", f"15:sha256={CORE.hex()}")
        write(log.bytes, "boot.bin")
        write(tpm.run("tpm2_pcrread", REGISTERS).encode(), "pcrs.txt")
        write(NONCE.encode() + b"\n", "nonce.hex")
        tpm.run("tpm2_createek", "-c", "ek.ctx", "-G", "rsa", "-u", "ek.pub", "-f", "tpmt")
        tpm.keep("ek.pub", "ek.tpmt")
        keys = (("rsassa", "rsa", "sha256", "rsassa"), ("rsapss", "rsa", "sha256", "rsapss"),
                ("p256", "ecc256", "sha256", "ecdsa"), ("p384", "ecc384", "sha384", "ecdsa"))
        for name, kind, hash_name, scheme in keys:
            os.makedirs(os.path.join(HERE, name), exist_ok=True)
            tpm.run("tpm2_flushcontext", "-t")
            tpm.run("tpm2_createak", "-C", "ek.ctx", "-c", f"{name}.ctx", "-G", kind, "-g", hash_name, "-s", scheme,
                    "-u", f"{name}.pub", "-f", "tpmt")
            tpm.run("tpm2_flushcontext", "-t")
            tpm.run("tpm2_readpublic", "-c", f"{name}.ctx", "-f", "pem", "-o", f"{name}.pem")
            tpm.run("tpm2_readpublic", "-c", f"{name}.ctx", "-f", "tss", "-o", f"{name}.tss", "-n", f"{name}.name")
            for source, target in ((f"{name}.pub", "ak.tpmt"), (f"{name}.tss", "ak.tpm2b"), (f"{name}.pem", "ak.pem"),
                                   (f"{name}.name", "ak.name")):
                tpm.keep(source, name, target)
            given = scheme if scheme == "rsapss" else None
            quote(tpm, name, REGISTERS, hash_name, given, name, "quote")
        # What is signed by the same key and is no quote of the SHA-256 bank alone.
        quote(tpm, "p256", "sha1:0,4", "sha256", None, "p256", "sha1")
        quote(tpm, "p256", "sha1:0,4+sha256:0,4", "sha256", None, "p256", "two-banks")
        tpm.run("tpm2_certify", "-C", "p256.ctx", "-c", "rsassa.ctx", "-g", "sha256", "-o", "c.msg", "-s", "c.sig")
        tpm.run("tpm2_flushcontext", "-t")
        tpm.keep("c.msg", "p256", "certify.msg")
        tpm.keep("c.sig", "p256", "certify.sig")
        # A primary key of the endorsement hierarchy, as the gateway makes its own.
        os.makedirs(os.path.join(HERE, "primary"), exist_ok=True)
        attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign"
        tpm.run("tpm2_createprimary", "-C", "e", "-G", "ecc256:ecdsa-sha256:null", "-a", attributes, "-c", "primary.ctx")
        tpm.run("tpm2_flushcontext", "-t")
        tpm.run("tpm2_readpublic", "-c", "primary.ctx", "-f", "tss", "-o", "primary.tss")
        tpm.keep("primary.tss", "primary", "ak.tpm2b")
        quote(tpm, "primary", REGISTERS, "sha256", None, "primary", "quote")
        # A key that is not restricted signs a quote that its user made up.
        os.makedirs(os.path.join(HERE, "fail_unrestricted"), exist_ok=True)
        attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
        tpm.run("tpm2_createprimary", "-C", "o", "-G", "ecc256:ecdsa-sha256:null", "-a", attributes, "-c", "free.ctx")
        tpm.run("tpm2_flushcontext", "-t")
        tpm.run("tpm2_readpublic", "-c", "free.ctx", "-f", "tss", "-o", "free.tss")
        with open(os.path.join(HERE, "primary", "quote.msg"), "rb") as file:
            made_up = bytearray(file.read())
        made_up[-32:] = digest(bytes(32 * 13))
        with open(tpm.path("made-up"), "wb") as file:
            file.write(made_up)
        tpm.run("tpm2_sign", "-c", "free.ctx", "-g", "sha256", "-s", "ecdsa", "-o", "made-up.sig", "made-up")
        tpm.keep("free.tss", "fail_unrestricted", "ak.tpm2b")
        tpm.keep("made-up", "fail_unrestricted", "quote.msg")
        tpm.keep("made-up.sig", "fail_unrestricted", "quote.sig")
        # The same key and message, the signatures as tools write them.
        for name, hash_name in (("rsassa", "sha256"), ("p256", "sha256"), ("p384", "sha384")):
            tpm.run("tpm2_flushcontext", "-t")
            tpm.run("tpm2_quote", "-c", f"{name}.ctx", "-l", REGISTERS, "-q", NONCE, "-g", hash_name, "-f", "plain",
                    "-m", "q.msg", "-s", "q.sig")
            tpm.run("tpm2_flushcontext", "-t")
            tpm.keep("q.msg", name, "plain.msg")
            tpm.keep("q.sig", name, "plain.sig")
            openssl = ["openssl", "dgst", f"-{hash_name}", "-verify", os.path.join(HERE, name, "ak.pem"),
                       "-signature", tpm.path("q.sig"), tpm.path("q.msg")]
            subprocess.run(openssl, check=True, stdout=subprocess.DEVNULL)
    finally:
        tpm.end()


main()
