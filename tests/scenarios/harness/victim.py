# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""An authenticated peer, and what an attack must not change about it.

    alice = Victim(right, "people", third)
    withstands(world, right, lambda: refuses(...), "claims-known-id", alice)
"""

import ipaddress
import re

from . import ikev2
from .host import transfer

IKE_SA = ("uniqueid", "version", "state", "local-host", "local-port", "local-id", "remote-host", "remote-port", "remote-id",
          "remote-eap-id", "remote-xauth-id", "initiator-spi", "responder-spi", "local-vips", "remote-vips")
CHILD_SA = ("name", "uniqueid", "reqid", "state", "mode", "protocol", "encap", "spi-in", "spi-out", "local-ts", "remote-ts")
COUNTERS = ("bytes-in", "bytes-out", "packets-in", "packets-out")
PAYLOAD = b"only for whom it is meant; " * 40


def _networks(selectors):
    return [ipaddress.ip_network(selector.partition("[")[0].replace("|/0", "")) for selector in selectors]


def _destination(route):
    first = route.split()[0]
    return ipaddress.ip_network("0.0.0.0/0" if first == "default" else first, strict=False)


def _blocks(text):
    """Paragraphs that begin in the first column."""
    return set(re.findall(r"^\S.*\n(?:\s.*\n)*", text, re.MULTILINE))


class Side:
    """One end of the victim's IKE_SA at one moment."""

    def __init__(self, host, uniqueid):
        found = [sa for sa in host.sas() if sa["uniqueid"] == uniqueid]
        assert found, f"{host.name}: IKE_SA {uniqueid} is gone; there are {host.sas()}"
        sa = found[0]
        self.sa = sa
        self.fixed = {field: sa.get(field) for field in IKE_SA}
        self.established = int(sa["established"])
        self.children = {
            child["uniqueid"]: {field: child.get(field) for field in CHILD_SA} for child in sa["child-sas"].values()
        }
        self.counters = {
            child["uniqueid"]: {field: int(child[field]) for field in COUNTERS} for child in sa["child-sas"].values()
        }
        self.policies = {block for block in _blocks(host.namespace.ip("xfrm", "policy")) if " dir " in block}
        mine = _networks(ts for child in sa["child-sas"].values() for ts in child["remote-ts"])
        self.routes = {
            route for route in host.namespace.ip("route", "show", "table", "220").splitlines()
            if any(_destination(route).overlaps(network) for network in mine)
        }
        self.leases = host.leases(sa["remote-id"], sa.get("remote-eap-id"))

    def assert_same(self, now, who):
        assert now.fixed == self.fixed, f"{who}: the IKE_SA is another one: {self.fixed} became {now.fixed}"
        assert now.established >= self.established, f"{who}: the IKE_SA was set up anew"
        assert now.children == self.children, f"{who}: CHILD_SAs: {self.children} became {now.children}"
        assert now.leases == self.leases, f"{who}: leases: {self.leases} became {now.leases}"
        assert self.policies <= now.policies, f"{who}: kernel policies are gone: {self.policies - now.policies}"
        assert self.routes <= now.routes, f"{who}: routes are gone: {self.routes - now.routes}"
        for child, counters in self.counters.items():
            for name, value in counters.items():
                assert now.counters[child][name] >= value, f"{who}: {name} of a CHILD_SA fell"


class Victim:
    """An authenticated peer whose SAs an attacker is after. It is remembered as it is now.

    @param gateway		the host under test
    @param connection	what the gateway calls the victim's connection
    @param peer			the victim's own host
    @param own			what that calls the connection; the same name if left out
    @param inside		the victim's address in the tunnel; its first inner one if left out
    @param between		two hosts whose traffic crosses the tunnel, where these are not the peer and the gateway
    """

    def __init__(self, gateway, connection, peer, own=None, inside=None, between=None):
        self.gateway, self.connection = gateway, connection
        self.peer, self.own = peer, own or connection
        self.between = between or (peer, gateway)
        self.inside = inside or self.between[0].inner[0]
        self.uniqueids = gateway.sa(connection)["uniqueid"], peer.sa(self.own)["uniqueid"]
        self.flows()
        self.remember()

    def _sides(self):
        return {
            f"{self.connection} on {self.gateway.name}": Side(self.gateway, self.uniqueids[0]),
            f"{self.own} on {self.peer.name}": Side(self.peer, self.uniqueids[1]),
        }

    def remember(self):
        """What is now is what must stay."""
        self.before = self._sides()
        return self

    def flows(self):
        """Data crosses the tunnel in both directions."""
        transfer(*self.between, PAYLOAD, source=self.inside)

    def assert_untouched(self):
        """Nothing about the victim has changed on either side, nobody else holds a part of its addresses, and what is
        sent now crosses its own CHILD_SA."""
        between = self._sides()
        for who, side in self.before.items():
            side.assert_same(between[who], who)
        self._assert_alone()
        self.flows()
        for who, side in self._sides().items():
            between[who].assert_same(side, who)
            grown = sum(side.counters[child]["bytes-in"] - between[who].counters[child]["bytes-in"] for child in side.counters)
            assert grown >= len(PAYLOAD), f"{who}: the traffic took another way: {grown} octets came in"

    def _assert_alone(self):
        """No other peer's CHILD_SA on the gateway overlaps the victim's selectors or addresses."""
        mine = Side(self.gateway, self.uniqueids[0]).sa
        taken = _networks(ts for child in mine["child-sas"].values() for ts in child["remote-ts"])
        taken.append(ipaddress.ip_network(mine["remote-host"]))
        for sa in self.gateway.sas():
            if sa["uniqueid"] == mine["uniqueid"]:
                continue
            for child in sa["child-sas"].values():
                for network in _networks(child["remote-ts"]):
                    assert not any(network.version == other.version and network.overlaps(other) for other in taken), (
                        f"{sa['name']} of {sa['remote-id']} got {network}, which is {mine['remote-id']}'s")


def newcomer_is_served(world, gateway):
    """An honest stranger from another host, with a fresh key, becomes a BTNS peer, and goes again."""
    honest = world.hosts.get("fourth") or world.host("fourth", conf="", start=False)
    key = world.keys.key()
    with ikev2.Initiator(honest.namespace, honest.address, gateway.address) as initiator:
        answer = initiator.init().auth([(ikev2.SPKI, key.spki)], ikev2.Signer(key.path), identity="honest.example.net",
                                       address=honest.inner[0])
        assert answer.authenticated, f"an honest stranger was refused: {answer}"
        assert key.fingerprint in [peer["fingerprint"] for peer in gateway.peers()]
        initiator.delete()


def is_healthy(world, gateway, newcomer=newcomer_is_served):
    """charon lives, answers, and serves the next honest stranger."""
    assert gateway.alive()
    gateway.request("version")
    gateway.stats()
    if newcomer:
        newcomer(world, gateway)


def withstands(world, gateway, attack, code, *victims, newcomer=newcomer_is_served, **fields):
    """The three parts of every check: the rogue is refused for this reason, no victim notices anything, and charon is
    healthy.

    @param attack	what the rogue does, a function; it has to assert that it did that
    @param code		reason in the event btns-rejected and of the counter; None if charon refuses before the plugin is asked,
        and then attack has to show the refusal
    @param newcomer	how an honest stranger is served, a function of (world, gateway)
    @param fields	further fields of the event
    @return			the event
    """
    start = gateway.events.mark()
    before = gateway.stats()
    attack()
    event = None
    if code:
        due = {"code": code, **fields}
        try:
            event = gateway.events.wait("btns-rejected", lambda seen: due.items() <= seen.items(), timeout=5, start=start)
        except AssertionError:
            raise AssertionError(f"no refusal with {due}, but {gateway.events.of('btns-rejected')[-3:]}") from None
        assert event["reason"], event
        counter = f"refused-{code}"
        assert gateway.stats().get(counter, 0) > before.get(counter, 0), f"{counter} was not counted"
    for victim in victims:
        victim.assert_untouched()
    is_healthy(world, gateway, newcomer)
    return event
