# Works for the gateway inside a container that has no network at all. One JSON object a line; the first says what to do.
#
# Resolving a package to a lock: pip talks to a server in this process, which asks the gateway over stdout and stdin.
# Nothing is unpacked or run here; the gateway fetches, checks and unpacks the wheels itself.
#   gateway -> here: {"resolve": "name==version"}
#   here -> gateway: {"ask": id, "path": "/simple/name/"}    gateway -> here: {"ask": id, "status": 200, "body": base64}
#   here -> gateway, last line: {"lock": {...}} or {"failed": code}
#
# Compiling what the gateway unpacked. Compiling reads a module and runs nothing of it.
#   gateway -> here: {"compile": [[path, base64], ...]}, any number of times
#   here -> gateway: {"compiled": [base64 or null, ...]}, once for each
import base64
import importlib.util
import json
import marshal
import os
import subprocess
import sys
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIP = "/usr/lib/sealgate/pip"
REPORT = "/tmp/report.json"

speaking = threading.Lock()
waiting = {}


def say(message):
    with speaking:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


class Question:
    def __init__(self):
        self.answered = threading.Event()
        self.answer = None


class Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        question = Question()
        with speaking:
            ask = len(waiting)
            waiting[ask] = question
        say({"ask": ask, "path": self.path})
        question.answered.wait()
        body = base64.b64decode(question.answer["body"])
        kind = "application/vnd.pypi.simple.v1+json" if self.path.endswith("/") else "application/octet-stream"
        self.send_response(question.answer["status"])
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        question.answer = None

    def log_message(self, *_):
        pass


def resolve(requirement):
    relay = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    relay.daemon_threads = True
    threading.Thread(target=relay.serve_forever, daemon=True).start()
    index = f"http://127.0.0.1:{relay.server_address[1]}/simple/"
    command = [
        sys.executable, "-I", "-B", PIP + "/pip", "install", requirement, "--isolated", "--dry-run",
        "--ignore-installed", "--only-binary", ":all:", "--report", REPORT, "--index-url", index, "--no-input",
        "--no-cache-dir", "--disable-pip-version-check", "--retries", "0", "--timeout", "300", "--no-color",
        "--progress-bar", "off", "--root-user-action", "ignore", "--quiet",
    ]  # fmt: skip
    code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode
    if code != 0:
        say({"failed": code})
    else:
        with open(REPORT, encoding="utf-8") as file:
            say({"lock": lock_of(json.load(file))})


# The members of a lock are those of PEP 751.
def lock_of(report):
    markers = ("implementation_name", "platform_machine", "python_full_version", "sys_platform")
    environment = " and ".join(f"{name} == '{report['environment'][name]}'" for name in markers)
    packages = []
    for item in report["install"]:
        download, metadata = item["download_info"], item["metadata"]
        wheel = {"name": download["url"].rsplit("/", 1)[1], "hashes": download.get("archive_info", {}).get("hashes", {})}
        packages.append({"name": metadata["name"], "version": metadata["version"], "wheels": [wheel]})
    packages.sort(key=lambda package: package["wheels"][0]["name"])
    return {
        "lock-version": "1.0",
        "created-by": "pip " + report["pip_version"],
        "environments": [environment],
        "packages": packages,
    }


def compiled(path, source):
    try:
        source = base64.b64decode(source)
        code = compile(source, path, "exec", dont_inherit=True)
        # PEP 552: by hash, unchecked. The file beside it lies in a read-only image.
        head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source)
        return base64.b64encode(head + marshal.dumps(code)).decode()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # For another Python, or a template: whoever imports it hears why.
        return None


def main():
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        message = json.loads(line)
        if "resolve" in message:
            threading.Thread(target=end_after, args=(resolve, message["resolve"])).start()
        elif "compile" in message:
            say({"compiled": [compiled(path, source) for path, source in message["compile"]]})
        else:
            question = waiting[message["ask"]]
            question.answer = message
            question.answered.set()


# The main thread waits for a line that may never come.
def end_after(work, argument):
    try:
        work(argument)
    finally:
        sys.stderr.flush()
        os._exit(0)


main()
