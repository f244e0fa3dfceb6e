# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What ci/demo mitm shows: somebody in the middle of two strangers, without and with channel bindings."""

import re

from demo import Failed, indent, main, must, title
from harness import consumers, mitm, paths
from harness.checks import is_stranger
from harness.consumers import INSECURE, SECRETS, Kerberos, Scram
from harness.world import World

PICTURE = """
    client ------------- router ------------- server, KDC
    192.0.2.1               |                 198.51.100.2
                         Mallory
              plays the server to the client
              and the client to the server
"""


def quoted(said):
    """What a program said, without what is about addresses."""
    return indent("\n".join("| " + line for line in said.splitlines() if not line.startswith("waiting")))


def readable(segments):
    """The words in what crossed Mallory's desk."""
    words = [re.sub(rb"[^ -~]+", b" ", data).decode().strip() for data in segments]
    return "\n".join(f'| "{line[:100]}{"..." if len(line) > 100 else ""}"' for line in words if line)


def shown(name, login, server):
    print(f"   the client with {name} said:\n{quoted(login.said)}")
    print(f"   the server said:\n{quoted(server.said)}\n")


def logs_in(network, consumer, *options):
    """One login, while Mallory listens. Returns it, the server's part, and what she read."""
    with network.listening() as (home, office, desk), consumer.serve(*options) as server:
        login = consumer.login(*options)
        server.wait("received: " if login.succeeded else "REFUSED: ")
    for capture in (home, office):
        capture.assert_secret(SECRETS, mitm.INNER.values())
    return login, server, mitm.read(desk)


def without_bindings(network, scram):
    title(2, "Without channel bindings: the login succeeds, and Mallory reads everything")
    login, server, read = logs_in(network, scram, INSECURE)
    must(login.succeeded, f"the login without bindings failed: {login.said}")
    must(all(secret in b"".join(read) for secret in SECRETS), "Mallory could not read what was said")
    shown("SCRAM-SHA-256", login, server)
    print(f"   what Mallory read:\n{indent(readable(read))}")


def with_bindings(network, applications):
    title(3, "With channel bindings: the same tunnels, the same Mallory, and the logins fail")
    for name, consumer in applications.items():
        login, server, read = logs_in(network, consumer)
        must(not login.succeeded and login.binding != server.binding, f"the login by {name} succeeded: {login.said}")
        must(not any(secret in b"".join(read) for secret in SECRETS), "something confidential was sent")
        shown(name, login, server)
    print("   what Mallory read: the messages of these logins, which she relayed, and nothing of what is confidential")


def honest(network, applications):
    title(4, "The router is honest again: client and server make a tunnel of their own")
    with network.honest():
        for name, consumer in applications.items():
            login, server, read = logs_in(network, consumer)
            must(login.succeeded, f"the honest login by {name} failed: {login.said}")
            must(login.binding == server.binding, "the bindings differ")
            must(not read, "Mallory read something")
            shown(name, login, server)


def demo(world):
    network = mitm.Middle(world)
    client, server = network.strangers
    scram, kerberos = Scram(client, server), Kerberos(client, server, network.kdc)
    applications = {"SCRAM-SHA-256-PLUS": scram, "Kerberos": kerberos}
    try:
        title(1, "Two strangers, and the router between them is Mallory's")
        print(PICTURE)
        for name, key in (("client", client.key), ("server", server.key), ("Mallory", network.mallory)):
            print(f"   the key of {name:8}{key.fingerprint}")
        with network.attack():
            print("\n   Both have a tunnel now. It goes to the right address, and it is Mallory's:\n")
            for host in (client, server):
                is_stranger(host, "strangers", network.mallory)
                sa = host.sa("strangers")
                print(f"   {host.name} has an SA with {sa['remote-host']}, which is {sa['remote-id']}")
            without_bindings(network, scram)
            with_bindings(network, applications)
        honest(network, applications)
    finally:
        kerberos.close()


if __name__ == "__main__":
    main(demo, lambda: World(paths.SCENARIOS / "mitm", topology=mitm.TOPOLOGY),
         "All of this held: bindings do not keep Mallory out of the middle, they show that she is there.")
