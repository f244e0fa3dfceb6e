# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Where things are."""

from pathlib import Path

from . import roots

SCENARIOS = Path(__file__).resolve().parent.parent
REPO = roots.REPO
EXAMPLES = REPO / "swanctl-examples"
BUILD = roots.DEFAULT.build
CONSUMERS = (BUILD if roots.DEFAULT.is_own else REPO / "build") / "examples"
"""Programs of examples/: this machine's, whatever the root of a charon is."""
LOGS = BUILD / "test-logs" / "scenarios"

PLUGIN_FILE = "libstrongswan-btns.so"
PLUGIN = roots.DEFAULT.plugin
FAULTS_PLUGIN = roots.DEFAULT.variant("btns-faults")
"""The same plugin, built so that a core call can be made to fail, and that logs what its hooks must not call."""
SHIFTED_PLUGINS = [roots.DEFAULT.variant(name) for name in ("btns-shifted", "btns-shifted-rules")]
"""The same plugin, as if an enumerator had moved in the daemon's headers."""
