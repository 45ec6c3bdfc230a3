#include <Python.h>

int first(void);

static PyObject *get(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyLong_FromLong(first());
}

static PyMethodDef methods[] = {
    {"first", get, METH_NOARGS, "Return 123, a digit from each library."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_chain", .m_methods = methods};

PyMODINIT_FUNC PyInit__chain(void) { return PyModule_Create(&definition); }
