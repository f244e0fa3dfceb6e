# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Many peers: what charon has to allow for them, and what they cost it."""

import time
from pathlib import Path

OPTIONS = {
    "reuse_ikesa": "no",
    "init_limit_half_open": 0,
    "init_limit_job_load": 0,
    "cookie_threshold": 0,
    "cookie_threshold_ip": 0,
    "block_threshold": 100000,
    "ikesa_table_size": 1024,
    "ikesa_table_segments": 16,
}
"""charon's own limits lifted, all of which are there to stop one host from making thousands of IKE_SAs."""

BTNS = {
    "max_peers": 50000,
    "max_peers_per_source": 50000,
    "max_half_open": 50000,
    "max_half_open_per_source": 50000,
    "child_rate": 100000,
    "childless_timeout": 0,
}

STOCK_LOGGING = """
charon {
	filelog {
		charon {
			default = 1
			ike = 1
			cfg = 1
			lib = 1
			flush_line = no
			ike_name = no
		}
	}
}
charon-systemd {
	journal {
		default = -1
	}
}
"""
"""The level at which charon logs unless told otherwise, and once only."""


def cpu_seconds(pid):
    """CPU time that a process has used, user and system, to the nanosecond: its CPU-time clock."""
    return time.clock_gettime(~pid << 3 | 2)


def resident_kib(pid):
    """Resident memory in KiB that is the process's own: without pages of files, which come and go."""
    status = Path("/proc", str(pid), "status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")))


def descriptors(pid):
    """Number of open descriptors."""
    return len(list(Path("/proc", str(pid), "fd").iterdir()))
