"""A machine of its own for one command: a host name, and a network in which 127.0.0.1 is the machine that started it.

    python -m neople_timeline.local.host --name worker-1 --link nt-16379-1 --net 198.18.0.4 -- COMMAND…

The command runs in new Linux namespaces (UTS and network), at the end of a virtual cable. Nothing but what listens on
the real loopback can be reached through it. `ip link set nt-16379-1 down` pulls the cable, `… up` plugs it in again.
"""

import argparse
import ctypes
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import IPv4Network

CLONE_NEWUTS, CLONE_NEWNET = 0x04000000, 0x40000000
# A loopback address may not travel over a cable, unless both ends say that it may.
OUTSIDE = """
read go
ip link del {link} 2>/dev/null
set -e
ip link add {link} type veth peer name eth0 netns {pid}
ip addr add {near}/30 dev {link}
echo 1 >/proc/sys/net/ipv4/conf/{link}/route_localnet
ip link set {link} up
"""
INSIDE = """
set -e
ip link set lo up
ip addr del 127.0.0.1/8 dev lo
ip addr add {far}/30 dev eth0
echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet
ip link set eth0 up
ip route add 127.0.0.0/8 via {near} src {far}
"""


def can_make_hosts() -> bool:
    """Tell whether this machine and this user may make namespaces."""
    if sys.platform != "linux" or not shutil.which("ip"):
        return False
    child = os.fork()
    if child == 0:
        os._exit(0 if ctypes.CDLL(None).unshare(CLONE_NEWUTS | CLONE_NEWNET) == 0 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def describe(name: str, link: str, network: IPv4Network, command: Sequence[str]) -> list[str]:
    """Give the command that runs a command on a host of its own; the cable takes a /30 network for itself."""
    options = [f"--name={name}", f"--link={link}", f"--net={network.network_address}"]
    return [sys.executable, "-m", "neople_timeline.local.host", *options, "--", *command]


def move_in(name: str, link: str, network: IPv4Network) -> None:
    """Leave for new namespaces, and lay the cable from there to those that are left."""
    near, far = network.hosts()
    values = {"link": link, "near": near, "far": far, "pid": os.getpid()}
    with subprocess.Popen(["/bin/sh", "-c", OUTSIDE.format(**values)], stdin=subprocess.PIPE) as stays:  # noqa: S603
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUTS | CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no new namespaces for this user")
        stays.communicate(b"go\n")
    if stays.returncode:
        raise OSError(f"the cable {link} could not be laid")
    socket.sethostname(name)
    subprocess.run(["/bin/sh", "-c", INSIDE.format(**values)], check=True)  # noqa: S603


def main() -> None:
    """Do what the command line asks for; this process becomes the command."""
    parser = argparse.ArgumentParser(prog="python -m neople_timeline.local.host", description=__doc__)
    parser.add_argument("--name", required=True, help="the host's name")
    parser.add_argument("--link", required=True, help="the name of the cable's outer end")
    parser.add_argument("--net", required=True, help="the first of four addresses for the cable")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    move_in(given.name, given.link, IPv4Network(f"{given.net}/30"))
    os.execvp(given.command[0], given.command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
