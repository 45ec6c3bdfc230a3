// Exceptions that cross functions and threads, threads, thread_local objects with a destructor.

#include <atomic>
#include <cmath>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace {

std::atomic<int> taken{0};

// What a thread has done; counted when the thread ends.
struct Work {
    int roots = 0;
    ~Work() { taken += roots; }
};

thread_local Work work;

double root(double number)
{
    ++work.roots;
    if (number < 0)
        throw std::domain_error("no real root of " + std::to_string(number));
    return std::sqrt(number);
}

// Each root comes from a thread of its own; the first exception of a thread is thrown on.
std::vector<double> roots(const std::vector<double> &numbers)
{
    std::vector<double> found(numbers.size());
    std::vector<std::exception_ptr> failed(numbers.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < numbers.size(); ++i)
        threads.emplace_back([&, i] {
            try {
                found[i] = root(numbers[i]);
            } catch (...) {
                failed[i] = std::current_exception();
            }
        });
    for (auto &thread : threads)
        thread.join();
    for (const auto &failure : failed)
        if (failure)
            std::rethrow_exception(failure);
    return found;
}

// Runs when a loader opens this file: there are machines without a Python to call it.
[[gnu::constructor]] void use()
{
    const auto found = roots({4, 9});
    try {
        roots({1, -9});
    } catch (const std::domain_error &error) {
        std::printf("%g %g, %s, %d taken\n", found[0], found[1], error.what(), taken.load());
        std::fflush(stdout);
    }
}

} // namespace

PYBIND11_MODULE(_roots, module)
{
    module.def("roots", &roots, pybind11::call_guard<pybind11::gil_scoped_release>());
    module.def("taken", [] { return taken.load(); });
}
