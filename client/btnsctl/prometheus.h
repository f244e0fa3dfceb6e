/* SPDX-License-Identifier: MIT */
/**
 * @file prometheus.h
 * The plugin's counters in the text format of Prometheus.
 */
#pragma once

#include "json.h"

namespace btnsctl
{

/**
 * @param stats	answer of btns-stats
 * @return		exposition format 0.0.4, with a newline at its end
 */
std::string prometheus(const Json &stats);

} // namespace btnsctl
