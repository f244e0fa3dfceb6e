# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger does not outlive what it was admitted by: a connection, its selectors, the plugin, the daemon."""

from harness import ikev2
from harness.checks import NO_TS, REFUSED, connects, is_refused, is_stranger
from harness.rogue import IKE_SA_INIT, INFORMATIONAL
from harness.victim import withstands


def gateway_changes(office, **words):
    office.words.update(words)
    office.gateway.configure(office.conf("right"))
    office.gateway.load_all()


def test_the_flag_goes(office):
    """Deaf to its deletion, a stranger is gone all the same, and does not come back."""
    office = office().both_come()
    office.rogue.hears("deaf", INFORMATIONAL, response=False, times=1, lose=True)

    def attack():
        gateway_changes(office, GROUPS="")
        office.mallory_is_gone()
        office.mallory.wait_until(lambda: office.rogue.applied("deaf"), "Mallory is told, and does not hear it")

    withstands(office.world, office.gateway, attack, "unconfigured", office.victim, newcomer=None)
    office.mallory.swanctl("--terminate", "--ike", "mischief", "--force", check=False)
    withstands(office.world, office.gateway, lambda: is_refused(office.mallory, "data", REFUSED), "not-flagged", office.victim,
               newcomer=None)


def test_the_selectors_of_the_connection_change(office):
    """What a stranger has is not rekeyed, and what it asks for now is measured by the new selectors."""
    office = office().both_come()
    gateway_changes(office, STRANGERS="10.66.130.0/24")

    def rekeys():
        office.mallory.swanctl("--rekey", "--child", "data")
        office.mallory.wait_log("received TS_UNACCEPTABLE notify")

    office.withstands("unconfigured", rekeys)
    office.withstands(None, lambda: is_refused(office.mallory, "more", NO_TS))
    office.mallory_leaves()
    office.withstands(None, lambda: is_refused(office.mallory, "data", NO_TS))


def test_settings_are_reloaded_without_the_plugin(office):
    """charon unloads no plugin before it ends: what strongswan.conf says then counts from the next start."""
    office = office().both_come()

    def attack():
        plugin, office.gateway.plugin = office.gateway.plugin, None
        office.gateway.reload_options()
        office.gateway.load_all()
        office.gateway.plugin = plugin
        is_stranger(office.gateway, "strangers", office.mallory.key)

    office.withstands(None, attack)


def left_in_the_kernel(host):
    """Routes and policies of CHILD_SAs; those of charon's own sockets have no direction."""
    policies = [line for line in host.namespace.ip("xfrm", "policy").splitlines() if line.strip().startswith("dir ")]
    tables = host.namespace.run(["ip", "route", "show", "table", "220"]).stdout.splitlines()
    return policies + tables


def test_the_daemon_restarts_without_the_plugin(office):
    """Nothing is left in the kernel, everybody is told, and then nobody gets the connection with the flag; Alice works as
    before."""
    office = office().both_come()
    gateway = office.gateway
    assert left_in_the_kernel(gateway)
    assert gateway.close() == 0
    assert not left_in_the_kernel(gateway)
    for host in (office.alice, office.mallory):
        host.wait_until(lambda host=host: not host.sas(), "the Delete has come")

    plugin, gateway.plugin = gateway.plugin, None
    gateway.start()
    office.alice_comes()
    is_refused(office.mallory, "data", REFUSED)
    with office.raw("192.0.2.1", port=5500) as stranger:
        certs, signer = office.own_key()
        assert stranger.init().auth(certs, signer).refused
    office.victim.assert_untouched()
    assert [sa["name"] for sa in gateway.sas()] == ["alice"]

    assert gateway.close() == 0
    gateway.plugin = plugin
    gateway.start()
    office.rogue.behaves()
    office.rogue.shows((ikev2.SPKI, office.mallory.key.spki))
    connects(office.mallory, "data")
    is_stranger(gateway, "strangers", office.mallory.key)


def test_the_daemon_is_killed(office):
    """Without a word to anybody: a stranger's IKE_SA and CHILD_SA mean nothing to the next one."""
    office = office().both_come()
    gateway = office.gateway
    gateway.process.kill()
    gateway.close()
    gateway.start()
    assert not gateway.sas() and not gateway.peers()
    start = len(gateway.log())
    office.rogue.sends("mischief", [])
    office.mallory.wait_log(r"retransmit 1 of request")
    assert not gateway.sas(), gateway.log()[start:]
    office.alice.swanctl("--terminate", "--ike", "work", "--force", check=False)
    office.alice_comes()
    office.victim.assert_untouched()


def reqid(host, connection):
    (child,) = host.sa(connection)["child-sas"].values()
    return child["reqid"]


def test_authenticating_again_while_alice_comes(office):
    """The gateway authenticates Mallory again and breaks first, and Alice gets the reqid that became free: the two do not
    share it, or packets to one would be sent in the SA of the other."""
    office = office(options={"make_before_break": "no"})
    office.mallory_comes()
    office.rogue.shows((ikev2.SPKI, office.mallory.key.spki), response=True)
    before = reqid(office.gateway, "strangers")
    office.rogue.hears("slow", IKE_SA_INIT, response=False, times=2, lose=True)
    office.gateway.swanctl("--rekey", "--ike", "strangers", "--reauth")
    office.mallory.wait_until(lambda: office.rogue.applied("slow"), "IKE_SA_INIT is lost")
    office.alice_comes()
    if office.gateway.root.version() < (6,):  # from then on charon keeps it for Mallory
        assert reqid(office.gateway, "alice") == before, "charon gave the reqid to nobody: this shows nothing"

    def attack():
        office.gateway.wait_until(
            lambda: [sa for sa in office.gateway.sas() if sa["name"] == "strangers" and sa["child-sas"]],
            "Mallory is back", 20)
        assert reqid(office.gateway, "strangers") != reqid(office.gateway, "alice")

    office.withstands(None, attack)
    is_stranger(office.gateway, "strangers", office.mallory.key)
