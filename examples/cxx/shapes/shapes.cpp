#include "shapes.hpp"

Shape::~Shape() {}
NoSuchShape::~NoSuchShape() {}

namespace {

class Square : public Shape {
public:
    explicit Square(double side) : side(side) {}
    double area() const override { return side * side; }

private:
    double side;
};

} // namespace

Shape *square(double side)
{
    if (side < 0)
        throw NoSuchShape();
    return new Square(side);
}
