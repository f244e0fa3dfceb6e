/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file abi_config.cpp
 * The functions of core.h that are about options, the configuration and the PAD.
 */
#include <algorithm>

#include "abi.h"
#include "pad.h"

using btns::guard;

namespace
{

bool copy_settings(const btns_options_t *options, btns::Settings &out)
{
	if (options == nullptr || (options->reserve == nullptr && options->reserve_count > 0))
	{
		return false;
	}
	out.keys = options->keys;
	out.max_peers = options->max_peers;
	out.max_peers_per_source = options->max_peers_per_source;
	out.max_children = options->max_children;
	out.max_half_open = options->max_half_open;
	out.max_half_open_per_source = options->max_half_open_per_source;
	out.key_rates = {options->key_time, options->key_time_per_source};
	out.child_rate = options->child_rate;
	out.idle_timeout = options->idle_timeout;
	out.childless_timeout = options->childless_timeout;
	out.ikesa_limit = options->ikesa_limit;
	out.log_rate = options->log_rate;
	out.keep_certificates = options->keep_certificates;
	std::vector<btns::Range> reserve;
	for (const btns_range_t &item : std::span(options->reserve, options->reserve_count))
	{
		const auto range = btns::to_range(item);
		if (!range)
		{
			return false;
		}
		reserve.push_back(*range);
	}
	out.reserve = btns::RangeSet(std::move(reserve));
	return true;
}

/** Strings as an array of pointers to them. */
std::vector<const char *> pointers_to(const std::vector<std::string> &texts)
{
	std::vector<const char *> pointers;
	pointers.reserve(texts.size());
	for (const std::string &text : texts)
	{
		pointers.push_back(text.c_str());
	}
	return pointers;
}

void show_entry(const btns::PadConfig &config, size_t i, btns_pad_cb_t cb, void *user)
{
	const btns::PadEntry entry = config.entries()[i];
	std::vector<std::string> reserves;
	for (const btns::Range &range : entry.reserves())
	{
		reserves.push_back(btns::to_text(range));
	}
	std::vector<std::string> texts;
	std::vector<btns_severity_t> severities;
	for (const btns::Finding &finding : config.findings(i))
	{
		texts.push_back(finding.text);
		severities.push_back(finding.severity);
	}
	const auto reserve_pointers = pointers_to(reserves);
	const auto text_pointers = pointers_to(texts);

	btns_pad_info_t info{};
	info.name = entry.name.c_str();
	info.flag = entry.flag.kind;
	std::ranges::copy(entry.flag.key, info.key);
	info.usable = config.is_usable(i);
	info.reserves = reserve_pointers.data();
	info.reserve_count = reserve_pointers.size();
	info.findings = text_pointers.data();
	info.severities = severities.data();
	info.finding_count = text_pointers.size();
	cb(user, &info);
}

} // namespace

extern "C" {

void btns_options_default(btns_options_t *out)
{
	if (out == nullptr)
	{
		return;
	}
	*out = {};
	out->keys.rsa_min = 2048;
	out->keys.types = 1U << BTNS_KEY_RSA | 1U << BTNS_KEY_ECDSA | 1U << BTNS_KEY_ED25519 | 1U << BTNS_KEY_ED448;
	out->keys.encodings = BTNS_ENCODING_BIT_X509 | BTNS_ENCODING_BIT_PKCS1 | BTNS_ENCODING_BIT_SPKI;
	out->max_peers = 1000;
	out->max_peers_per_source = 16;
	out->max_children = 16;
	out->max_half_open = 500;
	out->max_half_open_per_source = 16;
	out->key_time = 250;
	out->key_time_per_source = 50;
	out->child_rate = 60;
	out->idle_timeout = 3600;
	out->childless_timeout = 60;
	out->log_rate = 5;
	out->keep_certificates = false;
}

void btns_null_options_default(btns_null_options_t *out)
{
	if (out != nullptr)
	{
		*out = {};
		out->max_peers = 250;
		out->max_peers_per_source = 4;
	}
}

btns_status_t btns_null_start(btns_core_t *core, const btns_null_options_t *options)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || options == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 core->core.set_null(btns::NullSettings{options->max_peers, options->max_peers_per_source});
					 return BTNS_STATUS_OK;
				 });
}

void btns_null_stop(btns_core_t *core)
{
	guard(__func__,
		  [&]
		  {
			  if (core != nullptr)
			  {
				  core->core.set_null(std::nullopt);
			  }
			  return BTNS_STATUS_OK;
		  });
}

bool btns_null_is_on(btns_core_t *core)
{
	bool on = false;
	guard(__func__,
		  [&]
		  {
			  on = core != nullptr && core->core.settings()->null.has_value();
			  return BTNS_STATUS_OK;
		  });
	return on;
}

btns_core_t *btns_core_create(const btns_options_t *options)
{
	std::unique_ptr<btns_core_t> core;
	guard(__func__,
		  [&]
		  {
			  btns::Settings settings;
			  if (!copy_settings(options, settings))
			  {
				  return BTNS_STATUS_INVALID;
			  }
			  core = std::make_unique<btns_core_t>(std::move(settings));
			  return BTNS_STATUS_OK;
		  });
	return core.release();
}

void btns_core_destroy(btns_core_t *core)
{
	const std::unique_ptr<btns_core_t> owned(core);
}

btns_status_t btns_core_configure(btns_core_t *core, const btns_options_t *options)
{
	return guard(__func__,
				 [&]
				 {
					 btns::Settings settings;
					 if (core == nullptr || !copy_settings(options, settings))
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 core->core.configure(std::move(settings));
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_range_parse(const char *text, btns_range_t *out)
{
	if (out == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*out = {};
	return guard(__func__,
				 [&]
				 {
					 if (text == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const auto range = btns::parse_range(text);
					 if (!range)
					 {
						 return BTNS_STATUS_REFUSED;
					 }
					 *out = btns::to_abi(*range);
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_ts_parse(const char *text, btns_ts_t *out)
{
	if (out == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*out = {};
	return guard(__func__,
				 [&]
				 {
					 if (text == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const auto selector = btns::parse_selector(text);
					 if (!selector)
					 {
						 return BTNS_STATUS_REFUSED;
					 }
					 *out = *selector;
					 return BTNS_STATUS_OK;
				 });
}

btns_flag_t btns_entry_flag(const btns_entry_t *entry, uint8_t key[BTNS_FINGERPRINT_LEN])
{
	btns::Flag flag{BTNS_FLAG_BROKEN, {}};
	guard(__func__,
		  [&]
		  {
			  if (entry == nullptr || (entry->rounds == nullptr && entry->round_count > 0))
			  {
				  return BTNS_STATUS_INVALID;
			  }
			  flag = btns::read_flag(*entry);
			  return BTNS_STATUS_OK;
		  });
	if (key != nullptr)
	{
		std::ranges::copy(flag.key, key);
	}
	return flag.kind;
}

btns_config_t *btns_config_begin(btns_core_t *core)
{
	std::unique_ptr<btns_config_t> config;
	guard(__func__,
		  [&]
		  {
			  if (core == nullptr)
			  {
				  return BTNS_STATUS_INVALID;
			  }
			  config = std::make_unique<btns_config_t>();
			  return BTNS_STATUS_OK;
		  });
	return config.release();
}

btns_status_t btns_config_add(btns_config_t *config, const btns_entry_t *entry)
{
	return guard(__func__,
				 [&]
				 {
					 if (config == nullptr || entry == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 auto copy = btns::copy_entry(*entry);
					 if (!copy)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 config->draft.entries.append(*copy);
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_config_own_address(btns_config_t *config, const btns_addr_t *addr)
{
	return guard(__func__,
				 [&]
				 {
					 const auto address = addr != nullptr ? btns::to_address(*addr) : std::nullopt;
					 if (config == nullptr || !address)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 config->draft.own.push_back(btns::host_range(*address));
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_config_commit(btns_core_t *core, btns_config_t *config)
{
	const std::unique_ptr<btns_config_t> owned(config);
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || owned == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 core->core.commit(std::move(owned->draft));
					 return BTNS_STATUS_OK;
				 });
}

void btns_config_abort(btns_config_t *config)
{
	const std::unique_ptr<btns_config_t> owned(config);
}

bool btns_config_usable(btns_core_t *core, size_t i)
{
	bool usable = false;
	guard(__func__,
		  [&]
		  {
			  usable = core != nullptr && core->core.pad()->is_usable(i);
			  return BTNS_STATUS_OK;
		  });
	return usable;
}

btns_status_t btns_config_each(btns_core_t *core, btns_pad_cb_t cb, void *user)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || cb == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const auto config = core->core.pad();
					 for (size_t i = 0; i < config->entries().size(); i++)
					 {
						 show_entry(*config, i, cb, user);
					 }
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_config_new_findings(btns_core_t *core, btns_finding_cb_t cb, void *user)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || cb == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 for (const auto &[name, finding] : core->core.new_findings())
					 {
						 cb(user, name.c_str(), finding.severity, finding.text.c_str());
					 }
					 return BTNS_STATUS_OK;
				 });
}

btns_names_t *btns_names_create(void)
{
	std::unique_ptr<btns_names_t> names;
	guard(__func__,
		  [&]
		  {
			  names = std::make_unique<btns_names_t>();
			  return BTNS_STATUS_OK;
		  });
	return names.release();
}

btns_status_t btns_names_add(btns_names_t *names, uint32_t entry, unsigned type, btns_bytes_t identity)
{
	return guard(__func__,
				 [&]
				 {
					 if (names == nullptr || (identity.ptr == nullptr && identity.len > 0))
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 names->index.add(entry, type, {identity.ptr, identity.len});
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_names_seal(btns_names_t *names)
{
	return guard(__func__,
				 [&]
				 {
					 if (names == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 names->index.seal();
					 return BTNS_STATUS_OK;
				 });
}

void btns_names_destroy(btns_names_t *names)
{
	const std::unique_ptr<btns_names_t> owned(names);
}

bool btns_names_find(const btns_names_t *names, unsigned type, btns_bytes_t claim, bool relaxed, btns_name_cb_t cb,
					 void *user)
{
	bool found = true;
	guard(__func__,
		  [&]
		  {
			  if (names == nullptr || cb == nullptr || (claim.ptr == nullptr && claim.len > 0))
			  {
				  return BTNS_STATUS_INVALID;
			  }
			  found = names->index.find(type, {claim.ptr, claim.len}, relaxed,
										[&](uint32_t entry) { return cb(user, entry); });
			  return BTNS_STATUS_OK;
		  });
	return found;
}

btns_status_t btns_pad_lookup(const btns_claim_t *claim, const btns_candidate_t *candidates, size_t count,
							  size_t *order, btns_verdict_t *verdict)
{
	if (verdict == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*verdict = {BTNS_CHOICE_NONE, BTNS_REASON_INTERNAL, 0};
	return btns::guard_reason(__func__, &verdict->reason,
							  [&]
							  {
								  if (claim == nullptr || ((candidates == nullptr || order == nullptr) && count > 0))
								  {
									  return BTNS_STATUS_INVALID;
								  }
								  const auto found = btns::pad_lookup(*claim, {candidates, count});
								  std::ranges::copy(found.order, order);
								  *verdict = {found.choice, found.reason, found.order.size()};
								  return BTNS_STATUS_OK;
							  });
}

} // extern "C"
