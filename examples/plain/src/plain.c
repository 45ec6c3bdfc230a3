#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>

static PyObject *hypotenuse(PyObject *module, PyObject *args)
{
    double a, b;
    (void)module;
    if (!PyArg_ParseTuple(args, "dd", &a, &b))
        return NULL;
    return PyFloat_FromDouble(hypot(a, b));
}

static PyMethodDef methods[] = {
    {"hypotenuse", hypotenuse, METH_VARARGS, "Return the third side of a right triangle."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_plain", .m_methods = methods};

PyMODINIT_FUNC PyInit__plain(void) { return PyModule_Create(&definition); }
