#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

static std::vector<std::vector<std::string>> groups(const std::vector<std::string> &words)
{
    std::map<std::string, std::vector<std::string>> by_letters;
    for (const auto &word : words) {
        if (word.empty())
            throw std::invalid_argument("a word has letters");
        auto letters = word;
        std::sort(letters.begin(), letters.end());
        by_letters[letters].push_back(word);
    }
    std::vector<std::vector<std::string>> found;
    for (const auto &[letters, same] : by_letters)
        if (same.size() > 1)
            found.push_back(same);
    return found;
}

PYBIND11_MODULE(_anagrams, module)
{
    module.def("groups", &groups, "Return the words that are anagrams of others, in groups.");
}
