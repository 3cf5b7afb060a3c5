#!/usr/bin/env python3
"""Plays every extend of an event log into a fresh swtpm and writes the registers it then holds beside the log.

usage: registers.py LOG STARTUP-LOCALITY     needs swtpm, swtpm_setup, swtpm_ioctl and tpm2-tools
"""
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

BANKS = {0x4: ("sha1", 20), 0xB: ("sha256", 32), 0xC: ("sha384", 48), 0xD: ("sha512", 64)}
NO_ACTION = 3


def extends(log):
    """Every record but remarks: register and the arguments of tpm2_pcrextend."""
    at = 32 + struct.unpack_from("<I", log, 28)[0]
    while at < len(log):
        pcr, kind, count = struct.unpack_from("<III", log, at)
        at += 12
        digests = []
        for _ in range(count):
            name, size = BANKS[struct.unpack_from("<H", log, at)[0]]
            digests.append(f"{name}={log[at + 2:at + 2 + size].hex()}")
            at += 2 + size
        at += 4 + struct.unpack_from("<I", log, at)[0]
        if kind != NO_ACTION:
            yield pcr, ",".join(digests)


def free_ports():
    """A free port whose neighbour is free too: tpm2-tools expect the control port one above."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
                return port, port + 1
            except OSError:
                continue


def start(port, control, locality):
    """TPM2_Startup(CLEAR) from the locality, straight to the socket: tpm2-tools always ask from locality 0."""
    for _ in range(50):
        try:
            server = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    subprocess.run(["swtpm_ioctl", "--tcp", f"127.0.0.1:{control}", "-l", str(locality)], check=True)
    server.sendall(bytes.fromhex("80010000000c000001440000"))
    answer = server.recv(64)
    server.close()
    if answer[6:10] != bytes(4):
        sys.exit(f"TPM2_Startup failed: {answer.hex()}")
    time.sleep(0.3)


def registers(port, log):
    tools = dict(os.environ, TPM2TOOLS_TCTI=f"swtpm:port={port}")
    touched = set()
    for pcr, digests in extends(log):
        touched.add(pcr)
        subprocess.run(["tpm2_pcrextend", f"{pcr}:{digests}"], check=True, env=tools)
    chosen = ",".join(map(str, sorted(touched)))
    wanted = "+".join(f"{name}:{chosen}" for name, _ in BANKS.values())
    text = subprocess.run(["tpm2_pcrread", wanted], check=True, env=tools, capture_output=True, text=True).stdout
    found, bank = {}, None
    for line in text.splitlines():
        if head := re.match(r"\s+(sha\d+):", line):
            bank = found.setdefault(head[1], {})
        elif value := re.match(r"\s+(\d+)\s*:\s*0x([0-9A-F]+)", line):
            bank[value[1]] = value[2].lower()
    return found


def main():
    path, locality = sys.argv[1], int(sys.argv[2])
    with open(path, "rb") as file:
        log = file.read()
    state = tempfile.mkdtemp()
    port, control = free_ports()
    banks = ",".join(name for name, _ in BANKS.values())
    setup = ["swtpm_setup", "--tpm2", "--tpmstate", state, "--pcr-banks", banks, "--overwrite"]
    subprocess.run(setup, check=True, stdout=subprocess.DEVNULL)
    server = ["--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,port={control}", "--flags", "not-need-init"]
    tpm = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", *server])
    try:
        start(port, control, locality)
        found = registers(port, log)
    finally:
        tpm.terminate()
        tpm.wait()
        shutil.rmtree(state)
    with open(path.removesuffix(".bin") + ".pcrs.json", "w") as file:
        json.dump(found, file, indent=1)
        file.write("\n")


main()
