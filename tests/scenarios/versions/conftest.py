# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""These run when there are several releases to run them on: ci/test versions."""

from harness import roots

collect_ignore_glob = [] if roots.MEETING else ["test_*.py"]
