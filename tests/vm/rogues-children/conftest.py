# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""The gateway, Alice and Mallory."""

from harness.office import office  # noqa: F401
