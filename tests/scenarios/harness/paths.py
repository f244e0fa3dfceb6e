# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Where things are."""

import os
from pathlib import Path

SCENARIOS = Path(__file__).resolve().parent.parent
REPO = SCENARIOS.parent.parent
EXAMPLES = REPO / "swanctl-examples"
BUILD = Path(os.environ.get("BTNS_BUILD", REPO / "build"))
LOGS = BUILD / "test-logs" / "scenarios"

CHARON = Path("/usr/sbin/charon-systemd")
"""The daemon that Debian ships; never one of our own."""

STOCK_PLUGINS = Path("/usr/lib/ipsec/plugins")
"""Compiled into charon; the only folder it loads plugins from."""

PLUGIN_FILE = "libstrongswan-btns.so"
PLUGIN = BUILD / "plugins" / "btns" / PLUGIN_FILE
FAULTS_PLUGIN = BUILD / "plugins" / "btns-faults" / PLUGIN_FILE
"""The same plugin, built so that a core call can be made to fail."""
SHIFTED_PLUGIN = BUILD / "plugins" / "btns-shifted" / PLUGIN_FILE
"""The same plugin, as if an enumerator had moved in the daemon's headers."""
ROGUE_PLUGIN = BUILD / "plugins" / "btns-rogue" / "libstrongswan-btns-rogue.so"
"""What makes a charon misbehave by script."""
