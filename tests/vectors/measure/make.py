#!/usr/bin/env python3
"""Makes the files of this folder: images, kernel and initrd, and what sev-snp-measure from PyPI says of them.

    make.py        makes everything (two environments with pip, below target/)

Answers are those of sev-snp-measure, called by the flags that stand in each row. Version 0.0.12 answers for EC2 before
2026-05, when RDX was 0.
"""

import json
import pathlib
import struct
import subprocess
import sys
import uuid

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent
TARGET = VECTORS.parent.parent / "target"
NOW, BEFORE_2026_05 = "0.0.13", "0.0.12"

FOOTER = "96b582de-1fb2-45f7-baea-a366c55a082d"
HASH_TABLE = "7255371f-3a3b-4b04-927b-1da6efa8d454"
RESET_BLOCK = "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
METADATA = "dc886566-984a-4798-a75e-5585a7bf67cc"
SVSM_INFO = "a789a612-0597-4c4b-a49f-cbb1fe9d1ddd"
SEC_MEM, SECRETS, CPUID, SVSM_CAA, KERNEL_HASHES = 1, 2, 3, 4, 0x10


def entry(guid, data):
    return data + struct.pack("<H", len(data) + 18) + uuid.UUID(guid).bytes_le


def image(pages, sections, entries):
    """Filler, the metadata, the table of GUIDs, 32 bytes of code."""
    metadata = b"ASEV" + struct.pack("<III", 16 + 12 * len(sections), 1, len(sections))
    metadata += b"".join(struct.pack("<III", *section) for section in sections)
    known = b"".join(entry(guid, data) for guid, data in entries) + entry(METADATA, bytes(4))
    table = known + struct.pack("<H", len(known) + 18) + uuid.UUID(FOOTER).bytes_le
    from_end = len(metadata) + len(table) + 32
    known = known[:-22] + entry(METADATA, struct.pack("<I", from_end))
    table = known + table[-18:]
    end = metadata + table + bytes(range(32))
    # Equal neighbours, pages of 0xff, and pages that differ.
    filler = b"".join(bytes([number % 3] * 4096) if number % 5 else b"\xff" * 4096 for number in range(pages))
    return filler[: len(filler) - len(end)] + end


def tool(version, program="sev-snp-measure"):
    folder = TARGET / f"sev-snp-measure-{version}"
    if not (folder / "bin" / program).exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        packages = [f"sev-snp-measure=={version}", "cryptography"]
        subprocess.run([folder / "bin/pip", "install", "--quiet", *packages], check=True)
    return str(folder / "bin" / program)


def answer(version, flags):
    return subprocess.run([tool(version), *flags], cwd=VECTORS, check=True, capture_output=True, text=True).stdout.strip()


def cases():
    amd, x64 = "registry/sev-8.0.0/ovmf_AmdSev_suffix.bin", "registry/sev-8.0.0/ovmf_OvmfX64_suffix.bin"
    made, svsm = "measure/made_firmware.bin", "measure/made_svsm.bin"
    kernel = ["--kernel", "measure/kernel.bin"]
    whole = [*kernel, "--initrd", "measure/initrd.bin", "--append", "console=ttyS0 root=/dev/vda1 ro"]
    for firmware in (amd, x64, made):
        for vcpus in ("1", "2", "64"):
            for features in ("0x1", "0x21"):
                for boot in ([], whole):
                    if boot and firmware == x64:
                        continue
                    common = ["--mode", "snp", "--vcpus", vcpus, "--ovmf", firmware, "--guest-features", features, *boot]
                    yield [*common, "--vcpu-type", "EPYC-Milan"]
                    yield [*common, "--vmm-type", "ec2"]
                    yield [*common, "--vmm-type", "gce"]
    for boot in (kernel, [*kernel, "--append", ""], [*kernel, "--append", "quiet\n"], [*kernel, "--initrd", "measure/empty"],
                 ["--kernel", "measure/empty"], [*kernel, "--append", "größe=1 --flag"]):
        yield ["--mode", "snp", "--vcpus", "4", "--ovmf", amd, "--vcpu-type", "EPYC-v4", *boot]
    types = "EPYC EPYC-v1 EPYC-v2 EPYC-IBPB EPYC-v3 EPYC-v4 EPYC-Rome EPYC-Rome-v1 EPYC-Rome-v2 EPYC-Rome-v3 EPYC-Milan"
    types += " EPYC-Milan-v1 EPYC-Milan-v2 EPYC-Genoa EPYC-Genoa-v1 EPYC-Turin"
    for name in types.split():
        yield ["--mode", "snp", "--vcpus", "1", "--ovmf", amd, "--vcpu-type", name]
    yield ["--mode", "snp", "--vcpus", "1", "--ovmf", amd, "--vcpu-sig", "0xa10f12"]
    yield ["--mode", "snp", "--vcpus", "1", "--ovmf", amd, "--vcpu-sig", "10489617"]
    yield ["--mode", "snp", "--vcpus", "1", "--ovmf", amd, "--vcpu-family", "26", "--vcpu-model", "17", "--vcpu-stepping", "0"]
    yield ["--mode", "snp", "--vcpus", "1", "--ovmf", amd, "--vcpu-type", "EPYC", "--guest-features", "0x210201"]
    yield ["--mode", "snp", "--vcpus", "1", "--ovmf", amd, "--vcpu-type", "EPYC", "--output-format", "base64"]
    for vcpus in ("1", "2", "64"):
        for firmware in (amd, made):
            yield ["--mode", "snp:svsm", "--vcpus", vcpus, "--ovmf", firmware, "--svsm", svsm, "--vars-size", "540672",
                   "--vcpu-type", "EPYC-v4"]
    yield ["--mode", "snp:svsm", "--vcpus", "2", "--ovmf", amd, "--svsm", svsm, "--vars-file", "measure/made_vars.bin",
           "--vcpu-type", "EPYC-Genoa"]
    for firmware in (amd, x64, made):
        yield ["--mode", "snp:ovmf-hash", "--ovmf", firmware]
    alone = answer(NOW, ["--mode", "snp:ovmf-hash", "--ovmf", made])
    yield ["--mode", "snp", "--vcpus", "2", "--ovmf", made, "--vcpu-type", "EPYC-v4", "--snp-ovmf-hash", alone, *whole]


def main():
    (HERE / "empty").write_bytes(b"")
    (HERE / "kernel.bin").write_bytes(b"not a kernel, but bytes that are hashed as one\n" * 100)
    (HERE / "initrd.bin").write_bytes(b"not an initrd either\n" * 300)
    (HERE / "made_vars.bin").write_bytes(b"\0" * 8192)
    (HERE / "made_firmware.bin").write_bytes(image(
        16,
        [(0x800000, 0x9000, SEC_MEM), (0x80A000, 0x3000, SEC_MEM), (0x80D000, 0x1000, SECRETS), (0x80E000, 0x1000, CPUID),
         (0x80F000, 0x1000, SVSM_CAA), (0x810000, 0x1000, KERNEL_HASHES), (0x811000, 0xF000, SEC_MEM)],
        [(HASH_TABLE, struct.pack("<II", 0x810C00, 0x400)), (RESET_BLOCK, struct.pack("<I", 0x80B004))],
    ))
    (HERE / "made_svsm.bin").write_bytes(image(
        8,
        [(0x800000, 0x2000, SEC_MEM), (0x802000, 0x1000, SECRETS), (0x803000, 0x1000, CPUID)],
        [(SVSM_INFO, struct.pack("<I", 0x1230))],
    ))
    rows = []
    for flags in cases():
        row = {"flags": flags, "expected": answer(NOW, flags), "tool": f"sev-snp-measure {NOW}"}
        rows.append(row)
        if "ec2" in flags:
            old = answer(BEFORE_2026_05, flags)
            rows.append({"flags": flags, "rdx": "0", "expected": old, "tool": f"sev-snp-measure {BEFORE_2026_05}"})
    text = "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"
    (HERE / "launch-digests.json").write_text(text)
    print(len(rows), "rows")


main()
