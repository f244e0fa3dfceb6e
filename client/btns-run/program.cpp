/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <vector>

#include "connection.h"

using namespace std::string_view_literals;

namespace btnsrun
{

namespace
{

using btns::client::Descriptor;

/** Scripts that are run by scripts; the kernel follows no more. */
constexpr int scripts_max = 4;
/** Longest first line of a script, and path of a dynamic linker. */
constexpr size_t line_max = 4096;
constexpr size_t headers_max = 256;
constexpr size_t note_max = 65536;

/** What a file is, as far as it matters. */
struct Image
{
	std::string kind;
	unsigned char elf_class = ELFCLASSNONE;
	unsigned machine = EM_NONE;
	/** path of the dynamic linker, empty if it needs none */
	std::string linker;
	bool is_go = false;
	/** of a script */
	std::string interpreter;
};

/** All octets of a part of a file, or nothing. */
std::optional<std::vector<char>> read_part(int file, uint64_t at, size_t count)
{
	std::vector<char> out(count);
	size_t have = 0;
	while (have < count)
	{
		const ssize_t got = pread(file, out.data() + have, count - have, static_cast<off_t>(at + have));
		if (got <= 0)
		{
			return std::nullopt;
		}
		have += static_cast<size_t>(got);
	}
	return out;
}

template <typename T>
std::optional<T> read_as(int file, uint64_t at)
{
	const auto octets = read_part(file, at, sizeof(T));
	T out;
	if (!octets)
	{
		return std::nullopt;
	}
	std::memcpy(&out, octets->data(), sizeof(out));
	return out;
}

/** Has a segment of notes one of the Go linker? */
bool has_go_note(const std::vector<char> &notes)
{
	constexpr std::string_view name = "Go\0"sv;
	constexpr size_t header = 12;
	size_t at = 0;
	while (notes.size() - at >= header)
	{
		std::array<uint32_t, 3> note{};
		std::memcpy(note.data(), notes.data() + at, header);
		const auto padded = [](size_t size) { return (size + 3) & ~size_t{3}; };
		const size_t size = header + padded(note[0]) + padded(note[1]);
		if (note[0] > note_max || note[1] > note_max || size > notes.size() - at)
		{
			return false;
		}
		if (note[0] >= name.size() && std::string_view(notes.data() + at + header, name.size()) == name)
		{
			return true;
		}
		at += size;
	}
	return false;
}

template <typename Header, typename Segment>
bool read_segments(int file, Image &out)
{
	const auto header = read_as<Header>(file, 0);
	if (!header || header->e_phentsize != sizeof(Segment) || header->e_phnum > headers_max)
	{
		return false;
	}
	out.machine = header->e_machine;
	for (unsigned i = 0; i < header->e_phnum; i++)
	{
		const auto segment = read_as<Segment>(file, header->e_phoff + i * sizeof(Segment));
		if (!segment)
		{
			return false;
		}
		if (segment->p_type != PT_INTERP && segment->p_type != PT_NOTE)
		{
			continue;
		}
		const size_t bound = segment->p_type == PT_INTERP ? line_max : note_max;
		if (segment->p_filesz > bound)
		{
			return segment->p_type == PT_NOTE;
		}
		const auto octets = read_part(file, segment->p_offset, segment->p_filesz);
		if (!octets)
		{
			return false;
		}
		if (segment->p_type == PT_INTERP)
		{
			out.linker.assign(octets->begin(), std::find(octets->begin(), octets->end(), '\0'));
		}
		else
		{
			out.is_go = out.is_go || has_go_note(*octets);
		}
	}
	return true;
}

/** The path after "#!". */
std::string interpreter_of(int file)
{
	std::array<char, line_max> line{};
	const ssize_t got = pread(file, line.data(), line.size() - 1, 0);
	std::string_view rest(line.data(), got > 0 ? static_cast<size_t>(got) : 0);
	rest = rest.substr(0, rest.find('\n'));
	rest.remove_prefix(std::min(rest.find_first_not_of(" \t", 2), rest.size()));
	return std::string(rest.substr(0, rest.find_first_of(" \t")));
}

std::optional<Image> look_at(const std::string &path)
{
	const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	Image out;
	const auto magic = read_part(file.get(), 0, 2);
	if (!file || !magic)
	{
		return std::nullopt;
	}
	if (std::string_view(magic->data(), 2) == "#!")
	{
		out.interpreter = interpreter_of(file.get());
		return out;
	}
	const auto ident = read_as<std::array<unsigned char, EI_NIDENT>>(file.get(), 0);
	if (!ident || std::memcmp(ident->data(), ELFMAG, SELFMAG) != 0)
	{
		return std::nullopt;
	}
	out.elf_class = ident->at(EI_CLASS);
	const bool is_read = out.elf_class == ELFCLASS64   ? read_segments<Elf64_Ehdr, Elf64_Phdr>(file.get(), out)
						 : out.elf_class == ELFCLASS32 ? read_segments<Elf32_Ehdr, Elf32_Phdr>(file.get(), out)
													   : false;
	return is_read ? std::optional(out) : std::nullopt;
}

/** Would the dynamic linker distrust the environment, because the program gains rights? */
bool gains_rights(const struct stat &info, const std::string &path)
{
	return ((info.st_mode & S_ISUID) != 0 && info.st_uid != getuid()) ||
		   ((info.st_mode & S_ISGID) != 0 && info.st_gid != getgid()) ||
		   (geteuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0);
}

/** The path of the dynamic linker that this machine's own programs have. */
std::string own_linker()
{
	const auto own = look_at("/proc/self/exe");
	return own ? own->linker : "";
}

} // namespace

std::optional<std::string> find_program(const std::string &name, const char *path)
{
	if (name.find('/') != std::string::npos)
	{
		return name;
	}
	std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
	while (!name.empty())
	{
		const size_t colon = rest.find(':');
		const std::string folder(rest.substr(0, colon));
		const std::string file = (folder.empty() ? std::string(".") : folder) + "/" + name;
		struct stat info
		{};
		if (stat(file.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(file.c_str(), X_OK) == 0)
		{
			return file;
		}
		if (colon == std::string_view::npos)
		{
			break;
		}
		rest.remove_prefix(colon + 1);
	}
	return std::nullopt;
}

std::string why_not(const std::string &program, const std::string &library)
{
	const auto own = look_at(library);
	if (!own || own->elf_class == ELFCLASSNONE)
	{
		return library + " cannot be read";
	}
	if (getauxval(AT_SECURE) != 0)
	{
		return "btns-run has itself got rights from its file, and then no library is loaded that is named by somebody";
	}
	std::string path = program;
	for (int scripts = 0;; scripts++)
	{
		struct stat info
		{};
		if (stat(path.c_str(), &info) != 0)
		{
			return path + ": " + std::generic_category().message(errno);
		}
		const auto image = S_ISREG(info.st_mode) ? look_at(path) : std::nullopt;
		if (!image)
		{
			return path + " is no program, or cannot be read";
		}
		if (image->elf_class == ELFCLASSNONE)
		{
			if (image->interpreter.empty() || scripts == scripts_max)
			{
				return path + " is a script that nothing runs";
			}
			path = image->interpreter;
			continue;
		}
		if (gains_rights(info, path))
		{
			return path +
				   " gains rights when it starts (setuid, setgid, capabilities): it loads no library that is named by "
				   "somebody";
		}
		if (image->linker.empty())
		{
			return path + " is statically linked: it loads no library";
		}
		if (image->elf_class != own->elf_class || image->machine != own->machine || image->linker != own_linker())
		{
			return path + " is of another architecture or C library (" + image->linker + ")";
		}
		if (image->is_go)
		{
			return path + " is written in Go, and does without the C library to connect";
		}
		return "";
	}
}

} // namespace btnsrun
