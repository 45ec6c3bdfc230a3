#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "shapes.hpp"

static PyObject *area_of_square(PyObject *, PyObject *args)
{
    double side;
    if (!PyArg_ParseTuple(args, "d", &side))
        return nullptr;
    try {
        Shape *shape = square(side);
        double area = shape->area();
        delete shape;
        return PyFloat_FromDouble(area);
    } catch (const NoSuchShape &) {
        Py_RETURN_NONE;
    }
}

static PyMethodDef methods[] = {
    {"area_of_square", area_of_square, METH_VARARGS, "Return the area of a square, None if there is no such square."},
    {nullptr, nullptr, 0, nullptr},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_shapes", nullptr, 0, methods, nullptr, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit__shapes() { return PyModule_Create(&definition); }
