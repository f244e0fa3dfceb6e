/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "latch_enforcer.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "thread_shell.h"

namespace btns
{

namespace
{

using Lock = std::unique_lock<std::mutex>;

/** When there is no memory for a socket to the kernel. */
constexpr std::chrono::milliseconds again(10);

/** Sets a flag when a thread's work is done. */
class Ending
{
public:
	explicit Ending(std::atomic<bool> &ended) : ended_(ended) {}
	~Ending() { ended_ = true; }
	Ending(const Ending &) = delete;
	Ending &operator=(const Ending &) = delete;
	Ending(Ending &&) = delete;
	Ending &operator=(Ending &&) = delete;

private:
	std::atomic<bool> &ended_;
};

} // namespace

void LatchPending::begin(Item &item) noexcept
{
	if (!item.given_up_)
	{
		under_way_.splice(under_way_.end(), item.node_);
	}
}

void LatchPending::end(Item &item) noexcept
{
	if (item.node_.empty())
	{
		const auto found = std::find(under_way_.begin(), under_way_.end(), &item);
		item.node_.splice(item.node_.begin(), under_way_, found);
	}
	item.given_up_ = false;
	changed.notify_all();
}

bool LatchPending::wait(Lock &lock, std::chrono::milliseconds patience)
{
	const NoCancel none;
	if (changed.wait_for(lock, patience, [this] { return under_way_.empty(); }))
	{
		return true;
	}
	while (!under_way_.empty())
	{
		Item &item = *under_way_.front();
		item.node_.splice(item.node_.begin(), under_way_, under_way_.begin());
		item.given_up_ = true;
	}
	return false;
}

LatchThreads::~LatchThreads()
{
	if (!reap())
	{
		stay_loaded();
		for (Thread &left : threads_)
		{
			left.thread.detach();
		}
	}
}

bool LatchThreads::reap() noexcept
{
	for (auto next = threads_.begin(); next != threads_.end();)
	{
		if (*next->ended)
		{
			next->thread.join();
			next = threads_.erase(next);
		}
		else
		{
			next++;
		}
	}
	return threads_.empty();
}

struct ResetLane::State
{
	explicit State(std::shared_ptr<LatchPending> in) : pending(std::move(in)) {}

	const std::shared_ptr<LatchPending> pending;
	/* for LatchPending::mutex */
	std::list<Target> queue;
	LatchPending::Item item;
	bool running = false;
};

ResetLane::ResetLane(std::shared_ptr<LatchPending> pending) : state_(std::make_shared<State>(std::move(pending)))
{
	// so that nothing has to be allocated when it is needed
	thread_.emplace_back();
}

ResetLane::~ResetLane()
{
	if (!thread_.empty() && thread_.front().thread.joinable())
	{
		stay_loaded();
		thread_.front().thread.detach();
	}
}

void ResetLane::reset(Node &node) noexcept
{
	const Lock lock(state_->pending->mutex);
	state_->queue.splice(state_->queue.end(), node);
	state_->pending->begin(state_->item);
	if (state_->running || thread_.empty())
	{
		return;
	}
	if (thread_.front().thread.joinable())
	{
		// it has done all that there was, and needs no lock any more
		thread_.front().thread.join();
	}
	try
	{
		const NoSignals none;
		auto ended = std::make_shared<std::atomic<bool>>(false);
		thread_.front().ended = ended;
		thread_.front().thread = std::thread(
			[state = state_, ended]
			{
				const Ending at_last(*ended);
				run(*state);
			});
		state_->running = true;
	}
	catch (const std::exception &)
	{
		// help() does it
	}
}

void ResetLane::help() noexcept
{
	try
	{
		Lock lock(state_->pending->mutex);
		if (state_->running || state_->queue.empty())
		{
			return;
		}
		lock.unlock();
		SocketDiag diag;
		lock.lock();
		if (!std::exchange(state_->running, true))
		{
			lock.unlock();
			reset_all(*state_, diag);
		}
	}
	catch (const std::exception &)
	{
		// whoever helps next
	}
}

bool ResetLane::hand_over(LatchThreads &threads) noexcept
{
	const Lock lock(state_->pending->mutex);
	if (!state_->running && !state_->queue.empty())
	{
		return false;
	}
	if (!thread_.empty() && thread_.front().thread.joinable())
	{
		threads.add(thread_);
	}
	thread_.clear();
	return true;
}

void ResetLane::run(State &state) noexcept
{
	std::optional<SocketDiag> diag;
	for (bool own = false; !diag;)
	{
		try
		{
			if (!own)
			{
				own_descriptors();
				own = true;
			}
			diag.emplace();
		}
		catch (const std::exception &)
		{
			std::this_thread::sleep_for(again);
		}
	}
	reset_all(state, *diag);
}

void ResetLane::reset_all(State &state, SocketDiag &diag) noexcept
{
	Lock lock(state.pending->mutex);
	while (!state.queue.empty())
	{
		const Target target = state.queue.front();
		state.queue.pop_front();
		lock.unlock();
		try
		{
			if (!diag.reset(target.flow, target.cookie, target.interface) && target.all)
			{
				diag.reset_all(target.flow);
			}
		}
		catch (const std::bad_alloc &)
		{
			// what is left from another daemon
		}
		lock.lock();
	}
	state.running = false;
	state.pending->end(state.item);
}

struct KeptSocket::State
{
	State(int socket, std::shared_ptr<LatchPending> in)
		: pending(std::move(in)), descriptor(fcntl(socket, F_DUPFD_CLOEXEC, 0))
	{
		if (!descriptor)
		{
			throw std::system_error(errno, std::generic_category(), "dup");
		}
	}

	const std::shared_ptr<LatchPending> pending;
	/** the thread's; it is closed there, with the thread's descriptors */
	Descriptor descriptor;
	/* for LatchPending::mutex */
	std::condition_variable wake;
	std::optional<SocketPolicy> policy;
	LatchPending::Item item;
	bool end = false;
};

KeptSocket::KeptSocket(int socket, std::shared_ptr<LatchPending> pending)
	: state_(std::make_shared<State>(socket, std::move(pending)))
{
	thread_.emplace_back();
	const auto ended = std::make_shared<std::atomic<bool>>(false);
	thread_.front().ended = ended;
	const NoSignals none;
	thread_.front().thread = std::thread(
		[state = state_, ended]
		{
			const Ending at_last(*ended);
			run(*state);
		});
}

KeptSocket::~KeptSocket()
{
	if (!thread_.empty() && thread_.front().thread.joinable())
	{
		stay_loaded();
		thread_.front().thread.detach();
	}
}

void KeptSocket::set(const SocketPolicy &policy) noexcept
{
	const Lock lock(state_->pending->mutex);
	state_->policy = policy;
	state_->pending->begin(state_->item);
	state_->wake.notify_all();
}

void KeptSocket::hand_over(LatchThreads &threads) noexcept
{
	{
		const Lock lock(state_->pending->mutex);
		state_->end = true;
		state_->wake.notify_all();
	}
	threads.add(thread_);
}

void KeptSocket::run(State &state) noexcept
{
	Lock lock(state.pending->mutex);
	while (!state.end)
	{
		if (!state.policy)
		{
			state.wake.wait(lock);
			continue;
		}
		SocketPolicy policy = *std::exchange(state.policy, std::nullopt);
		lock.unlock();
		if (!set_socket_policy(state.descriptor.get(), policy))
		{
			policy.block = true;
			set_socket_policy(state.descriptor.get(), policy);
		}
		lock.lock();
		if (!state.policy)
		{
			state.pending->end(state.item);
		}
	}
	state.pending->end(state.item);
	lock.unlock();
	// which waits if the application wants it to (SO_LINGER)
	state.descriptor.reset();
}

} // namespace btns
