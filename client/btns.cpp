/* SPDX-License-Identifier: MIT */
#include "btns.h"

#include <cxxabi.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <utility>

#include "latching.h"

struct btns_t
{
	explicit btns_t(const char *path) : connection(std::make_shared<btns::client::Connection>(path)) {}
	~btns_t() { connection->close(); }
	btns_t(const btns_t &) = delete;
	btns_t &operator=(const btns_t &) = delete;
	btns_t(btns_t &&) = delete;
	btns_t &operator=(btns_t &&) = delete;

	/** latches have it, too */
	std::shared_ptr<btns::client::Connection> connection;
};

struct btns_channel_t
{
	explicit btns_channel_t(btns::client::Facts found) : facts(std::move(found)) {}

	btns::client::Facts facts;
};

struct btns_latch_t
{
	btns_latch_t(std::shared_ptr<btns::client::Connection> made_by, uint32_t is, btns::client::LatchFacts known)
		: connection(std::move(made_by)), number(is), facts(std::move(known))
	{}
	~btns_latch_t() { connection->hear_no_more(number); }
	btns_latch_t(const btns_latch_t &) = delete;
	btns_latch_t &operator=(const btns_latch_t &) = delete;
	btns_latch_t(btns_latch_t &&) = delete;
	btns_latch_t &operator=(btns_latch_t &&) = delete;

	const std::shared_ptr<btns::client::Connection> connection;
	const uint32_t number;
	/** for the following */
	std::mutex mutex;
	/** as last heard */
	btns::client::LatchFacts facts;
};

namespace
{

using btns::client::Binding;
using btns::client::ConnectError;
using btns::client::Error;
using btns::client::Facts;
using btns::client::Latched;
using btns::client::LatchFacts;

constexpr std::array sentences{
	"no error",
	"invalid argument",
	"out of memory or descriptors",
	"no daemon listens on the socket: charon does not run, or the socket is not enabled",
	"no permission to connect to the daemon's socket",
	"the daemon has as many clients as it takes",
	"the daemon did not answer, or not as it should",
	"no connected TCP, UDP, SCTP or DCCP socket over IPv4 or IPv6 of the daemon's network namespace",
	"no SA protects the connection",
	"several peers' SAs could protect the connection",
	"not available for this channel",
	"the buffer is too short",
	"SAs of several peers cover the connection, or its latch has broken",
	"the SAs are not what was asked for",
	"no SA came in time",
	"the daemon has no latches, or not such ones",
	"another latch has the connection",
	"the kernel does not take the latch's policy",
	"connect() failed",
	"connect() goes on",
};
static_assert(sentences.size() == BTNS_EINPROGRESS + 1);

constexpr std::array reasons{
	"no reason was given",
	"an SA of somebody else, or of another quality, covers the connection, or a policy takes it past its SAs",
	"the peer is dead",
	"the conflicting SAs have gone",
	"it was released, or its owner has gone",
	"the socket was closed",
	"an administrator has closed it",
	"no SA came in time, or what came is not what was asked for",
	"the daemon ends, or latching does",
};
static_assert(reasons.size() == BTNS_LATCH_REASON_SHUTDOWN + 1);

/** Octets of the first versions of structs: a caller that knows less does not exist. */
constexpr size_t info_min = sizeof(btns_info_t);
constexpr size_t event_min = offsetof(btns_event_t, latch);
constexpr size_t latch_info_min = sizeof(btns_latch_info_t);

/** Run a function of the library; what it throws is an error. Cancellation of the thread goes on. */
template <typename Body>
int guard(Body &&body)
{
	try
	{
		body();
		return BTNS_OK;
	}
	catch (abi::__forced_unwind &)
	{
		throw;
	}
	catch (const Error &error)
	{
		return error.code;
	}
	catch (const ConnectError &error)
	{
		errno = error.error;
		return BTNS_ECONNECT;
	}
	catch (const std::bad_alloc &)
	{
		return BTNS_ENOMEM;
	}
	catch (...)
	{
		return BTNS_EDAEMON;
	}
}

void require(bool holds)
{
	if (!holds)
	{
		throw Error{BTNS_EINVAL};
	}
}

/** Give out as much of a struct as the caller knows, and zeros for what only the caller knows. */
template <typename Struct>
void give(const Struct &from, Struct *to)
{
	const size_t size = to->size;
	std::memcpy(static_cast<void *>(to), &from, std::min(size, sizeof(from)));
	if (size > sizeof(from))
	{
		std::memset(reinterpret_cast<uint8_t *>(to) + sizeof(from), 0, size - sizeof(from));
	}
	to->size = size;
}

/** Give out octets, or how many there are. */
void give(std::span<const uint8_t> prefix, std::span<const uint8_t> octets, uint8_t *out, size_t *len)
{
	const size_t size = *len;
	*len = prefix.size() + octets.size();
	if (size < *len)
	{
		throw Error{BTNS_ESPACE};
	}
	std::copy(octets.begin(), octets.end(), std::copy(prefix.begin(), prefix.end(), out));
}

/** The number of a type that an application has given: it may be none of the enumerators, and is not read as one. */
unsigned number_of(const btns_binding_type_t &type)
{
	unsigned number = 0;
	static_assert(sizeof(number) == sizeof(type));
	std::memcpy(&number, &type, sizeof(number));
	return number;
}

/** The binding of a type, NULL if there is no such type. */
const Binding *find_binding(const Facts &facts, unsigned type)
{
	switch (type)
	{
	case BTNS_ENDPOINTS:
		return &facts.endpoints;
	case BTNS_UNIQUE:
		return &facts.unique;
	}
	return nullptr;
}

/** Give out a latch that was made, or know of it no more. */
void give_latch(btns_t *btns, Latched latched, btns_latch_t **out)
{
	if (out == nullptr)
	{
		btns->connection->hear_no_more(latched.number);
		return;
	}
	try
	{
		*out = new btns_latch_t(btns->connection, latched.number, std::move(latched.facts));
	}
	catch (...)
	{
		btns->connection->hear_no_more(latched.number);
		throw;
	}
}

/** As it is now. A latch that the daemon knows no more is closed. */
LatchFacts inquire(btns_latch_t &latch)
{
	std::optional<LatchFacts> now;
	try
	{
		now = latch.connection->latch_inquire(latch.number);
	}
	catch (const Error &error)
	{
		if (error.code != BTNS_EUNAVAILABLE)
		{
			throw;
		}
	}
	const std::lock_guard lock(latch.mutex);
	if (now)
	{
		latch.facts = std::move(*now);
	}
	else
	{
		latch.facts.info.state = BTNS_LATCH_CLOSED;
	}
	return latch.facts;
}

void require_protected(const Facts &facts)
{
	if (facts.info.protection != BTNS_PROTECTED)
	{
		throw Error{facts.info.protection == BTNS_AMBIGUOUS ? BTNS_EAMBIGUOUS : BTNS_EUNPROTECTED};
	}
}

/** Give out octets that are known of a channel's peer. */
int give_fact(const btns_channel_t *channel, std::vector<uint8_t> Facts::*fact, uint8_t *out, size_t *len)
{
	return guard(
		[&]
		{
			require(len != nullptr);
			const size_t size = std::exchange(*len, 0);
			require(channel != nullptr && (out != nullptr || size == 0));
			require_protected(channel->facts);
			const std::vector<uint8_t> &octets = channel->facts.*fact;
			if (octets.empty())
			{
				throw Error{BTNS_EUNAVAILABLE};
			}
			*len = size;
			give({}, octets, out, len);
		});
}

} // namespace

const char *btns_strerror(int error)
{
	return error >= 0 && static_cast<size_t>(error) < sentences.size() ? sentences.at(static_cast<size_t>(error))
																	   : "unknown error";
}

int btns_open(btns_t **out, const char *path)
{
	if (out == nullptr)
	{
		return BTNS_EINVAL;
	}
	*out = nullptr;
	return guard([&] { *out = new btns_t(path); });
}

void btns_close(btns_t *btns)
{
	delete btns;
}

int btns_find(btns_t *btns, int fd, btns_channel_t **out)
{
	if (out != nullptr)
	{
		*out = nullptr;
	}
	return guard(
		[&]
		{
			require(btns != nullptr && out != nullptr && fd >= 0);
			*out = new btns_channel_t(btns->connection->find(fd));
		});
}

void btns_channel_free(btns_channel_t *channel)
{
	delete channel;
}

int btns_inquire(const btns_channel_t *channel, btns_info_t *info)
{
	if (channel == nullptr || info == nullptr || info->size < info_min)
	{
		return BTNS_EINVAL;
	}
	give(channel->facts.info, info);
	return BTNS_OK;
}

const char *btns_channel_reason(const btns_channel_t *channel)
{
	return channel != nullptr ? channel->facts.reason.c_str() : "";
}

const char *btns_binding_name(btns_binding_type_t type)
{
	switch (number_of(type))
	{
	case BTNS_ENDPOINTS:
		return "ipsec-ikev2-endpoints-sha256";
	case BTNS_UNIQUE:
		return "ipsec-ikev2-unique-sha256";
	}
	return nullptr;
}

int btns_binding_types(const btns_channel_t *channel, btns_binding_type_t *types, size_t *count)
{
	if (channel == nullptr || count == nullptr || (types == nullptr && *count > 0))
	{
		return BTNS_EINVAL;
	}
	const size_t size = *count;
	*count = 0;
	for (const btns_binding_type_t type : {BTNS_ENDPOINTS, BTNS_UNIQUE})
	{
		if (find_binding(channel->facts, number_of(type))->value)
		{
			if (*count < size)
			{
				types[*count] = type;
			}
			++*count;
		}
	}
	return *count <= size ? BTNS_OK : BTNS_ESPACE;
}

int btns_binding(const btns_channel_t *channel, btns_binding_type_t type, btns_binding_form_t form, uint8_t *out,
				 size_t *len)
{
	return guard(
		[&]
		{
			require(len != nullptr);
			const size_t size = std::exchange(*len, 0);
			require(channel != nullptr && (out != nullptr || size == 0) &&
					(form == BTNS_BARE || form == BTNS_PREFIXED));
			const Binding *binding = find_binding(channel->facts, number_of(type));
			require(binding != nullptr);
			require_protected(channel->facts);
			if (!binding->value)
			{
				throw Error{BTNS_EUNAVAILABLE};
			}
			std::string prefix;
			if (form == BTNS_PREFIXED)
			{
				prefix.append(btns_binding_name(type)).append(":");
			}
			*len = size;
			give(std::span(reinterpret_cast<const uint8_t *>(prefix.data()), prefix.size()), *binding->value, out, len);
		});
}

const char *btns_binding_reason(const btns_channel_t *channel, btns_binding_type_t type)
{
	if (channel == nullptr)
	{
		return "";
	}
	const Facts &facts = channel->facts;
	const Binding *binding = find_binding(facts, number_of(type));
	if (binding == nullptr)
	{
		return "there is no such type of binding";
	}
	return facts.info.protection != BTNS_PROTECTED ? facts.reason.c_str() : binding->reason.c_str();
}

int btns_peer_key(const btns_channel_t *channel, uint8_t *out, size_t *len)
{
	return give_fact(channel, &Facts::peer_key, out, len);
}

int btns_peer_certificate(const btns_channel_t *channel, uint8_t *out, size_t *len)
{
	return give_fact(channel, &Facts::peer_certificate, out, len);
}

int btns_trust_anchor(const btns_channel_t *channel, uint8_t *out, size_t *len)
{
	return give_fact(channel, &Facts::trust_anchor, out, len);
}

int btns_watch(btns_t *btns, int fd, btns_channel_t **out, uint32_t *watch)
{
	if (out != nullptr)
	{
		*out = nullptr;
	}
	return guard(
		[&]
		{
			require(btns != nullptr && watch != nullptr && fd >= 0);
			// first, so that no watch is there that the caller does not know of
			auto channel = std::make_unique<btns_channel_t>(Facts{});
			channel->facts = btns->connection->watch(fd, *watch);
			if (out != nullptr)
			{
				*out = channel.release();
			}
		});
}

int btns_unwatch(btns_t *btns, uint32_t watch)
{
	return guard(
		[&]
		{
			require(btns != nullptr);
			btns->connection->unwatch(watch);
		});
}

int btns_event_fd(const btns_t *btns)
{
	return btns != nullptr ? btns->connection->event_fd() : -1;
}

int btns_next_event(btns_t *btns, btns_event_t *event)
{
	return guard(
		[&]
		{
			require(btns != nullptr && event != nullptr && event->size >= event_min);
			const auto next = btns->connection->next_event();
			if (!next)
			{
				throw Error{BTNS_EUNAVAILABLE};
			}
			btns_event_t out = BTNS_EVENT_INIT;
			out.type = next->type;
			out.watch = next->watch;
			out.latch = next->latch;
			out.born = next->born;
			out.reason = next->reason;
			give(out, event);
		});
}

int btns_latch_connect(btns_t *btns, int fd, const struct sockaddr *address, socklen_t length,
					   const btns_latch_options_t *options, btns_latch_t **out)
{
	if (out != nullptr)
	{
		*out = nullptr;
	}
	int in_progress = 0;
	const int error = guard(
		[&]
		{
			require(btns != nullptr && fd >= 0 && address != nullptr && length >= sizeof(*address));
			Latched latched = btns::client::latch_connect(*btns->connection, fd, address, length,
														  btns::client::checked_options(options));
			in_progress = latched.in_progress;
			give_latch(btns, std::move(latched), out);
		});
	return error == BTNS_OK && in_progress != 0 ? BTNS_EINPROGRESS : error;
}

int btns_latch_listen(btns_t *btns, int fd, const btns_latch_options_t *options, btns_latch_t **out)
{
	if (out != nullptr)
	{
		*out = nullptr;
	}
	return guard(
		[&]
		{
			require(btns != nullptr && fd >= 0);
			give_latch(btns, btns::client::latch_listen(*btns->connection, fd, btns::client::checked_options(options)),
					   out);
		});
}

int btns_latch_accepted(btns_t *btns, int fd, const btns_latch_options_t *options, btns_latch_t **out)
{
	if (out != nullptr)
	{
		*out = nullptr;
	}
	return guard(
		[&]
		{
			require(btns != nullptr && fd >= 0);
			give_latch(btns,
					   btns::client::latch_accepted(*btns->connection, fd, btns::client::checked_options(options),
													btns::client::OnFailure::keep),
					   out);
		});
}

int btns_latch_find(btns_t *btns, int fd, btns_latch_t **out)
{
	if (out != nullptr)
	{
		*out = nullptr;
	}
	return guard(
		[&]
		{
			require(btns != nullptr && fd >= 0);
			LatchFacts facts = btns->connection->latch_find(fd);
			const uint32_t number = facts.number;
			give_latch(btns, {number, std::move(facts), 0}, out);
		});
}

void btns_latch_free(btns_latch_t *latch)
{
	delete latch;
}

int btns_latch_release(btns_latch_t *latch, int fd)
{
	return guard(
		[&]
		{
			require(latch != nullptr && fd >= -1);
			latch->connection->latch_release(latch->number, fd);
			const std::lock_guard lock(latch->mutex);
			latch->facts.info.state = BTNS_LATCH_CLOSED;
			latch->facts.info.reason = BTNS_LATCH_REASON_RELEASED;
		});
}

uint32_t btns_latch_number(const btns_latch_t *latch)
{
	return latch != nullptr ? latch->number : 0;
}

int btns_latch_inquire(btns_latch_t *latch, btns_latch_info_t *info)
{
	return guard(
		[&]
		{
			require(latch != nullptr && info != nullptr && info->size >= latch_info_min);
			give(inquire(*latch).info, info);
		});
}

int btns_latch_channel(btns_latch_t *latch, btns_channel_t **out)
{
	if (out != nullptr)
	{
		*out = nullptr;
	}
	return guard(
		[&]
		{
			require(latch != nullptr && out != nullptr);
			std::optional<Facts> channel;
			{
				const std::lock_guard lock(latch->mutex);
				channel = latch->facts.channel;
			}
			if (!channel)
			{
				channel = inquire(*latch).channel;
			}
			if (!channel)
			{
				throw Error{BTNS_EUNAVAILABLE};
			}
			*out = new btns_channel_t(std::move(*channel));
		});
}

const char *btns_latch_reason(int reason)
{
	return reason >= 0 && static_cast<size_t>(reason) < reasons.size() ? reasons.at(static_cast<size_t>(reason))
																	   : "unknown reason";
}
