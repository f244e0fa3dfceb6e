# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Stock charons in network namespaces, and the means to watch them."""
