#include <Python.h>

const char *motto(void);

static PyObject *get(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyUnicode_FromString(motto());
}

static PyMethodDef methods[] = {
    {"motto", get, METH_NOARGS, "Return the motto."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_motto", .m_methods = methods};

PyMODINIT_FUNC PyInit__motto(void) { return PyModule_Create(&definition); }
