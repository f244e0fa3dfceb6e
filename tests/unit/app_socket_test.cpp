/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_socket.h"

#include <sys/stat.h>
#include <sys/un.h>

#include <fstream>

#include "app_world.h"

namespace
{

using btns::AppSocket;
using btns::AppSocketFile;
using btns::Descriptor;
using btns::test::Folder;

constexpr auto no_group = static_cast<gid_t>(-1);

AppSocketFile at(const std::string &path, mode_t mode = 0660, gid_t group = no_group)
{
	return {path, mode, group};
}

/** What is wrong with it, empty if nothing is. */
std::string refusal(const AppSocketFile &file)
{
	try
	{
		const AppSocket made(file);
		return "";
	}
	catch (const std::runtime_error &error)
	{
		return error.what();
	}
}

struct stat look(const std::string &path)
{
	struct stat info
	{};
	EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
	return info;
}

bool is_there(const std::string &path)
{
	return std::filesystem::exists(std::filesystem::symlink_status(path));
}

Descriptor listen_at(const std::string &path, int type, bool listening)
{
	Descriptor made(socket(AF_UNIX, type, 0));
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	path.copy(address.sun_path, sizeof(address.sun_path) - 1);
	EXPECT_EQ(bind(made.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)), 0);
	if (listening)
	{
		EXPECT_EQ(listen(made.get(), 1), 0);
	}
	return made;
}

TEST(AppSocketFile, has_the_mode_and_group_that_it_should_whatever_the_umask)
{
	const Folder folder;
	for (const mode_t mask : {0U, 0777U})
	{
		const mode_t before = umask(mask);
		const AppSocket made(at(folder.path("socket"), 0660, getegid()));
		umask(before);
		const struct stat info = look(folder.path("socket"));
		EXPECT_TRUE(S_ISSOCK(info.st_mode));
		EXPECT_EQ(info.st_mode & 07777, 0660U);
		EXPECT_EQ(info.st_gid, getegid());
	}
	if (geteuid() == 0)
	{
		const AppSocket made(at(folder.path("socket"), 0620, 4711));
		EXPECT_EQ(look(folder.path("socket")).st_gid, 4711U);
		EXPECT_EQ(look(folder.path("socket")).st_mode & 07777, 0620U);
	}
}

TEST(AppSocketFile, goes_with_the_server)
{
	const Folder folder;
	{
		const AppSocket made(at(folder.path("socket")));
		EXPECT_TRUE(is_there(folder.path("socket")));
	}
	EXPECT_FALSE(is_there(folder.path("socket")));
}

TEST(AppSocketFile, stays_if_it_is_somebody_elses_by_then)
{
	const Folder folder;
	{
		const AppSocket made(at(folder.path("socket")));
		std::filesystem::remove(folder.path("socket"));
		std::ofstream(folder.path("socket")) << "mine";
	}
	EXPECT_TRUE(is_there(folder.path("socket")));
}

TEST(AppSocketFile, replaces_a_socket_that_nobody_listens_to)
{
	const Folder folder;
	listen_at(folder.path("socket"), SOCK_SEQPACKET, true).reset();
	EXPECT_TRUE(is_there(folder.path("socket")));
	EXPECT_EQ(refusal(at(folder.path("socket"))), "");
	listen_at(folder.path("socket"), SOCK_STREAM, true).reset();
	EXPECT_EQ(refusal(at(folder.path("socket"))), "");
}

TEST(AppSocketFile, leaves_a_socket_alone_that_somebody_listens_to)
{
	const Folder folder;
	for (const int type : {SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM})
	{
		const auto other = listen_at(folder.path("socket"), type, type != SOCK_DGRAM);
		const auto before = look(folder.path("socket")).st_ino;
		EXPECT_NE(refusal(at(folder.path("socket"))).find("somebody listens"), std::string::npos) << type;
		EXPECT_EQ(look(folder.path("socket")).st_ino, before);
		std::filesystem::remove(folder.path("socket"));
	}
}

TEST(AppSocketFile, leaves_everything_else_alone)
{
	const Folder folder;
	std::ofstream(folder.path("file")) << "important";
	std::filesystem::create_directory(folder.path("folder"));
	listen_at(folder.path("stale"), SOCK_SEQPACKET, true).reset();
	std::filesystem::create_symlink(folder.path("stale"), folder.path("link"));
	std::filesystem::create_symlink(folder.path("nothing"), folder.path("dangling"));
	for (const char *name : {"file", "folder", "link", "dangling"})
	{
		EXPECT_NE(refusal(at(folder.path(name))).find("is no socket"), std::string::npos) << name;
		EXPECT_TRUE(is_there(folder.path(name))) << name;
	}
	EXPECT_TRUE(is_there(folder.path("stale")));
	EXPECT_FALSE(is_there(folder.path("nothing")));
}

TEST(AppSocketFile, is_in_no_folder_that_others_may_write_to)
{
	const Folder folder;
	std::filesystem::create_directory(folder.path("shared"));
	for (const mode_t mode : {0770U, 0707U, 01777U})
	{
		ASSERT_EQ(chmod(folder.path("shared").c_str(), mode), 0);
		EXPECT_NE(refusal(at(folder.path("shared/socket"))).find("others may write"), std::string::npos) << mode;
		EXPECT_FALSE(is_there(folder.path("shared/socket")));
	}
	ASSERT_EQ(chmod(folder.path("shared").c_str(), 0755), 0);
	EXPECT_EQ(refusal(at(folder.path("shared/socket"))), "");
	if (geteuid() == 0)
	{
		ASSERT_EQ(chown(folder.path("shared").c_str(), 4711, 4711), 0);
		EXPECT_NE(refusal(at(folder.path("shared/socket"))), "");
	}
}

TEST(AppSocketFile, has_an_absolute_path_that_fits)
{
	const Folder folder;
	for (const std::string &path : {std::string(), std::string("/"), std::string("socket"), folder.path("") + "/",
									folder.path(std::string(108, 'x')), folder.path("nowhere/socket")})
	{
		EXPECT_NE(refusal(at(path)), "") << path;
	}
}

} // namespace
