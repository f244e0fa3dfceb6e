# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""RFC 5386, section 3: in the network of figure 1, with the PADs and SPDs of figures 2 to 7, each statement of the section
holds. The number in a test's name is that of the section."""

import contextlib

import pytest

from harness.checks import NO_TS, REFUSED, connects, has_no_sa, is_refused, is_stranger, rejects
from harness.host import reaches, transfer
from harness.network import PEER_TS
from harness.reference_network import FIGURE_1, set_up, settle
from harness.victim import Victim, withstands
from harness.world import MARKER

TOPOLOGY = FIGURE_1

NFS = 2049
WEB = 80
NO_PROPOSAL = "NO_PROPOSAL_CHOSEN"
AS1 = "198.51.100.8/30"
"""[A], and nobody else: see sg-a.conf"""
OWN, ANY = "dynamic", "0.0.0.0/0"
"""Two readings of "ANY" for remote addresses: anybody's own address, any address that anybody says is its own."""


def configuration(world, name):
    """A node's swanctl.conf, None for the file that has its name."""
    if name == "sg-a":
        return world.conf("sg-a", ANY=OWN)
    if name in ("d", "btns-b"):
        return world.conf("c")
    return "" if name == "rogue" else None


@pytest.fixture(scope="module")
def nodes(shared_world):
    return set_up(shared_world, conf=lambda name: configuration(shared_world, name), options=PEER_TS)


@pytest.fixture
def net(shared_world, nodes, shared_logs):
    """The nodes, without any IKE_SA."""
    settle(nodes)
    return nodes


@pytest.fixture
def world(shared_world):
    return shared_world


# what a test changes, and takes back


@contextlib.contextmanager
def configured(host, text):
    """A host with another swanctl.conf for a while."""
    before = (host.swanctl_dir / "swanctl.conf").read_text()
    host.configure(text)
    host.load_all()
    try:
        yield host
    finally:
        host.configure(before)
        host.load_all()


@contextlib.contextmanager
def without_plugin(host):
    """A host whose charon is restarted without the plugin, for a while."""
    plugin = host.plugin

    def restart(which):
        assert host.close() == 0, host.stderr()
        host.plugin = which
        host.start()

    restart(None)
    try:
        yield host
    finally:
        restart(plugin)


@contextlib.contextmanager
def addressed(host, address, interface):
    """A host with one more address for a while."""
    host.namespace.ip("addr", "add", address, "dev", interface)
    try:
        yield host
    finally:
        host.namespace.ip("addr", "del", address, "dev", interface)
        # it belongs to somebody else again
        host.swanctl("--reload-settings")


@contextlib.contextmanager
def instead_of(world, rogue, victim):
    """The rogue is where the victim was, with its address: somebody who can do that to routers or to a link."""

    def forget_neighbours():
        for host in world.hosts.values():
            host.namespace.ip("neigh", "flush", "all")

    world.wire.unplug(victim.namespace)
    try:
        with addressed(rogue, f"{victim.address}/24", "eth0"):
            forget_neighbours()
            yield
    finally:
        world.wire.plug(victim.namespace)
        forget_neighbours()


def rogue_attempts(world, rogue, to, local_ts="dynamic", remote_ts=AS1, claims=None, source=None):
    """Configure what the rogue initiates: child "attempt"."""
    rogue.configure(world.conf("rogue", FROM=source or rogue.address, TO=to.address, ID=f"id = {claims}" if claims else "",
                               LOCAL_TS=local_ts, REMOTE_TS=remote_ts))
    rogue.load_all()
    return "attempt"


# what a test looks at


def host_of(address):
    return f"{address}/32"


def selectors(host, connection):
    """The CHILD_SAs of a connection: {name: (local, remote)}."""
    return {
        child["name"]: (child["local-ts"], child["remote-ts"])
        for child in host.sa(connection)["child-sas"].values()
        if child["state"] == "INSTALLED"
    }


def authenticated(host, connection, identity):
    """A peer is who it says, and no BTNS peer. Returns its IKE_SA."""
    sa = host.sa(connection)
    assert sa["remote-id"] == identity, sa
    assert sa["uniqueid"] not in [peer["uniqueid"] for peer in host.peers()], host.peers()
    return sa


def protected(world, client, server, ends, port=NFS):
    """Data goes both ways and crosses the public internet between these ends, in ESP."""
    world.check_transfer(client, server, port=port, ends=[end.address for end in ends])


def in_clear(world, client, server, port):
    """Data goes both ways, everybody on the public internet can read it, and neither of the two speaks IKE. Others may."""
    capture = world.capture()
    transfer(client, server, MARKER * 20, port=port)
    capture.stop()
    ends = {*client.addresses, *client.inner, *server.addresses, *server.inner}
    protected = [packet for packet in capture.packets
                 if packet.kind in ("ike", "esp") and ends & {packet.source, packet.destination}]
    assert not protected, capture.summary()
    assert any(MARKER in frame for frame in capture.frames), capture.summary()


def is_rejected_as_usual(initiator, responder, child, ike, answer=REFUSED):
    """RFC 4301's "as usual": no IKE_SA, on either side."""
    is_refused(initiator, child, answer, ike)
    has_no_sa(initiator, responder)


def known_peers(net):
    """[Q] and [SG-B] come to [SG-A], and are who they say."""
    connects(net.q, "spd-1")
    connects(net.sg_b, "a")
    authenticated(net.sg_a, "pad-2-q", "q.example.org")
    authenticated(net.sg_a, "pad-1-b", "sg-b.example.org")
    return [
        Victim(net.sg_a, "pad-2-q", net.q, "pad-1-a", between=(net.q, net.a)),
        Victim(net.sg_a, "pad-1-b", net.sg_b, "sg-a", between=(net.b, net.a)),
    ]


def known_to_q(net):
    """[SG-A] comes to [Q] for [A]."""
    connects(net.sg_a, "spd-2")
    authenticated(net.q, "pad-1-a", "a.example.org")
    return Victim(net.q, "pad-1-a", net.sg_a, "pad-2-q", between=(net.a, net.q))


def c_is_served(world, gateway):
    """[C], an honest stranger, is a BTNS peer of the gateway."""
    c = world.hosts["c"]
    connects(c, "spd-1", f"pad-1-{gateway.name}")
    assert c.key.fingerprint in [peer["fingerprint"] for peer in gateway.peers()]


def refused(world, gateway, rogue, answer, code, *victims):
    """The rogue's attempt is answered so, for this reason; no victim notices anything, and the next stranger is served."""
    return withstands(world, gateway, lambda: is_refused(rogue, "attempt", answer), code, *victims, newcomer=c_is_served)


# section 3: the network


def test_3_figure_1_is_one_network(net):
    """Everybody can reach everybody, so that what is refused below is refused by IPsec."""
    hosts = list(vars(net).values())
    for client in hosts:
        for server in hosts:
            if client is not server:
                assert reaches(client, server), (client.name, server.name)


def test_3_the_tables_are_as_in_the_figures(net):
    """BTNS entries and all others are told apart, and the linter has nothing against them."""
    flagged = {
        host.name: {name: entry["flag"] for name, entry in host.pad().items()} for host in (net.sg_a, net.q, net.c)
    }
    assert flagged["sg-a"] == {"pad-1-b": "none", "pad-2-q": "none", "pad-3-any": "btns", "bypass": "none"}
    assert flagged["q"] == {"pad-1-a": "none", "pad-2-any": "btns"}
    assert flagged["c"]["pad-1-any"] == "btns"


# section 3.1: [SG-A]


def test_3_1_q_matches_entry_2(world, net):
    """"[Q] does not match PAD entry #1 but does match PAD entry #2 … CHILD SAs are then allowed that have [SG-A]'s and
    [Q]'s addresses as the end-point addresses." """
    connects(net.q, "spd-1")
    sa = authenticated(net.sg_a, "pad-2-q", "q.example.org")
    assert selectors(net.sg_a, "pad-2-q") == {"spd-2": ([AS1], [host_of(net.q.address)])}
    (child,) = sa["child-sas"].values()
    assert (child["encr-alg"], child["encr-keysize"], child["integ-alg"]) == ("AES_CBC", "128", "HMAC_SHA2_256_128")
    protected(world, net.q, net.a, (net.q, net.sg_a), port=WEB)
    protected(world, net.a, net.q, (net.sg_a, net.q), port=WEB)


def test_3_1_sg_b_matches_entry_1(world, net):
    """"[SG-B] matches PAD entry #1 … CHILD SAs are then allowed that have [SG-A]'s address and any addresses from B's
    network as the end-point addresses." """
    connects(net.sg_b, "a")
    authenticated(net.sg_a, "pad-1-b", "sg-b.example.org")
    assert selectors(net.sg_a, "pad-1-b") == {"spd-3": ([AS1], ["203.0.113.0/24"])}
    for host in (net.b, net.btns_b):
        protected(world, host, net.a, (net.sg_b, net.sg_a), port=WEB)
        protected(world, net.a, host, (net.sg_a, net.sg_b), port=WEB)


def test_3_1_r_is_bypassed(world, net):
    """"[R] does not initiate any IKE SAs; its traffic to [A] is bypassed by SPD entry #1." """
    known = known_peers(net)
    in_clear(world, net.r, net.a, NFS)
    in_clear(world, net.a, net.r, NFS)
    for peer in known:
        peer.assert_untouched()


@pytest.mark.parametrize("who", ["c", "d"])
def test_3_1_c_matches_the_wildcard_entry(world, net, who):
    """"[C] does not match PAD entries #1 or #2 but does match entry #3 … CHILD SAs are then allowed that have [SG-A]'s
    address and [C]'s address as the end-point addresses." """
    stranger = getattr(net, who)
    connects(stranger, "spd-1-behind", "pad-1-sg-a")
    is_stranger(net.sg_a, "pad-3-any", stranger.key)
    own = f"{stranger.address}/32[tcp]"
    assert selectors(net.sg_a, "pad-3-any") == {"spd-4": ([f"{AS1}[tcp/nfs]"], [own])}
    protected(world, stranger, net.a, (stranger, net.sg_a))
    connects(stranger, "spd-1", "pad-1-sg-a")
    assert selectors(net.sg_a, "pad-3-any")["spd-4-own"] == ([f"{net.sg_a.address}/32[tcp/nfs]"], [own])
    protected(world, stranger, net.sg_a, (stranger, net.sg_a))


def test_3_1_c_gets_its_own_address_only(world, net):
    """"The SPD is searched by [C]'s address": whatever else it asks for, that is what it gets."""
    rogue_attempts(world, net.rogue, net.sg_a, local_ts="192.0.2.0/24, 203.0.113.0/24, dynamic")
    connects(net.rogue, "attempt")
    assert selectors(net.sg_a, "pad-3-any") == {"spd-4": ([AS1], [host_of(net.rogue.address)])}


def test_3_1_d_has_no_fixed_address(world, net):
    """Section 3: "Node [D] has a non-fixed address." With another address it is the same stranger, there."""
    connects(net.d, "spd-1-behind", "pad-1-sg-a")
    settle(net)
    with addressed(net.d, "192.0.2.101/24", "eth0"):
        net.d.namespace.ip("addr", "del", "192.0.2.100/24", "dev", "eth0")
        try:
            connects(net.d, "spd-1-behind", "pad-1-sg-a")
            assert is_stranger(net.sg_a, "pad-3-any", net.d.key)["remote-host"] == "192.0.2.101"
            assert selectors(net.sg_a, "pad-3-any") == {"spd-4": ([f"{AS1}[tcp/nfs]"], ["192.0.2.101/32[tcp]"])}
        finally:
            net.d.namespace.add_addresses("eth0", ["192.0.2.100/24"])
            settle(net)


@pytest.mark.parametrize("claimed", ["q.example.org", "sg-b.example.org"])
def test_3_1_rogue_that_claims_to_be_q_or_b_is_rejected(world, net, claimed):
    """"A rogue BTNS node … will either match the PAD entries for [Q] or [B] and fail to authenticate as [Q] or [B], in
    which case they are rejected" """
    known = known_peers(net)
    rogue_attempts(world, net.rogue, net.sg_a, claims=claimed)
    refused(world, net.sg_a, net.rogue, REFUSED, "claims-known-id", *known)
    has_no_sa(net.rogue)


@pytest.mark.parametrize("whose", ["q", "sg-b", "b", "btns-b", "B's network"])
def test_3_1_rogue_cannot_assert_the_addresses_of_q_or_b(world, net, whose):
    """"or they will match PAD entry #3 but will not be allowed to create CHILD SAs with [Q]'s or [B]'s addresses as traffic
    selectors", in both readings of ANY."""
    asserted = "203.0.113.0/24" if whose == "B's network" else host_of(world.hosts[whose].address)
    known = known_peers(net)
    rogue_attempts(world, net.rogue, net.sg_a, local_ts=asserted)
    is_refused(net.rogue, "attempt", NO_TS)
    is_stranger(net.sg_a, "pad-3-any", net.rogue.key)
    assert not selectors(net.sg_a, "pad-3-any")
    net.rogue.request("terminate", {"ike": "rogue", "force": "yes"})
    with configured(net.sg_a, world.conf("sg-a", ANY=ANY)):
        refused(world, net.sg_a, net.rogue, NO_TS, "child-reserved", *known)


def test_3_1_rogue_at_the_address_of_q_gets_nothing(world, net):
    """The same where the rogue really has the address, and nobody could tell by where packets come from."""
    with instead_of(world, net.rogue, net.q):
        rogue_attempts(world, net.rogue, net.sg_a, source=net.q.address)
        rejects(net.sg_a, net.rogue, "attempt", "child-reserved", NO_TS)
        is_stranger(net.sg_a, "pad-3-any", net.rogue.key)
        assert not selectors(net.sg_a, "pad-3-any")
        settle(net)
    connects(net.q, "spd-1")
    protected(world, net.q, net.a, (net.q, net.sg_a))


def test_3_1_btns_b_is_within_the_network_of_b(net):
    """[C]'s address must be "neither [Q]'s nor any of [B]'s": [btns-B] is no rogue, but [SG-B] speaks for its address."""
    rejects(net.sg_a, net.btns_b, "spd-1-behind", "child-reserved", NO_TS, "pad-1-sg-a")
    is_stranger(net.sg_a, "pad-3-any", net.btns_b.key)
    assert not selectors(net.sg_a, "pad-3-any")


def test_3_1_rogue_that_asserts_the_address_of_c_succeeds(world, net):
    """"A rogue BTNS node attempting to establish an SA whereby the rogue node asserts [C]'s address will succeed at
    establishing such an SA." With its own address only, it has to be where [C] is; else saying so is enough."""
    with instead_of(world, net.rogue, net.c):
        rogue_attempts(world, net.rogue, net.sg_a, source=net.c.address)
        connects(net.rogue, "attempt")
        is_stranger(net.sg_a, "pad-3-any", net.rogue.key)
        assert selectors(net.sg_a, "pad-3-any") == {"spd-4": ([AS1], [host_of(net.c.address)])}
        settle(net)
    with configured(net.sg_a, world.conf("sg-a", ANY=ANY)), addressed(net.rogue, host_of(net.c.address), "lo"):
        rogue_attempts(world, net.rogue, net.sg_a, local_ts=host_of(net.c.address))
        connects(net.rogue, "attempt")
        assert selectors(net.sg_a, "pad-3-any") == {"spd-4": ([AS1], [host_of(net.c.address)])}
        settle(net)


def test_3_1_protection_for_c_is_its_key_in_the_configuration(world, net):
    """"Protection for [C] requires additional bindings of [C]'s specific BTNS ID (that is, its public key) to its traffic
    flows". Today that is an entry for the key: leap-of-faith, the group btns:known, admits nobody yet."""
    pinned = world.conf("sg-a", ANY=OWN).replace("examples/reference-network", "pinned")
    entry = (net.sg_a.swanctl_dir / "examples/reference-network/sg-a.conf").read_text()
    net.sg_a.add_file("pinned/sg-a.conf", entry.replace("groups = btns", f"groups = btns:sha256:{net.c.key.fingerprint}"))
    with configured(net.sg_a, pinned):
        with instead_of(world, net.rogue, net.c):
            rogue_attempts(world, net.rogue, net.sg_a, source=net.c.address)
            is_rejected_as_usual(net.rogue, net.sg_a, "attempt", "rogue")
        connects(net.c, "spd-1-behind", "pad-1-sg-a")
        is_stranger(net.sg_a, "pad-3-any", net.c.key)
        settle(net)
    net.sg_a.add_file("pinned/sg-a.conf", entry.replace("groups = btns", "groups = btns:known"))
    with configured(net.sg_a, pinned):
        is_rejected_as_usual(net.c, net.sg_a, "spd-1-behind", "pad-1-sg-a")
        assert net.sg_a.pad()["pad-3-any"]["usable"] == "no", net.sg_a.pad()


# section 3.2: [Q]


def test_3_2_q_protects_all_traffic_with_a(world, net):
    """"[Q] wants to protect all traffic with [A]." """
    connects(net.sg_a, "spd-2")
    authenticated(net.q, "pad-1-a", "a.example.org")
    assert selectors(net.q, "pad-1-a") == {"spd-1": ([host_of(net.q.address)], [AS1])}
    for port in (NFS, WEB):
        protected(world, net.a, net.q, (net.sg_a, net.q), port=port)


@pytest.mark.parametrize("who", ["c", "d", "btns_b", "rogue"])
def test_3_2_any_btns_node_gets_port_2049(world, net, who):
    """"The second SPD entry permits any BTNS-capable node to negotiate a port-specific SA to port 2049" """
    peer = getattr(net, who)
    if peer is net.rogue:
        # it wants everything
        connects(peer, rogue_attempts(world, peer, net.q, remote_ts="dynamic"))
    else:
        connects(peer, "spd-1", "pad-1-q")
    is_stranger(net.q, "pad-2-any", peer.key)
    assert list(selectors(net.q, "pad-2-any").values()) == [
        ([f"{net.q.address}/32[tcp/nfs]"], [f"{peer.address}/32[tcp]"])
    ]
    protected(world, peer, net.q, (peer, net.q))


def test_3_2_no_stranger_gets_another_port(world, net):
    """The same statement from its other side."""
    rogue_attempts(world, net.rogue, net.q, remote_ts=f"dynamic[tcp/{WEB}]")
    is_refused(net.rogue, "attempt", NO_TS)
    is_stranger(net.q, "pad-2-any", net.rogue.key)
    assert not selectors(net.q, "pad-2-any")


def test_3_2_rogue_that_claims_to_be_a_is_rejected(world, net):
    """"The same analysis shown above in Section 3.1 applies here with respect to [SG-A], [C], and rogue peers." """
    known = known_to_q(net)
    rogue_attempts(world, net.rogue, net.q, remote_ts="dynamic", claims="a.example.org")
    refused(world, net.q, net.rogue, REFUSED, "claims-known-id", known)


@pytest.mark.parametrize("whose", ["a", "sg_a"])
def test_3_2_rogue_cannot_assert_the_address_of_a(world, net, whose):
    """The same analysis: [Q]'s second entry has ANY, but not what belongs to its first."""
    known = known_to_q(net)
    rogue_attempts(world, net.rogue, net.q, local_ts=host_of(getattr(net, whose).address), remote_ts="dynamic")
    refused(world, net.q, net.rogue, NO_TS, "child-reserved", known)


def test_3_2_hosts_behind_sg_b_reach_the_nfs_service(world, net):
    """"[SG-B] is treated as a BTNS peer as it is not known to [Q], and therefore any host behind [SG-B] can access the
    NFSv4 service on [Q]." """
    connects(net.sg_b, "nfs")
    is_stranger(net.q, "pad-2-any", net.sg_b.key)
    assert selectors(net.q, "pad-2-any") == {"spd-2-behind": ([f"{net.q.address}/32[tcp/nfs]"], ["203.0.113.0/24[tcp]"])}
    for host in (net.b, net.btns_b):
        protected(world, host, net.q, (net.sg_b, net.q))


def test_3_2_rogues_can_impersonate_b(world, net):
    """"As [Q] has no formal relationship with [SG-B], rogues can impersonate [B] (i.e., assert [B]'s addresses)." """
    with addressed(net.rogue, host_of(net.b.address), "lo"):
        connects(net.rogue, rogue_attempts(world, net.rogue, net.q, local_ts=host_of(net.b.address), remote_ts="dynamic"))
        is_stranger(net.q, "pad-2-any", net.rogue.key)
        assert list(selectors(net.q, "pad-2-any").values()) == [
            ([f"{net.q.address}/32[tcp/nfs]"], [f"{net.b.address}/32[tcp]"])
        ]
        world.check_transfer(net.rogue, net.q, source=net.b.address, port=NFS)
        settle(net)


# section 3.3: [C]. That a packet to port 2049 makes [C] initiate, and that everything else passes while the SA is up, is
# shown by test_3_3_traffic_to_port_2049_initiates_and_all_other_is_in_clear in tests/vm/nfs: ESP in user space can do
# neither.


def test_3_3_c_does_not_care_what_q_calls_itself(world, net):
    """"Communication with [Q] on port 2049 matches SPD entry number 1 … The PAD entry on [C] causes it to not care what
    identity [Q] asserts." """
    for name in ("nfs.example.org", "somebody@example.net"):
        conf = world.conf("q").replace("pad-2-any {", f"pad-2-any {{\n\t\tlocal {{\n\t\t\tid = {name}\n\t\t}}")
        with configured(net.q, conf):
            connects(net.c, "spd-1", "pad-1-q")
            assert is_stranger(net.c, "pad-1-q", net.q.key)["asserted-id"] == name
            assert selectors(net.c, "pad-1-q") == {
                "spd-1": ([f"{net.c.address}/32[tcp]"], [f"{net.q.address}/32[tcp/nfs]"])
            }
            protected(world, net.c, net.q, (net.c, net.q))
            settle(net)


def test_3_3_whoever_is_there_instead_of_q_is_as_good(world, net):
    """The other side of not caring. "Further authentication (and channel binding) could occur within the NFSv4 protocol":
    nothing below it tells [C]."""
    with instead_of(world, net.rogue, net.q):
        rogue_attempts(world, net.rogue, net.c, local_ts="dynamic[tcp/2049]", remote_ts="dynamic[tcp]", source=net.q.address)
        connects(net.c, "spd-1", "pad-1-q")
        is_stranger(net.c, "pad-1-q", net.rogue.key)
        settle(net)


@pytest.mark.parametrize("who", ["a", "b", "btns_b", "d", "q", "r"])
def test_3_3_everything_else_is_in_clear(world, net, who):
    """"Communication with [A], [B], or any other internet machine (including [Q]), occurs in the clear, so long as it is
    not on port 2049." """
    in_clear(world, net.c, getattr(net, who), WEB)
    has_no_sa(net.c)


def test_3_3_rogues_can_only_assert_sas_for_port_2049(world, net):
    """"All analysis about rogue BTNS nodes applies, but they can only assert SAs for port 2049." """
    connects(net.rogue, rogue_attempts(world, net.rogue, net.c, remote_ts="dynamic"))
    assert selectors(net.c, "pad-1-any") == {
        "spd-1": ([f"{net.c.address}/32[tcp]"], [f"{net.rogue.address}/32[tcp/nfs]"])
    }
    settle(net)
    rogue_attempts(world, net.rogue, net.c, local_ts=f"dynamic[tcp/{WEB}]", remote_ts="dynamic")
    is_refused(net.rogue, "attempt", NO_TS)
    assert not selectors(net.c, "pad-1-any")
    settle(net)
    rogue_attempts(world, net.rogue, net.c, local_ts=f"{net.b.address}/32[tcp/{NFS}]", remote_ts="dynamic")
    is_refused(net.rogue, "attempt", NO_TS)
    assert not selectors(net.c, "pad-1-any")


# section 3.4


def without_rows(text, *names):
    """A swanctl.conf without these sections."""
    for name in names:
        start = text.index(f"\t{name} {{\n")
        text = text[:start] + text[text.index("\n\t}\n", start) + len("\n\t}\n"):]
    return text


@pytest.fixture(params=["without-its-rows", "without-the-plugin"])
def not_btns_capable(request, world):
    """Makes a node one that knows nothing of BTNS, for a while. Gives the answer that a stranger then gets.

    Without the rows no entry at all is for a stranger's address; without the plugin nobody is in the group btns.
    """

    @contextlib.contextmanager
    def change(host, row, **words):
        if request.param == "without-the-plugin":
            with without_plugin(host):
                yield REFUSED
            return
        example = (host.swanctl_dir / f"examples/reference-network/{host.name}.conf").read_text()
        host.add_file(f"not-btns/{host.name}.conf", without_rows(example, row))
        conf = without_rows(world.conf(host.name, **words), row)
        with configured(host, conf.replace("examples/reference-network", "not-btns")):
            yield NO_PROPOSAL

    return change


def test_3_4_if_sg_a_is_not_btns_capable_c_is_rejected(world, net, not_btns_capable):
    """"If [SG-A] were not BTNS capable, then it would not have PAD and SPD entries #3 and #4 … Then [C] would be rejected as
    usual under the standard IPsec model." """
    with not_btns_capable(net.sg_a, "pad-3-any", ANY=OWN) as answer:
        is_rejected_as_usual(net.c, net.sg_a, "spd-1-behind", "pad-1-sg-a", answer)
        connects(net.q, "spd-1")
        connects(net.sg_b, "a")
        protected(world, net.q, net.a, (net.q, net.sg_a))
        settle(net)
    connects(net.c, "spd-1-behind", "pad-1-sg-a")


def test_3_4_if_q_is_not_btns_capable_c_is_rejected(world, net, not_btns_capable):
    """"Similarly, if [Q] were not BTNS capable, then it would not have PAD and SPD entries #2 in example #2. Then [C] would
    be rejected as usual" """
    with not_btns_capable(net.q, "pad-2-any") as answer:
        is_rejected_as_usual(net.c, net.q, "spd-1", "pad-1-q", answer)
        connects(net.sg_a, "spd-2")
        protected(world, net.a, net.q, (net.sg_a, net.q))
        settle(net)
    connects(net.c, "spd-1", "pad-1-q")
