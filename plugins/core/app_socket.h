/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file app_socket.h
 * The socket that applications connect to, in the file system.
 */
#pragma once

#include <sys/types.h>

#include <string>

#include "descriptor.h"

namespace btns
{

/** Where the socket is, and who may connect to it. */
struct AppSocketFile
{
	/** absolute */
	std::string path;
	mode_t mode = 0660;
	/** -1 for that of the process */
	gid_t group = static_cast<gid_t>(-1);
};

/**
 * A listening AF_UNIX socket of type SOCK_SEQPACKET. Nobody can connect before mode and group are as they should be.
 * The file goes with the object, if it is still the same.
 *
 * The folder has to belong to root or to the process, and nobody else may write to it: so nobody can put something else
 * in the socket's place. A socket that nobody listens to is replaced; anything else that has the name stays, and is an
 * error.
 */
class AppSocket
{
public:
	/** Throws std::runtime_error with a sentence that says what is wrong. */
	explicit AppSocket(const AppSocketFile &file);
	~AppSocket();
	AppSocket(const AppSocket &) = delete;
	AppSocket &operator=(const AppSocket &) = delete;
	AppSocket(AppSocket &&) = delete;
	AppSocket &operator=(AppSocket &&) = delete;

	[[nodiscard]] int get() const { return socket_.get(); }
	/** Change who may connect. Throws as the constructor. */
	void set_mode(mode_t mode);

private:
	[[nodiscard]] bool is_mine() const;
	void make_room();
	void publish(const AppSocketFile &file);

	/** of the folder, and the name in it */
	Descriptor folder_;
	std::string name_;
	std::string path_;
	Descriptor socket_;
	/** of the file */
	dev_t device_ = 0;
	ino_t inode_ = 0;
	bool bound_ = false;
};

} // namespace btns
