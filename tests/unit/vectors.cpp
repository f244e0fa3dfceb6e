/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "vectors.h"

#include <fstream>
#include <stdexcept>

namespace btns::test
{

namespace
{

std::string trim(const std::string &text)
{
	const auto first = text.find_first_not_of(" \t");
	return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

} // namespace

Octets from_hex(const std::string &hex)
{
	if (hex.size() % 2 != 0)
	{
		throw std::runtime_error("half an octet in hex");
	}
	Octets out;
	for (size_t i = 0; i < hex.size(); i += 2)
	{
		out.push_back(static_cast<uint8_t>(std::stoul(hex.substr(i, 2), nullptr, 16)));
	}
	return out;
}

Octets Vector::octets(const std::string &key) const
{
	return from_hex(text(key));
}

std::vector<Vector> load_vectors(const std::string &file)
{
	std::ifstream in(std::string(BTNS_TEST_DATA) + "/" + file);
	std::vector<Vector> vectors;
	std::string line;
	std::string key;
	while (std::getline(in, line))
	{
		if (line.empty() || line.front() == '#')
		{
			continue;
		}
		if (line.front() == '[')
		{
			vectors.push_back({line.substr(1, line.find(']') - 1), {}});
		}
		else if (line.front() == ' ')
		{
			vectors.back().values.at(key) += trim(line);
		}
		else
		{
			const auto equals = line.find('=');
			key = trim(line.substr(0, equals));
			vectors.back().values[key] = trim(line.substr(equals + 1));
		}
	}
	if (vectors.empty())
	{
		throw std::runtime_error("no test vectors in " + file);
	}
	return vectors;
}

Vector load_vector(const std::string &file, const std::string &name)
{
	for (const Vector &vector : load_vectors(file))
	{
		if (vector.name == name)
		{
			return vector;
		}
	}
	throw std::runtime_error("no test vector " + name + " in " + file);
}

} // namespace btns::test
