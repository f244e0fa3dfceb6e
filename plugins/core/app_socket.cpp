/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace btns
{

namespace
{

/** Clients that have connected and were not accepted yet. */
constexpr int backlog = 64;

[[noreturn]] void fail(const std::string &path, const std::string &what, int error = 0)
{
	throw std::runtime_error(path + ": " + what + (error != 0 ? ": " + std::generic_category().message(error) : ""));
}

sockaddr_un address_of(const std::string &path)
{
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	// the last octet stays NUL
	if (path.size() < 2 || path.front() != '/' || path.back() == '/' || path.size() >= sizeof(address.sun_path))
	{
		fail(path, "the path of a socket is absolute, and not longer than " +
					   std::to_string(sizeof(address.sun_path) - 1) + " octets");
	}
	std::ranges::copy(path, address.sun_path);
	return address;
}

Descriptor new_socket(const std::string &path)
{
	Descriptor made(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (!made)
	{
		fail(path, "cannot make a socket", errno);
	}
	return made;
}

/** Has a socket of this name an end that somebody could connect to? */
bool is_served(const std::string &path)
{
	const sockaddr_un address = address_of(path);
	const Descriptor probe = new_socket(path);
	return connect(probe.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0 ||
		   errno != ECONNREFUSED;
}

} // namespace

AppSocket::AppSocket(const AppSocketFile &file) : path_(file.path)
{
	const sockaddr_un address = address_of(path_);
	const size_t slash = path_.rfind('/');
	name_ = path_.substr(slash + 1);
	const std::string folder = slash == 0 ? "/" : path_.substr(0, slash);
	folder_ = Descriptor(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
	struct stat info
	{};
	if (!folder_ || fstat(folder_.get(), &info) != 0)
	{
		fail(path_, "cannot open the folder", errno);
	}
	if ((info.st_uid != 0 && info.st_uid != geteuid()) || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
	{
		fail(path_, "others may write to the folder");
	}
	make_room();
	socket_ = new_socket(path_);
	// with this mode the file comes into being, whatever the umask
	if (fchmod(socket_.get(), 0) != 0 ||
		bind(socket_.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) != 0)
	{
		fail(path_, "cannot bind", errno);
	}
	bound_ = true;
	try
	{
		publish(file);
	}
	catch (...)
	{
		unlinkat(folder_.get(), name_.c_str(), 0);
		throw;
	}
}

AppSocket::~AppSocket()
{
	if (bound_ && is_mine())
	{
		unlinkat(folder_.get(), name_.c_str(), 0);
	}
}

void AppSocket::set_mode(mode_t mode)
{
	if (!is_mine() || fchmodat(folder_.get(), name_.c_str(), mode & 0777, 0) != 0)
	{
		fail(path_, "cannot set the mode", errno);
	}
}

/** Is the file still the one that was made? */
bool AppSocket::is_mine() const
{
	struct stat info
	{};
	return fstatat(folder_.get(), name_.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && info.st_dev == device_ &&
		   info.st_ino == inode_;
}

/** Remove what an earlier process has left. */
void AppSocket::make_room()
{
	struct stat info
	{};
	if (fstatat(folder_.get(), name_.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
	{
		if (errno != ENOENT)
		{
			fail(path_, "cannot look what is there", errno);
		}
		return;
	}
	if (!S_ISSOCK(info.st_mode))
	{
		fail(path_, "is there, and is no socket");
	}
	if (is_served(path_))
	{
		fail(path_, "somebody listens there");
	}
	if (unlinkat(folder_.get(), name_.c_str(), 0) != 0)
	{
		fail(path_, "cannot remove the old socket", errno);
	}
}

/** Listen, then let others in. */
void AppSocket::publish(const AppSocketFile &file)
{
	struct stat info
	{};
	if (fstatat(folder_.get(), name_.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISSOCK(info.st_mode))
	{
		fail(path_, "is not what was made");
	}
	device_ = info.st_dev;
	inode_ = info.st_ino;
	if (listen(socket_.get(), backlog) != 0)
	{
		fail(path_, "cannot listen", errno);
	}
	if (file.group != static_cast<gid_t>(-1) &&
		fchownat(folder_.get(), name_.c_str(), static_cast<uid_t>(-1), file.group, AT_SYMLINK_NOFOLLOW) != 0)
	{
		// charon keeps the right to do that only while it starts
		fail(path_, errno == EPERM ? "cannot set the group while running, restart charon" : "cannot set the group",
			 errno);
	}
	set_mode(file.mode);
}

} // namespace btns
