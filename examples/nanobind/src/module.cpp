#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;

class Polygon {
public:
    using Corner = std::pair<double, double>;

    explicit Polygon(std::vector<Corner> corners) : corners(std::move(corners))
    {
        if (this->corners.size() < 3)
            throw std::invalid_argument("a polygon has three corners or more");
    }

    double area() const
    {
        double twice = 0;
        for (std::size_t i = 0; i < corners.size(); ++i) {
            const auto &[x, y] = corners[i];
            const auto &[next_x, next_y] = corners[(i + 1) % corners.size()];
            twice += x * next_y - next_x * y;
        }
        return std::abs(twice) / 2;
    }

private:
    std::vector<Corner> corners;
};

NB_MODULE(_polygons, module)
{
    nb::class_<Polygon>(module, "Polygon")
        .def(nb::init<std::vector<Polygon::Corner>>(), nb::arg("corners"))
        .def("area", &Polygon::area, "Return the area, whichever way round the corners are.");
}
