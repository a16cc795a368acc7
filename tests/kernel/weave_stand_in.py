#!/usr/bin/python3
"""Stands in for the script ``weave``, its router and its plugin: the published interface, on one node.

Commands, refusals, the bridge and the report over HTTP are as in weave 2.x. WEAVE_STAND_IN is a
directory: ``calls`` has a line a call, ``state.json`` is the router's, ``bin`` stands for /opt/cni/bin,
``leases`` is who has which address, ``fail`` (if there) makes the next command fail with its content,
``slow`` makes it hang.
"""

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

HOME = Path(os.environ["WEAVE_STAND_IN"])
STATE = HOME / "state.json"
ADDRESS = ("127.0.0.1", 6784)
REAL = "/usr/lib/cni"


def state():
    return json.loads(STATE.read_text())


def store(value):
    unfinished = STATE.with_suffix(".new")
    unfinished.write_text(json.dumps(value))
    unfinished.rename(STATE)


def setup():
    for name in ("weave-ipam", "weave-net"):
        program = HOME / "bin" / name
        program.write_text(f"#!/bin/sh\nWEAVE_STAND_IN={HOME} exec {__file__} plugin\n")
        program.chmod(0o755)


def plugin():
    """weave-net with its own addresses: a port of its bridge, and a result that names no interface."""
    given = json.load(sys.stdin)
    assert given["ipam"].get("type") is None, "addresses of others"
    ipam = {"type": "host-local", "subnet": given["ipam"]["subnet"], "dataDir": str(HOME / "leases"),
            "routes": [{"dst": "0.0.0.0/0"}]}  # fmt: skip
    body = {"name": given["name"], "cniVersion": given["cniVersion"], "type": "bridge", "bridge": "weave",
            "isGateway": True, "hairpinMode": True, "ipam": ipam}  # fmt: skip
    done = subprocess.run([f"{REAL}/bridge"], input=json.dumps(body), stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "CNI_PATH": REAL}, check=False)  # fmt: skip
    made = os.environ["CNI_COMMAND"] == "ADD" and done.returncode == 0
    sys.stdout.write(without_interfaces(done.stdout) if made else done.stdout)
    sys.exit(done.returncode)


def without_interfaces(result):
    made = json.loads(result)
    addresses = [{key: one[key] for key in ("version", "address", "gateway")} for one in made["ips"]]
    return json.dumps({"cniVersion": made["cniVersion"], "ips": addresses, "dns": {}})


def launch(arguments):
    if STATE.exists():
        sys.exit("Weave Net is already running")
    options, peers = {}, []
    rest = iter(arguments)
    for word in rest:
        if word.startswith("--"):
            options[word] = next(rest)
        else:
            peers.append(word)
    subprocess.run(["ip", "link", "add", "weave", "type", "bridge"], check=True)
    store({"nickname": options.get("--nickname", "host1"), "targets": peers, "states": {},
           "range": options.get("--ipalloc-range", "10.32.0.0/12")})  # fmt: skip
    serve()


def serve():
    """Listens before the script ends, as the real one waits for the router's status."""
    server = HTTPServer(ADDRESS, Router)
    if pid := os.fork():
        store({**state(), "pid": pid})
        return
    for descriptor in (0, 1, 2):
        os.dup2(os.open("/dev/null", os.O_RDWR), descriptor)
    server.serve_forever()


class Router(BaseHTTPRequestHandler):
    def do_GET(self):
        now = state()
        if (HOME / "silent").exists():
            time.sleep(30)
        assert self.path == "/report"
        assert self.headers["Accept"] == "application/json"
        connections = [
            {"Address": f"{peer}:6783", "Outbound": True, "Info": "",
             "State": now["states"].get(peer, "established")}
            for peer in now["targets"]
        ]  # fmt: skip
        router = {"NickName": now["nickname"], "Targets": now["targets"], "Connections": connections}
        report = {"Ready": True, "Version": "2.8.1", "Router": router, "IPAM": {"Range": now["range"]}}
        body = json.dumps(report).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def reset():
    if STATE.exists():
        os.kill(state()["pid"], 9)
        STATE.unlink()
    subprocess.run(["ip", "link", "delete", "weave"], check=True)


def main(command, *arguments):
    if command == "plugin":
        plugin()
    with (HOME / "calls").open("a") as calls:
        calls.write(" ".join([command, *arguments]) + "\n")
    if (HOME / "fail").exists():
        sys.exit((HOME / "fail").read_text())
    if (HOME / "slow").exists():
        time.sleep(60)
    if command == "setup":
        setup()
    elif command == "launch":
        launch(arguments)
    elif command == "connect":
        store({**state(), "targets": [*state()["targets"], *arguments]})
    elif command == "forget":
        store({**state(), "targets": [peer for peer in state()["targets"] if peer not in arguments]})
    elif command == "reset":
        reset()
    else:
        sys.exit(f"weave: unknown command {command}")


main(*sys.argv[1:])
