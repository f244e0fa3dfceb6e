/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_server.h"

#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <system_error>

#include "thread_shell.h"

namespace btns
{

namespace
{

constexpr std::chrono::milliseconds stop_patience(2000);
/** Before another thread serves, after one has failed. */
constexpr std::chrono::milliseconds failure_pause(1000);

/** What the thread does that serves. */
void run_front(const std::shared_ptr<AppShared> &shared, const std::shared_ptr<AppFrontControl> &control)
{
	try
	{
		AppFront(shared, control).run();
	}
	catch (const std::exception &error)
	{
		shared->lines.add({"cannot serve: ", error.what()});
	}
	const std::lock_guard lock(shared->mutex);
	control->ended = true;
	if (control->left_behind)
	{
		shared->barred.remove(*control->left_behind);
	}
	shared->changed.notify_all();
}

} // namespace

AppServer::AppServer(const ChannelSource &source, const AppSocketFile &file, std::shared_ptr<AppCounters> counters,
					 const AppLimits &limits)
	: shared_(std::make_shared<AppShared>(source, std::move(counters), limits))
{
	std::promise<void> ready;
	std::future<void> is_ready = ready.get_future();
	{
		const NoSignals none;
		supervisor_ =
			std::thread([this, file, ready = std::move(ready)]() mutable { supervise(file, std::move(ready)); });
	}
	try
	{
		is_ready.get();
	}
	catch (...)
	{
		supervisor_.join();
		throw;
	}
}

AppServer::~AppServer()
{
	stop();
}

void AppServer::stop()
{
	if (!supervisor_.joinable())
	{
		return;
	}
	{
		const std::lock_guard lock(shared_->mutex);
		stop_ = true;
		shared_->changed.notify_all();
	}
	supervisor_.join();
	shared_->source.remove();
	shared_->latches.set(nullptr);
	shared_->lines.end();
}

bool AppServer::set_mode(mode_t mode)
{
	std::unique_lock lock(shared_->mutex);
	mode_ = mode;
	shared_->changed.notify_all();
	shared_->changed.wait(lock, [this] { return !mode_ || !supervisor_.joinable(); });
	return mode_set_;
}

void AppServer::supervise(const AppSocketFile &file, std::promise<void> ready)
{
	std::optional<AppSocket> socket;
	try
	{
		own_descriptors();
		socket.emplace(file);
		const auto own = network_namespace_of(socket->get());
		if (!own)
		{
			throw std::runtime_error("the kernel does not tell network namespaces apart");
		}
		shared_->own = *own;
		shared_->listener = socket->get();
		// so that leaving one behind cannot fail
		stuck_.reserve(shared_->limits.stuck + 1);
		start_front();
	}
	catch (const std::exception &)
	{
		ready.set_exception(std::current_exception());
		return;
	}
	ready.set_value();
	serve_until_stopped(*socket);
}

void AppServer::serve_until_stopped(AppSocket &socket)
{
	std::unique_lock lock(shared_->mutex);
	while (!stop_)
	{
		try
		{
			step(lock, socket);
		}
		catch (const std::exception &error)
		{
			shared_->lines.add({"cannot serve: ", error.what()});
			shared_->changed.wait_for(lock, failure_pause, [this] { return stop_; });
		}
	}
	finish(lock);
}

/** What is due, or wait for it. */
void AppServer::step(std::unique_lock<std::mutex> &lock, AppSocket &socket)
{
	std::erase_if(stuck_, [](const auto &control) { return control->ended; });
	if (const auto mode = std::exchange(mode_, std::nullopt))
	{
		mode_set_ = false;
		shared_->changed.notify_all();
		socket.set_mode(*mode);
		mode_set_ = true;
	}
	else if (control_ && control_->ended)
	{
		control_.reset();
		front_.join();
		shared_->changed.wait_for(lock, failure_pause, [this] { return stop_; });
	}
	else if (!control_ && stuck_.size() < shared_->limits.stuck)
	{
		start_front();
	}
	else if (!control_ || (control_->clients.empty() && control_->work == 0))
	{
		shared_->changed.wait(lock);
	}
	else
	{
		shared_->changed.wait_for(lock, std::chrono::milliseconds(shared_->limits.check_interval));
		if (is_stuck())
		{
			leave_behind();
		}
	}
}

/** End the thread that serves, or leave it behind. */
void AppServer::finish(std::unique_lock<std::mutex> &lock)
{
	shutdown(shared_->listener, SHUT_RDWR);
	if (control_)
	{
		control_->stop = true;
		eventfd_write(control_->wake.get(), 1);
		if (shared_->changed.wait_for(lock, stop_patience, [this] { return control_->ended; }))
		{
			control_.reset();
			front_.join();
		}
		else
		{
			leave_behind();
		}
	}
	stuck_.clear();
}

void AppServer::start_front()
{
	const auto control = std::make_shared<AppFrontControl>();
	control->wake = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (!control->wake)
	{
		throw std::system_error(errno, std::generic_category(), "eventfd");
	}
	front_ = std::thread([shared = shared_, control] { run_front(shared, control); });
	control_ = control;
	last_work_ = 0;
	same_work_ = 0;
}

/** Has the thread been doing the same for too long? To be called at intervals. */
bool AppServer::is_stuck()
{
	const uint64_t work = control_->work;
	same_work_ = work != 0 && work == last_work_ ? same_work_ + 1 : 0;
	last_work_ = work;
	return same_work_ >= shared_->limits.checks;
}

/** The next thread closes a client's latches. Without memory for that it is done when the stuck one comes back. */
void AppServer::add_orphan(const AppClientName &client) noexcept
{
	try
	{
		shared_->orphans.push_back(client);
	}
	catch (const std::bad_alloc &)
	{}
}

/** Somebody else serves, and the clients that hang on it begin anew. */
void AppServer::leave_behind()
{
	const uid_t user = control_->user;
	control_->stop = true;
	if (shared_->barred.add(user))
	{
		control_->left_behind = user;
	}
	for (const auto &[socket, client] : control_->clients)
	{
		shutdown(socket, SHUT_RDWR);
		// what this user has may make the next one stuck as well: that is left to the thread that is
		if (client.user != user)
		{
			add_orphan(client);
		}
	}
	stuck_.push_back(std::move(control_));
	front_.detach();
	stay_loaded();
	shared_->lines.add({"what user ", std::to_string(user), " has handed over cannot be asked or closed; ",
						stuck_.size() < shared_->limits.stuck ? "this user" : "everybody",
						" has to wait until it can"});
}

} // namespace btns
