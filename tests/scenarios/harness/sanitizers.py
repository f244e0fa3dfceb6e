# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""AddressSanitizer and UndefinedBehaviorSanitizer in stock charons.

With BTNS_SANITIZE set, our plugin in BTNS_BUILD is one that was built with both. charon is not, so the libraries are
loaded before it; what they find goes to files beside charon's log, and a test whose charons leave one fails.
"""

import os
import subprocess
from pathlib import Path

ENABLED = bool(os.environ.get("BTNS_SANITIZE"))
SUPPRESSIONS = Path(__file__).resolve().parent.parent / "asan.supp"
REPORT = "sanitizer"

# libstdc++ because charon does not need it: AddressSanitizer looks for its functions once, before there is a plugin
LIBRARIES = ("libasan.so", "libubsan.so", "libstdc++.so")


def _library(name):
    path = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
    return os.path.realpath(path)


def wrapper(folder):
    """What runs charon so that reports go to a folder; nothing if there are no sanitizers."""
    if not ENABLED:
        return []
    report = f"log_path={folder / REPORT}"
    # charon is built without frame pointers: only the slow unwinder gets through it to us
    asan = ["detect_leaks=1", "fast_unwind_on_malloc=0", "malloc_context_size=24", "exitcode=99", report]
    return [
        "env",
        "LD_PRELOAD=" + ":".join(_library(name) for name in LIBRARIES),
        "ASAN_OPTIONS=" + ":".join(asan),
        f"LSAN_OPTIONS=suppressions={SUPPRESSIONS}:print_suppressions=0",
        "UBSAN_OPTIONS=print_stacktrace=1",
    ]


def reports(folder):
    """Texts of what was found in the charon of a host."""
    # beside AddressSanitizer, the other one has no log of its own
    files = [*sorted(folder.glob(REPORT + ".*")), folder / "stderr.log"]
    texts = [path.read_text(errors="replace") for path in files if path.exists()]
    return [text for text in texts if "ERROR: " in text or "runtime error: " in text]
