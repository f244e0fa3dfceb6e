/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "failure.h"

namespace btnsctl
{

namespace
{

namespace fs = std::filesystem;

bool exists(const std::string &path)
{
	std::error_code error;
	return fs::exists(path, error);
}

/** Does a line of the file have a word in it? */
bool mentions(const std::string &path, const std::string &word)
{
	std::ifstream lines(path);
	for (std::string line; std::getline(lines, line);)
	{
		if (line.find(word) != std::string::npos)
		{
			return true;
		}
	}
	return false;
}

/** A module, loaded, built in or on disk. */
Presence module(const std::string &root, const std::string &release, const std::string &name)
{
	const std::string modules = root + "/lib/modules/" + release;
	const std::string file = "/" + name + ".ko";
	if (exists(root + "/sys/module/" + name) || mentions(modules + "/modules.builtin", file))
	{
		return Presence::present;
	}
	return mentions(modules + "/modules.dep", file) ? Presence::loadable : Presence::missing;
}

/** Does the kernel know XFRM's netlink? */
bool has_xfrm_netlink()
{
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
	if (fd >= 0)
	{
		close(fd);
	}
	return fd >= 0;
}

std::string kernel_release()
{
	struct utsname name
	{};
	return uname(&name) == 0 ? name.release : "";
}

} // namespace

void look_at_kernel(const std::string &root, Facts &facts)
{
	const std::string release = kernel_release();
	if (exists(root + "/proc/net/xfrm_stat") || (root.empty() && has_xfrm_netlink()))
	{
		facts.xfrm = Presence::present;
	}
	else
	{
		facts.xfrm = module(root, release, "xfrm_user");
	}
	facts.esp4 = module(root, release, "esp4");
	facts.esp6 = module(root, release, "esp6");
	facts.tun = exists(root + "/dev/net/tun") ? Presence::present : module(root, release, "tun");
}

void look_at_keys(const std::string &folder, Facts &facts)
{
	for (const char *kind : {"private", "rsa", "ecdsa", "pkcs8"})
	{
		std::error_code error;
		for (const auto &entry : fs::directory_iterator(folder + "/" + kind, error))
		{
			struct stat status
			{};
			if (stat(entry.path().c_str(), &status) != 0 || !S_ISREG(status.st_mode))
			{
				continue;
			}
			KeyFile file{entry.path().string(), status.st_mode & 07777U, std::nullopt};
			try
			{
				if (const auto read = read_key(read_file(file.path)))
				{
					file.key = read->key;
				}
			}
			catch (const Failure &)
			{
				// what cannot be read is not looked at
			}
			facts.key_files.push_back(std::move(file));
		}
	}
}

void look_at_clock(Facts &facts)
{
	struct timex state
	{};
	facts.now = time(nullptr);
	facts.clock_synchronized = adjtimex(&state) != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

std::string installed_package(const std::string &root)
{
	std::ifstream lines(root + "/var/lib/dpkg/status");
	bool here = false;
	bool installed = false;
	for (std::string line; std::getline(lines, line);)
	{
		if (line.starts_with("Package: "))
		{
			here = line == "Package: strongswan-libcharon";
			installed = false;
		}
		else if (here && line.starts_with("Status: "))
		{
			installed = line.ends_with(" installed");
		}
		else if (here && installed && line.starts_with("Version: "))
		{
			return line.substr(9);
		}
	}
	return "";
}

} // namespace btnsctl
