# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What ci/demo shows. Uses the scenarios' harness: their hosts, wire and capture."""

import signal
import sys

from harness import host as hosts
from harness import net, paths
from harness.world import MARKER, World

SIZE = 1000000


def title(number, text):
    print(f"\n{number}. {text}\n", flush=True)


def indent(text):
    return "\n".join("   " + line for line in text.rstrip().splitlines())


class Failed(Exception):
    """Something was not as it must be."""


def must(condition, what):
    if not condition:
        raise Failed(what)


def demo(world, left_kind, right_kind):
    left, right = world.pair(left_kind, right_kind)
    both = (left, right)

    title(1, "What each host knew beforehand: its own key pair and a configuration that names nobody")
    for host, other in (both, both[::-1]):
        print(f"   {host.name} ({host.address})")
        for file in host.files():
            print(f"      {file}")
        must(host.files() == ["private/me.pem", "pubkey/me.pem", "swanctl.conf"], f"{host.name} was given more")
        known = "".join((host.swanctl_dir / file).read_text() for file in host.files())
        must(other.key.fingerprint not in known and other.key.public_pem not in known, f"{host.name} knew the other key")
        loaded = host.swanctl("--list-conns").stdout
        must("groups: btns" in loaded, f"{host.name} has no connection for strangers")
    print("\n   the remote section of both, from swanctl-examples/strangers.conf, as charon loaded it:")
    start = loaded.index("  remote ")
    print(indent("\n".join(line for line in loaded[start:].splitlines()[:3])))

    title(2, "The two fingerprints (SHA-256 of the SubjectPublicKeyInfo)")
    for host, kind in ((left, left_kind), (right, right_kind)):
        print(f"   {host.name:5}  {kind:8}  {host.key.fingerprint}")
    must(left.key.fingerprint != right.key.fingerprint, "the keys are the same")

    capture = world.capture()
    outcome = left.initiate("data")
    must(outcome.success, f"the CHILD_SA was not established: {outcome.error}\n{outcome.log}")
    title(3, "The established CHILD_SA (swanctl --list-sas)")
    for host, other in (both, both[::-1]):
        shown = host.swanctl("--list-sas").stdout
        print(f"   on {host.name}, which knows {other.name} by its key:\n")
        print(indent(shown) + "\n")
        sa = host.sa("strangers")
        must(sa["remote-id"] == other.key.identity, f"{host.name} calls the peer {sa['remote-id']}")
        children = list(sa["child-sas"].values())
        must(len(children) == 1 and children[0]["state"] == "INSTALLED", f"{host.name} has no CHILD_SA installed")
        must(children[0]["protocol"] == "ESP", "the CHILD_SA is not ESP")

    title(4, f"A transfer of {SIZE} octets from left to right and back, over TCP")
    payload = (MARKER * (SIZE // len(MARKER) + 1))[:SIZE]
    came_back = hosts.transfer(left, right, payload, timeout=30)
    capture.stop()
    must(came_back == SIZE, f"only {came_back} octets came back")
    print(f"   sent {len(payload)} octets, {came_back} came back, all as they were sent")
    for host in both:
        child = list(host.sa("strangers")["child-sas"].values())[0]
        got, sent = int(child["bytes-in"]), int(child["bytes-out"])
        print(f"   {host.name:5}  the CHILD_SA counted {got} octets in, {sent} octets out")
        must(got >= SIZE and sent >= SIZE, f"the CHILD_SA of {host.name} did not carry the transfer")

    title(5, "What a listener on the wire saw, from the first packet of IKE to the last of the transfer")
    seen = capture.summary()
    inner = set(left.inner + right.inner)
    clear = [
        frame
        for frame, packet in zip(capture.frames, capture.packets)
        if packet.kind == "other" or MARKER in frame or inner & {packet.source, packet.destination}
    ]
    for source, destination in (both, both[::-1]):
        count = capture.count("esp", source.address, destination.address)
        print(f"   {source.name:5} to {destination.name:5}  {count:5d} ESP packets")
        must(count, f"no ESP from {source.name} to {destination.name}")
    print(f"   IKE              {seen['ike']:5d} packets")
    print(f"   clear text       {len(clear):5d} packets of the transfer")
    must(not clear, "the transfer crossed in clear text")
    capture.assert_esp_only((left.address, right.address), [MARKER], inner)
    for host in both:
        must(host.alive(), f"charon of {host.name} ended")


def main(show, make_world, moral):
    """Show something in a world, and end with 0 only if all of it was as it must be."""
    # told to end: clean up as after Ctrl-C
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    net.sweep()
    kept = paths.LOGS.parent / "demo"
    try:
        with make_world() as world:
            try:
                show(world)
            except (Failed, AssertionError, OSError, RuntimeError, StopIteration, KeyError):
                world.keep(kept)
                raise
            unwell = world.close()
            must(not unwell, f"charon did not end in good order: {unwell}")
    except KeyboardInterrupt:
        print("demo: interrupted; nothing is left behind", file=sys.stderr)
        sys.exit(130)
    except (Failed, AssertionError, OSError, RuntimeError, StopIteration, KeyError) as error:
        print(f"\ndemo: FAILED: {error!r}\ndemo: logs and captures are in {kept}", file=sys.stderr)
        sys.exit(1)
    print(f"\n{moral}")


if __name__ == "__main__":
    main(lambda world: demo(world, *sys.argv[1:3]), lambda: World(paths.SCENARIOS / "strangers"),
         "All of this held: two strangers, one tunnel.")
