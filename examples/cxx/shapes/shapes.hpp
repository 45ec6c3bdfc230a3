#pragma once

class Shape {
public:
    virtual ~Shape();
    virtual double area() const = 0;
};

class NoSuchShape {
public:
    virtual ~NoSuchShape();
};

/// Throws NoSuchShape for a side below zero.
Shape *square(double side);
